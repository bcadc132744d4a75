"""The page's engine computes, draws and cuts text as fabula does: the same scripts and kernels, in node."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.exchange.html.node import Node, as_given, node_at
from tests.model.shapes import ALL, GEMMA, GPT, LLAMA, MODERN, build
from tests.model.test_generate import WITH
from tests.recipe.shapes import OTHER, PLAIN, SHAPES

from fabula.data.tokenizers.bpe import byte_tokens
from fabula.data.tokenizers.tokenizer import ByteLevelTokenizer
from fabula.errors import InputError
from fabula.exchange.html import packing
from fabula.exchange.html.packing import pack_model, pack_tokenizer
from fabula.exchange.html.payload import script
from fabula.exchange.html.quantization import int8_decoder, rows_of
from fabula.model.decode.generate import complete
from fabula.model.decoder import Decoder
from fabula.recipe.schema import Model

TOKENS = [3, 14, 15, 9, 26, 5, 35, 8]
# Of a sum of some hundred products in float32, taken in two orders: 8e-7 at most in the shapes below.
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with node_at(tmp_path_factory.mktemp("node")) as process:
        yield process


def difference(node: Node, model: Decoder) -> float:
    """How far the page's logits are from those of the int8 model here, of the largest; read in pieces and at once the
    page must have the very same ones."""
    tokens = TOKENS[: model.shape.context]
    with torch.inference_mode():
        expected = int8_decoder(model)(torch.tensor([tokens]))[0, -1].numpy()
    question = """
        const decoder = await decoderOf(given.model);
        decoder.read(given.tokens.slice(0, 5));
        for (const token of given.tokens.slice(5)) decoder.read([token]);
        const pieces = [...decoder.predict()];
        decoder.tokens.length = 0;
        decoder.read(given.tokens);
        return [pieces, [...decoder.predict()]];
    """
    pieces, whole = node.ask(question, {"model": as_given(model), "tokens": tokens})
    assert pieces == whole
    return float(np.abs(np.array(whole) - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("name", sorted(packing.COMPUTED))
def test_each_field_of_a_shape(node: Node, name: str) -> None:
    changed = {name: OTHER[name]} if name in OTHER else {}
    assert difference(node, build(Model(**{**PLAIN, **WITH.get(name, {}), **changed}))) <= TOLERANCE


@pytest.mark.parametrize("name", ALL)
def test_each_family(node: Node, name: str) -> None:
    assert difference(node, build(ALL[name])) <= TOLERANCE


@given(shape=SHAPES)
@settings(max_examples=15)
def test_any_shape(node: Node, shape: Model) -> None:
    assume(packing.COMPUTED.issuperset(shape.switched_on()))
    assert difference(node, build(shape)) <= 10 * TOLERANCE


def test_a_field_that_nobody_taught_the_page_is_refused_where_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "COMPUTED", packing.COMPUTED - {"qk_norm"})
    pack_model(build(GPT), True)
    with pytest.raises(InputError, match=r"model\.qk_norm is not known to the page's decoder; use --to hf"):
        pack_model(build(GPT.model_copy(update={"qk_norm": True})), True)


def letters(vocabulary: int = 97) -> ByteLevelTokenizer:
    """Some merges, and as many ids as the small models have rows."""
    tokens = [*byte_tokens(), b"he", b" t", b" the", b"\xc3\xa9"]
    ranks = {token: rank for rank, token in enumerate(tokens)}
    return ByteLevelTokenizer("letters", ranks, eot=len(ranks))


TELL = """
    const decoder = await decoderOf(given.model);
    const tokenizer = new Tokenizer(bytesFrom(given.tokenizer));
    tokenizer.eot = given.eot;
    const teller = new Storyteller(decoder, tokenizer, given.model.header);
    const all = [];
    for (const request of given.requests) all.push(await toldBy(teller, request));
    return all;
