"""Tokenizers against tiktoken and Hugging Face `tokenizers`, and what they refuse."""

import json
import time
import unicodedata
from itertools import product
from pathlib import Path

import pytest
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.homes import OWN_AND_REAL
from tests.stand_in import gpt2_of
from tokenizers import Tokenizer as Engine
from tokenizers import models, pre_tokenizers, trainers

from fabula.data import network
from fabula.data.prepare.bpe_training import train_ranks
from fabula.data.tokenizers import gpt2
from fabula.data.tokenizers.bpe import EOT_TEXT, byte_alphabet, byte_level_json, byte_tokens, derive_merges
from fabula.data.tokenizers.tokenizer import (
    GPT2_HASH,
    ByteLevelTokenizer,
    FileTokenizer,
    check_tokenizer_name,
    load_tokenizer,
)
from fabula.errors import InputError

STORIES = [
    "Once upon a time, there was a little dog. He didn't like the rain.\n\nBut he'd go out!",
    "  two  spaces, a tab\t, a line\r\nand trailing blanks   ",
    "Zoë ate 12,345 crêpes – “why?” – 日本語 🐉👩‍👩‍👧 \u200b\u00a0x",
    "it's it'S they'll we've I'd I'm you're 'tis ''''",
    "",
    " ",
    "\n\n\n",
    f"a story that spells {EOT_TEXT} out",
]


@pytest.fixture(scope="module", params=OWN_AND_REAL)
def gpt2_tokenizer(request: pytest.FixtureRequest) -> ByteLevelTokenizer:
    """GPT-2's, or one as large as its stories allow that is made in the same way."""
    with gpt2_of(request.param) as tokenizer:
        return tokenizer


def first_lines(file: Path, most: int | None = None) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines()[:most]


