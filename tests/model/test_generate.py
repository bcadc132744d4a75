from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from tests.model.shapes import ALL, GEMMA, GPT, VOCABULARY, build
from tests.recipe.shapes import OTHER, PLAIN, SHAPES
from torch import Tensor

from fabula.errors import InputError
from fabula.model.decode.generate import choices, complete, window_of
from fabula.model.decode.one_token import CachedDecoder
from fabula.model.decode.sampling import Sampling
from fabula.model.decode.weights import DecodingWeights
from fabula.model.decoder import Decoder
from fabula.recipe.schema import Model

EOT = 0
PROMPTS = [[1], [5, 6, 7, 8, 9], list(range(40, 57)), list(range(60, 84))]


def uncached(model: Decoder, prompt: list[int], num_tokens: int) -> list[int]:
    """The definition of greedy completion: everything anew for each token, half the context kept when it is full."""
    window, completion, context = list(prompt), [], model.shape.context
    while len(completion) < num_tokens:
        with torch.no_grad():
            token = int(model(torch.tensor([window]))[0, -1].argmax())
        if token == EOT:
            break
        completion.append(token)
        window.append(token)
        if len(window) > context:
            window = window[-(context // 2) :]
    return completion


@pytest.mark.parametrize("name", ALL)
def test_cached_tokens_are_the_uncached_ones_in_a_batch_of_any_lengths_and_beyond_the_context(name: str) -> None:
    model = build(ALL[name])
    expected = [uncached(model, prompt, 26) for prompt in PROMPTS]  # the shortest is beyond the 24 as well
    assert complete(model, PROMPTS, num_tokens=26, eot=EOT, temperature=0, seed=0) == expected
    for prompt, completion in zip(PROMPTS, expected, strict=True):
        assert complete(model, [prompt], num_tokens=26, eot=EOT, temperature=0, seed=0) == [completion]


def test_a_row_that_ends_leaves_the_others_as_they_were() -> None:
    model = build(GEMMA)
    long = complete(model, PROMPTS, num_tokens=30, eot=-1, temperature=1.0, seed=3)
    eot = long[1][4]
    expected = [row[: row.index(eot)] if eot in row else row for row in long]
    assert complete(model, PROMPTS, num_tokens=30, eot=eot, temperature=1.0, seed=3) == expected
    assert len(expected[1]) < 30


def test_a_seed_decides_the_tokens_and_more_tokens_begin_alike() -> None:
    model = build(GPT)
    draw = {"eot": EOT, "temperature": 1.0, "top_p": 0.9}
    first = complete(model, PROMPTS, num_tokens=20, seed=1, **draw)
    assert complete(model, PROMPTS, num_tokens=20, seed=1, **draw) == first
    assert complete(model, PROMPTS, num_tokens=20, seed=2, **draw) != first
    assert [row[:8] for row in first] == complete(model, PROMPTS, num_tokens=8, seed=1, **draw)
    alike = complete(model, [PROMPTS[0]] * 3, num_tokens=20, seed=1, **draw)
    assert alike[0] == first[0] and alike[0] != alike[1] != alike[2]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("told", [1, 30])
def test_choices_are_the_tokens_of_complete_and_go_on_where_they_were_left(name: str, told: int) -> None:
    """Within the context and beyond it; what a token is chosen from are the logits of the model as it is trained."""
    model = build(ALL[name]).eval()
    weights, settings = DecodingWeights(model, 1), Sampling(0.9, top_k=40)
    whole = complete(model, [[5, 6]], num_tokens=40, eot=-1, temperature=0.9, top_k=40, seed=3)[0]
    rules = {"eot": -1, "sampling": settings, "seed": 3}
    with torch.inference_mode():
        first = list(choices(weights, [5, 6], num_tokens=told, **rules))
        assert [each.token for each in first] == whole[:told]
        assert torch.allclose(first[0].logits_V, model(torch.tensor([[5, 6]]))[0, -1], atol=1e-5)
        window = window_of([5, 6, *whole[:told]], model.shape.context)
        rest = list(choices(weights, window, num_tokens=40 - told, drawn=told, **rules))
    assert [each.token for each in rest] == whole[told:]


def test_tokens_are_told_as_they_come_and_the_mode_of_the_model_is_kept() -> None:
    model = build(GPT).train()
    told: list[list[int]] = [[] for _ in PROMPTS]
    result = complete(
        model,
        PROMPTS,
        num_tokens=9,
        eot=EOT,
        temperature=1.0,
        seed=0,
        on_token=lambda row, token: told[row].append(token),
    )
    assert told == result and model.training


def test_bad_input_is_one_clear_line() -> None:
    model = build(GPT)
    with pytest.raises(InputError, match=r"25 tokens.*context is 24"):
        complete(model, [list(range(25))], num_tokens=1, eot=EOT, temperature=0, seed=0)
    with pytest.raises(InputError, match="no tokens"):
        complete(model, [[]], num_tokens=1, eot=EOT, temperature=0, seed=0)
    assert complete(model, [[1], [2]], num_tokens=0, eot=EOT, temperature=0, seed=0) == [[], []]
    assert complete(model, [], num_tokens=5, eot=EOT, temperature=0, seed=0) == []
    with torch.no_grad():
        model.embedding.weight[VOCABULARY - 1] = torch.nan
    with pytest.raises(InputError, match="not finite"):
        complete(model, [[1]], num_tokens=1, eot=EOT, temperature=1.0, seed=0)


WITH: dict[str, dict[str, Any]] = {
    "heads": {"head_width": 8, "heads": 4},
    "rope_base": {"positions": "rope"},
    "rope_local_base": {"positions": "rope", "sliding_window": 3},
    "global_every": {"sliding_window": 3},
}
"""What a field needs beside it to mean something."""


def cached_and_whole(shape: Model, tokens: list[int]) -> tuple[Tensor, Tensor]:
    """The last logits of `tokens`, all but two of them decoded one at a time, and as training computes them."""
    model = build(shape)
    with torch.inference_mode():
        decoder = CachedDecoder(DecodingWeights(model, 1), 1, len(tokens))
        decoder.prefill([tokens[:2]])
        for token in tokens[2:]:
            cached_BV = decoder.step(torch.tensor([token]))
        return cached_BV[0], model(torch.tensor([tokens]))[0, -1]


@pytest.mark.parametrize("name", Model.model_fields)
def test_each_field_of_the_shape_is_decoded_as_it_is_trained(name: str) -> None:
    tokens = [3, 14, 15, 9, 26, 5, 35, 8]
    beside = {**PLAIN, **WITH.get(name, {})}
    changed = {name: OTHER[name]} if name in OTHER else {}
    cached_V, whole_V = cached_and_whole(Model(**{**beside, **changed}), tokens)
    assert (cached_V - whole_V).abs().max() <= 1e-5 * whole_V.abs().max()
    if name not in ("vocabulary", "context"):  # which say how large, not what is computed
        _, plain_V = cached_and_whole(Model(**(beside if changed else PLAIN)), tokens)
        assert (whole_V - plain_V).abs().max() > 1e-3 * whole_V.abs().max(), f"{name} changes nothing here"


@given(shape=SHAPES)
@settings(max_examples=60)
def test_any_shape_is_decoded_as_it_is_trained(shape: Model) -> None:
    tokens = [3, 14, 15, 9, 26, 5, 35, 8][: shape.context]
    assume(len(tokens) > 2)
    cached_V, whole_V = cached_and_whole(shape, tokens)
    assert (cached_V - whole_V).abs().max() <= 1e-4 * whole_V.abs().max()


@pytest.mark.parametrize("part", ["attention.qkv", "feed_forward.up"])
@pytest.mark.parametrize("name", ["gpt", "gemma", "llama"])
def test_what_is_not_finite_stays_visible(name: str, part: str) -> None:
    model = build(ALL[name])
    with torch.no_grad():
        model.layers[0].get_submodule(part).weight[:, 3] = torch.nan
    with torch.inference_mode():
        decoder = CachedDecoder(DecodingWeights(model, 1), 1, 24)
        decoder.prefill([[1, 2]])
        assert decoder.step(torch.tensor([3])).isnan().any()
    with pytest.raises(InputError, match="not finite"):
        complete(model, [[1, 2]], num_tokens=3, eot=0, temperature=0, seed=0)


def test_a_bfloat16_model_completes_as_its_uncached_self() -> None:
    model = build(GEMMA, std=0.4, dtype=torch.bfloat16)
    prompt = PROMPTS[1]
    completion = complete(model, [prompt], num_tokens=12, eot=-1, temperature=0, seed=0)[0]
    with torch.no_grad():
        for place, token in enumerate(completion):
            logits = model(torch.tensor([[*prompt, *completion[:place]]]))[0, -1]
            # Orders of summation differ, so a near tie in bfloat16 may fall either way.
            assert logits[token] >= logits.max() - 0.02 * logits.abs().max()