"""


def told(node: Node, model: Decoder, *requests: dict[str, Any], eot: int = 0) -> list[list[dict[str, Any]]]:
    tokenizer = base64.b64encode(pack_tokenizer(letters())).decode()
    question = {"model": as_given(model), "tokenizer": tokenizer, "requests": requests, "eot": eot}
    return node.ask(TELL, question)


def ids(events: list[dict[str, Any]]) -> list[int]:
    return [each["id"] for each in events if each["kind"] == "token"]


@pytest.mark.parametrize("shape", [GPT, GEMMA, MODERN])
def test_greedy_stories_beyond_the_context_are_those_of_the_int8_model(node: Node, shape: Model) -> None:
    model = build(shape)
    prompts = [[1], [5, 6, 7, 8, 9], list(range(60, 84))]
    expected = complete(int8_decoder(model), prompts, num_tokens=64, eot=0, temperature=0, seed=0)
    events = told(node, model, *({"ids": prompt, "maxTokens": 64} for prompt in prompts))
    assert [ids(each) for each in events] == expected
    ends = [each[-1]["reason"] for each in events]
    assert ends == ["length" if len(row) == 64 else "story" for row in expected]


@pytest.mark.parametrize(
    "rules",
    [
        {},
        {"temperature": 0.8, "top_p": 0.95},
        {"temperature": 1.3, "top_k": 5},
        {"top_k": 9, "top_p": 0.5},
        {"min_p": 0.2, "temperature": 2.0},
        {"top_k": 1},
        {"top_p": 0.01},
        {"top_k": 20, "top_p": 0.9, "min_p": 0.1, "temperature": 1.1},
    ],
)
def test_a_seed_tells_the_same_story_as_at_the_terminal(node: Node, rules: dict[str, Any]) -> None:
    model = build(LLAMA, std=0.1)
    rules = {"temperature": 1.0, **rules}
    names = {"temperature": "temperature", "top_p": "topP", "top_k": "topK", "min_p": "minP"}
    seeds = [0, 7, 2**32 + 5, 2**53 - 1]
    reference = int8_decoder(model)
    expected = [complete(reference, [[4, 5]], num_tokens=40, eot=0, seed=seed, **rules)[0] for seed in seeds]
    asked = {names[name]: value for name, value in rules.items()}
    events = told(node, model, *({"ids": [4, 5], "seed": seed, **asked} for seed in seeds))
    assert [ids(each) for each in events] == expected
    assert rules.get("top_k") == 1 or rules.get("top_p") == 0.01 or len({tuple(row) for row in expected}) > 1


def test_a_story_that_goes_on_is_the_longer_one(node: Node) -> None:
    model = build(GPT)
    draw = {"temperature": 1.0, "seed": 3, "topP": 0.9}
    (whole,) = told(node, model, {"ids": [4], "maxTokens": 60, **draw}, eot=-1)
    for cut in (1, 20, 23, 24, 41):  # below, at and beyond the context of 24
        begun = [4, *ids(whole)[:cut]]
        (rest,) = told(node, model, {"ids": begun, "drawn": cut, "maxTokens": 60 - cut, **draw}, eot=-1)
        assert rest[0] == {"kind": "start", "ids": begun}
        assert ids(rest) == ids(whole)[cut:], cut


def test_stories_take_no_more_memory_than_the_first(node: Node) -> None:
    question = """
        const instance = new WebAssembly.Instance(kernels);
        const decoder = await Decoder.load(instance.exports, given.model.header, [bytesFrom(given.model.content)]);
        const tokenizer = new Tokenizer(bytesFrom(given.tokenizer));
        const teller = new Storyteller(decoder, tokenizer, given.model.header);
        const sizes = [];
        for (let seed = 0; seed < 20; seed++) {
          await toldBy(teller, { ids: [5], maxTokens: 60, temperature: 1, seed });
          sizes.push([instance.exports.memory.buffer.byteLength, decoder.tokens.length <= given.model.header.context]);
        }
        return sizes;
    """
    tokenizer = base64.b64encode(pack_tokenizer(letters())).decode()
    sizes = node.ask(question, {"model": as_given(build(GPT)), "tokenizer": tokenizer})
    assert len(sizes) == 20 and all(each == [sizes[0][0], True] for each in sizes)


def test_a_story_that_is_left_stops_itself_and_no_later_one(node: Node) -> None:
    """Its last word arrives when the next story is being told already."""
    question = f"""
        const asked = eval({json.dumps(script(["engine"]) + "; events")});
        const heard = [];
        const worker = {{ postMessage: (message) => heard.push(message) }};
        const [first, second] = [new AbortController(), new AbortController()];
        const left = asked(worker, "one", first.signal).next();
        first.abort();
        const told = asked(worker, "two", second.signal).next();
        await left;
        worker.onmessage({{ data: {{ number: 2, event: {{ kind: "end" }} }} }});
        return [heard, (await told).value];
    """
    heard, event = node.ask(question)
    assert [each for each in heard if "request" in each] == [
        {"number": 1, "request": "one"},
        {"number": 2, "request": "two"},
    ]
    assert {repr(each["stop"]) for each in heard if "stop" in each} == {"1"} and event == {"kind": "end"}


def test_probabilities_are_the_models_own(node: Node) -> None:
    model = build(GPT)
    (events,) = told(node, model, {"ids": [4, 9], "maxTokens": 1, "temperature": 0.5, "alternatives": 5, "seed": 1})
    with torch.inference_mode():
        p_V = torch.softmax(int8_decoder(model)(torch.tensor([[4, 9]]))[0, -1], -1)
    best = p_V.topk(5)
    token = events[1]
    assert [each["id"] for each in token["alternatives"]] == best.indices.tolist()
    assert [each["probability"] for each in token["alternatives"]] == pytest.approx(best.values.tolist(), rel=1e-5)
    assert token["probability"] == pytest.approx(float(p_V[token["id"]]), rel=1e-5)


def test_half_a_character_waits_and_is_never_shown(node: Node) -> None:
    model, tokenizer = build(GPT), letters()
    first, second = (tokenizer.ranks[bytes([byte])] for byte in "é".encode())
    (events,) = told(
        node, model, {"ids": [1], "maxTokens": 40, "temperature": 1.5, "alternatives": 3, "seed": 2}, eot=-1
    )
    text = "".join(each["text"] for each in events[1:])
    assert text == tokenizer.decode(ids(events))
    assert not any("�" in each["text"] for each in events[1:]) or "�" in text
    question = "const t = new Tokenizer(bytesFrom(given[0])); return given[1].map((id) => t.text(id));"
    packed = base64.b64encode(pack_tokenizer(tokenizer)).decode()
    assert node.ask(question, [packed, [first, second, tokenizer.ranks["é".encode()], 9_999]]) == [None, None, "é", ""]


def test_what_means_nothing_is_refused_in_a_sentence(node: Node) -> None:
    for request, message in (
        ({"ids": []}, "a prompt has no tokens; begin with end-of-text to get a story from its beginning"),
        ({"ids": [97]}, "the model has no token 97"),
        ({"text": "x" * 24}, "the prompt has 25 tokens, but the model's context is 24; shorten it"),
        ({"text": "long " * 1000}, "the prompt has far more tokens, but the model's context is 24; shorten it"),
        ({"temperature": -1}, "temperature -1 means nothing; it is 0 or more"),
        ({"topP": 0}, "topP 0 means nothing; it is above 0 and at most 1"),
        ({"seed": 0.5}, "seed 0.5 means nothing; it is 0 or more"),
    ):
        with pytest.raises(ValueError) as refused:
            told(node, build(GPT), request)
        assert str(refused.value) == message


def test_the_random_numbers_are_torchs(node: Node) -> None:
    seeds = [0, 1, 12345, 2**31, 2**32 - 1, 2**32, 2**52 + 1, 2**53 - 1]
    question = """
        return given.map((seed) => {
          const random = new Random(seed);
          return Array.from({ length: 700 }, () => random.uniform());
        });
    """
    for seed, drawn in zip(seeds, node.ask(question, seeds), strict=True):
        mixed = np.random.SeedSequence([seed, 0]).generate_state(1)[0]
        generator = torch.Generator().manual_seed(int(mixed))
        assert drawn == [float(torch.rand(1, generator=generator)) for _ in range(700)], seed


PIECES = [
    *(" ", "  ", "\n\n", " \n", "\t", "\x85", "\ufeff", "\u2003", "\x1c"),
    *("'s", "'ll", "don't", " the", "héhé", "12", "½", "日本", "e\u0301", "🙂", "_", "!?"),
]
TEXTS = st.lists(st.one_of(st.text(max_size=6), st.sampled_from(PIECES)), max_size=12).map("".join)


@given(texts=st.lists(TEXTS, min_size=10, max_size=30))
@settings(max_examples=20)
def test_a_text_is_cut_as_here(node: Node, texts: list[str]) -> None:
    tokenizer = letters()
    packed = base64.b64encode(pack_tokenizer(tokenizer)).decode()
    question = """
        const tokenizer = new Tokenizer(bytesFrom(given[0]));
        return given[1].map((text) => tokenizer.encode(text, 1000));
    """
    assert node.ask(question, [packed, texts]) == [tokenizer.encode(text).tolist() for text in texts]


def test_gpt2s_own_cutting(node: Node, gpt2: Any, stories: Path) -> None:
    """Also of what is no story: spaces of all kinds, other scripts, numbers, and a piece without a place to cut."""
    lines = (stories / "validation.jsonl").read_text().splitlines()[:40]
    odd = [
        "".join(PIECES),
        "    indented\n\n\n  more   ",
        "x" * 900,
        "1234567 89",
        "Ünïcödé — “quotes” … 中文テスト",
        "<|endoftext|>",
    ]
    texts = [json.loads(line)["text"] for line in lines] + odd
    packed = base64.b64encode(pack_tokenizer(gpt2)).decode()
    question = """
        const tokenizer = new Tokenizer(bytesFrom(given[0]));
        return given[1].map((text) => tokenizer.encode(text, 10000));
    """
    assert node.ask(question, [packed, texts]) == [gpt2.encode(text).tolist() for text in texts]


@pytest.mark.parametrize("matrix", ["drawn", "zeros", "tiny", "one"])
def test_rows_are_within_half_a_step(matrix: str) -> None:
    drawn = np.random.default_rng(0).normal(size=(5, 33)).astype(np.float32)
    values = {"drawn": drawn, "zeros": drawn * 0, "tiny": drawn * np.float32(1e-44), "one": drawn[:, :1]}[matrix]
    rows = rows_of(values)
    assert rows.integers_VD.dtype == np.int8 and rows.integers_VD.min(initial=0) >= -127
    lost = 1e-43 if matrix == "tiny" else 0.0  # there a scale has no digit left
    assert (np.abs(rows.floats() - values) <= 0.5001 * rows.scales_V[:, None] + lost).all()