@pytest.fixture(scope="module")
def gpt2_file(gpt2_tokenizer: ByteLevelTokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gpt2") / "tokenizer.json"
    path.write_text(gpt2_tokenizer.to_json(), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def engine(gpt2_file: Path) -> Engine:
    made = Engine.from_file(str(gpt2_file))
    made.encode_special_tokens = True
    return made


@pytest.fixture(scope="module")
def small() -> ByteLevelTokenizer:
    words = "the cat and the dog sat on the mat; the cat saw the dog run and the dog ran ".split()
    return ByteLevelTokenizer("bpe:300", train_ranks([" ".join(words)] * 3, 299), eot=299)


def test_byte_alphabet_is_gpt2s() -> None:
    assert byte_alphabet()[ord("!")] == "!"
    assert byte_alphabet()[ord(" ")] == "Ġ"
    assert byte_alphabet()[ord("\n")] == "Ċ"
    assert byte_alphabet()[0] == "Ā"
    assert byte_alphabet()[0xAD] == "Ń"
    assert len(set(byte_alphabet())) == 256


@pytest.mark.beside
def test_gpt2_has_its_own_ids_and_the_hash_by_which_a_file_is_recognised() -> None:
    tokenizer = gpt2.gpt2_tokenizer()
    assert (tokenizer.vocabulary, tokenizer.eot) == (50257, 50256)
    assert list(tokenizer.encode("Once upon a time")) == [7454, 2402, 257, 640]
    assert tokenizer.hash == GPT2_HASH == ByteLevelTokenizer("any", tokenizer.ranks, tokenizer.eot).hash
    assert gpt2.gpt2_merges() == derive_merges(tokenizer.ranks)


def test_gpt2_is_tiktokens(gpt2: ByteLevelTokenizer) -> None:
    reference = tiktoken.get_encoding("gpt2")
    assert (gpt2.vocabulary, gpt2.eot) == (reference.n_vocab, reference.eot_token)
    assert gpt2.ranks == reference._mergeable_ranks
    for text, ids in zip(STORIES, gpt2.encode_batch(STORIES), strict=True):
        assert list(ids) == reference.encode_ordinary(text)
        assert list(gpt2.encode(text)) == list(ids)
        assert gpt2.decode(ids) == text


def test_gpt2_json_gives_the_same_ids_on_stories(
    stories: Path, gpt2_tokenizer: ByteLevelTokenizer, engine: Engine
) -> None:
    texts = [json.loads(line)["text"] for each in sorted(stories.glob("*.jsonl")) for line in first_lines(each, 2500)]
    theirs = engine.encode_batch_fast(texts, add_special_tokens=False)
    for text, mine, encoding in zip(texts, gpt2_tokenizer.encode_batch(texts), theirs, strict=True):
        assert list(mine) == encoding.ids, text


@pytest.mark.parametrize("text", STORIES)
def test_gpt2_json_gives_the_same_ids_on_odd_text(
    text: str, gpt2_tokenizer: ByteLevelTokenizer, engine: Engine
) -> None:
    assert list(gpt2_tokenizer.encode(text)) == engine.encode(text, add_special_tokens=False).ids


# Characters that this Python's Unicode tables know: the two libraries may carry younger tables than each other.
known_characters = st.characters(codec="utf-8").filter(lambda c: unicodedata.category(c) != "Cn")


any_text = st.one_of(st.text(known_characters), st.binary().map(lambda data: data.decode("latin-1")))


@settings(max_examples=300, deadline=None)
@given(texts=st.lists(any_text, min_size=1, max_size=3))
def test_gpt2_json_gives_the_same_ids_on_any_text(
    gpt2_tokenizer: ByteLevelTokenizer, engine: Engine, texts: list[str]
) -> None:
    for text, ids in zip(texts, gpt2_tokenizer.encode_batch(texts), strict=True):
        assert list(ids) == engine.encode(text, add_special_tokens=False).ids
        assert list(gpt2_tokenizer.encode(text)) == list(ids)
        assert gpt2_tokenizer.decode(ids) == text


def test_white_space_is_cut_alike_however_wide() -> None:
    signs = [sign for sign in map(chr, range(0x3001)) if unicodedata.category(sign) in ("Cc", "Zs", "Zl", "Zp")]
    runs = [sign * width for sign in signs for width in (1, 2, 3)]
    ranks = train_ranks(runs * 2, 700)
    assert {b"   ", b"\n\n", "\u3000\u3000".encode()} <= set(ranks)
    tokenizer = ByteLevelTokenizer("bpe:701", ranks, eot=len(ranks))
    engine = Engine.from_str(tokenizer.to_json())
    texts = [before + run + after for run in runs for before in ("", "a") for after in ("", "b", " b", "\n")]
    texts += ["".join(text) for width in range(6) for text in product(" \na", repeat=width)]
    theirs = engine.encode_batch_fast(texts, add_special_tokens=False)
    for text, mine, encoding in zip(texts, tokenizer.encode_batch(texts), theirs, strict=True):
        assert list(mine) == list(tokenizer.encode(text)) == encoding.ids, text


@pytest.mark.long
def test_a_written_tokenizer_is_read_back(gpt2_file: Path, gpt2_tokenizer: ByteLevelTokenizer) -> None:
    again = load_tokenizer(gpt2_file)
    assert isinstance(again, ByteLevelTokenizer)
    assert (again.hash, again.ranks) == (gpt2_tokenizer.hash, gpt2_tokenizer.ranks)
    assert again.name == ("gpt2" if again.hash == GPT2_HASH else f"bpe:{again.vocabulary}")
    assert load_tokenizer(gpt2_file, "mine").name == "mine"


def test_encoding_many_is_encoding_each(small: ByteLevelTokenizer) -> None:
    tokens, lengths = small.encode_flat(STORIES)
    assert list(lengths) == [len(small.encode(text)) for text in STORIES]
    assert list(tokens) == [i for text in STORIES for i in small.encode(text)]
    assert small.encode_flat([])[0].shape == (0,)
    assert small.encode_batch([]) == []


def test_a_story_never_holds_the_special_token(small: ByteLevelTokenizer) -> None:
    for ids in small.encode_batch([EOT_TEXT, "ordinary", EOT_TEXT * 2]):
        assert small.eot not in ids


@settings(deadline=None)
@given(st.text())
def test_small_vocabulary_is_lossless_and_agrees_with_its_file(text: str) -> None:
    words = "the cat and the dog sat on the mat"
    tokenizer = ByteLevelTokenizer("bpe:270", train_ranks([words] * 2, 269), eot=269)
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_trained_tokens_agree_with_tokenizers(small: ByteLevelTokenizer) -> None:
    reference = Engine.from_str(small.to_json())
    reference.encode_special_tokens = True
    for text in [*STORIES, "the cats and dogs ran; the matted cat"]:
        assert list(small.encode(text)) == reference.encode(text, add_special_tokens=False).ids


def test_training_is_deterministic_and_counts_its_tokens(stories: Path) -> None:
    texts = [json.loads(line)["text"] for line in first_lines(stories / "validation.jsonl")]
    size = min(2000, 25 * len(texts))
    first, second = train_ranks(texts, size - 1), train_ranks(texts, size - 1)
    assert first == second
    assert list(first.values()) == list(range(size - 1))
    assert list(first)[:256] == byte_tokens()
    assert derive_merges(first) is not None
    tokenizer = ByteLevelTokenizer(f"bpe:{size}", first, eot=size - 1)
    reference = Engine.from_str(tokenizer.to_json())
    reference.encode_special_tokens = True
    for text in texts[:200]:
        assert list(tokenizer.encode(text)) == reference.encode(text, add_special_tokens=False).ids


def test_streamed_bytes_make_whole_characters(small: ByteLevelTokenizer) -> None:
    ids = small.encode("é🐉")
    assert b"".join(small.decode_bytes([i]) for i in ids) == "é🐉".encode()
    assert small.decode(ids[:1]) == "\ufffd"
    assert small.decode([small.eot]) == EOT_TEXT


def test_derived_merges_follow_the_ranks() -> None:
    ranks = {token: i for i, token in enumerate(byte_tokens())}
    for token in (b"ab", b"bc", b"abc", b"abcd"):
        ranks[token] = len(ranks)
    assert derive_merges(ranks) == [(b"a", b"b"), (b"b", b"c"), (b"ab", b"c"), (b"abc", b"d")]
    ranks[b"xyz"] = len(ranks)  # no pair makes it
    assert derive_merges(ranks) is None


def merged(token: bytes, ranks: dict[bytes, int]) -> list[bytes]:
    """`token` after all merges of lower ranks: the lowest rank first, the leftmost first."""
    parts = [token[i : i + 1] for i in range(len(token))]
    while len(parts) > 2:
        pairs = [(ranks.get(parts[i] + parts[i + 1], ranks[token]), i) for i in range(len(parts) - 1)]
        rank, at = min(pairs)
        if rank >= ranks[token]:
            break
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts


@settings(deadline=None, max_examples=500)
@given(st.lists(st.text("abc", min_size=1, max_size=6).map(str.encode), unique=True, max_size=14))
def test_derived_merges_are_those_of_merging(tokens: list[bytes]) -> None:
    ranks = {token: rank for rank, token in enumerate(tokens)}
    parts = [tuple(merged(token, ranks)) for token in tokens if len(token) > 1]
    assert derive_merges(ranks) == (parts if all(len(pair) == 2 for pair in parts) else None)


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), max_size=20))
def test_derived_merges_are_those_of_merging_where_all_tokens_are_made_of_others(
    choices: list[tuple[int, int]],
) -> None:
    tokens = [b"a", b"b"]
    for left, right in choices:
        if len(token := tokens[left % len(tokens)] + tokens[right % len(tokens)]) < 20 and token not in tokens:
            tokens.append(token)
    ranks = {token: rank for rank, token in enumerate(tokens)}
    parts = [tuple(merged(token, ranks)) for token in tokens[2:]]
    assert derive_merges(ranks) == (parts if all(len(pair) == 2 for pair in parts) else None)


def foreign_file(path: Path, special: str = "</s>", pattern: bool = True) -> Path:
    engine = Engine(models.BPE())
    splitter = pre_tokenizers.Split(pattern=" ", behavior="isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not pattern)
    engine.pre_tokenizer = pre_tokenizers.Sequence([splitter, byte_level]) if pattern else byte_level
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        show_progress=False,
        special_tokens=["<pad>", special],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    engine.train_from_iterator(["the cat sat on the mat"] * 4, trainer)
    engine.save(str(path))
    return path


def test_a_file_with_its_own_pattern_is_encoded_by_tokenizers(tmp_path: Path) -> None:
    path = foreign_file(tmp_path / "mine.json")
    tokenizer = load_tokenizer(path)
    assert isinstance(tokenizer, FileTokenizer)
    assert (tokenizer.name, tokenizer.eot) == ("mine", 1)
    text = "the cat </s> sat – 日本 "
    reference = Engine.from_file(str(path))
    reference.encode_special_tokens = True
    assert list(tokenizer.encode(text)) == reference.encode(text).ids
    assert tokenizer.eot not in tokenizer.encode(text)
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.vocabulary == reference.get_vocab_size()
    tokens, lengths = tokenizer.encode_flat([text, "", "cat"])
    assert list(tokens) == [*tokenizer.encode(text), *tokenizer.encode("cat")]
    assert lengths[1] == 0
    again = tmp_path / "again.json"
    again.write_text(tokenizer.to_json(), encoding="utf-8")
    assert load_tokenizer(again).hash == tokenizer.hash


def test_merges_that_the_ranks_do_not_imply_are_left_to_tokenizers(small: ByteLevelTokenizer, tmp_path: Path) -> None:
    document = json.loads(small.to_json())
    merges = document["model"]["merges"]
    merges[0], merges[1] = merges[1], merges[0]
    path = tmp_path / "swapped.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    assert isinstance(load_tokenizer(path), FileTokenizer)


def test_a_file_without_end_of_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no end-of-text"):
        load_tokenizer(foreign_file(tmp_path / "mine.json", special="<other>"))


def test_files_that_are_no_tokenizer_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        load_tokenizer(tmp_path / "absent.json")
    wrong = tmp_path / "wrong.json"
    wrong.write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match=r"is not a tokenizer\.json"):
        load_tokenizer(wrong)
    wrong.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="cannot be read as text"):
        load_tokenizer(wrong)
    wrong.write_text(json.dumps({"model": {"type": "WordPiece"}}), encoding="utf-8")
    with pytest.raises(InputError, match="WordPiece"):
        load_tokenizer(wrong)
    for model in ({"type": "BPE"}, {"type": "BPE", "vocab": {}, "merges": None}, {"type": "BPE", "vocab": []}):
        wrong.write_text(json.dumps({"model": model}), encoding="utf-8")
        with pytest.raises(InputError, match="is damaged: its model has no"):
            load_tokenizer(wrong)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gtp2", 'did you mean "gpt2"'),
        ("bpe:100", "257"),
        ("bpe:8k", 'did you mean "bpe:8192"'),
        ("absent.json", "does not exist"),
    ],
)
def test_unknown_tokenizer_names_are_refused(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_tokenizer_name(name)


def test_without_network_and_cache_gpt2_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    with pytest.raises(InputError, match=r"bpe:8192.*TIKTOKEN_CACHE_DIR"):
        gpt2.gpt2_tokenizer.__wrapped__()


def test_a_network_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(network, "PATIENCE_SECONDS", 0.2)

    def hang(url: str, timeout: float) -> None:
        time.sleep(30)  # longer than any timeout, as a name look-up can be
        raise OSError

    monkeypatch.setattr(network.urllib.request, "urlopen", hang)
    started = time.monotonic()
    with pytest.raises(InputError, match="network"):
        gpt2.gpt2_tokenizer.__wrapped__()
    assert time.monotonic() - started < 10


def test_the_cache_is_where_tiktoken_looks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR", raising=False)
    monkeypatch.setenv("DATA_GYM_CACHE_DIR", str(tmp_path))
    assert gpt2.cache_folder() == tmp_path
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    assert gpt2.cache_folder() is None


def test_byte_level_json_matches_the_ids_given() -> None:
    ranks = {token: i for i, token in enumerate(byte_tokens())}
    document = json.loads(byte_level_json(ranks, 256))
    assert document["model"]["vocab"]["Ġ"] == ranks[b" "]
    assert document["model"]["vocab"][EOT_TEXT] == 256
