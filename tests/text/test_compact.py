"""`gpt2-compact`: lossless, equal to GPT-2 on what it keeps, and the start of a proper distribution over texts."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.text.stories import texts_of
from tokenizers import Tokenizer as Engine

from fabula.text.bpe import byte_tokens, derive_merges
from fabula.text.compact import compact_ranks
from fabula.text.gpt2 import gpt2_tokenizer, is_cached
from fabula.text.prepare import prepare
from fabula.text.prepared import PreparedData, open_prepared
from fabula.text.tokenizers import ByteLevelTokenizer, load_tokenizer

STORY = "Once upon a time, there was a little dog named Max. Max didn't like the rain, but he liked his red ball."


def compact_of(text: str) -> ByteLevelTokenizer:
    if not is_cached():
        pytest.skip("tiktoken's cache holds no GPT-2 vocabulary")
    kept = compact_ranks(gpt2_tokenizer().ranks, set(gpt2_tokenizer().encode(text).tolist()))
    return ByteLevelTokenizer("gpt2-compact", kept, eot=len(kept))


@pytest.fixture(scope="module")
def folder(tinystories: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("compact") / "data"
    prepare(str(tinystories), out, tokenizer="gpt2", limit=2000)
    prepare(str(tinystories), out, tokenizer="gpt2-compact", limit=2000)
    return out


@pytest.fixture(scope="module")
def compact(folder: Path) -> PreparedData:
    return open_prepared(folder, "gpt2-compact")


def test_ancestors_are_kept() -> None:
    ranks = {token: i for i, token in enumerate(byte_tokens())}
    for token in (b"ab", b"cd", b"abc", b"abcd", b"abcde", b"xy"):
        ranks[token] = len(ranks)
    assert derive_merges(ranks)[-3:] == [(b"ab", b"cd"), (b"abcd", b"e"), (b"x", b"y")]
    kept = compact_ranks(ranks, {ranks[b"abcde"]})
    assert list(kept)[256:] == [b"ab", b"cd", b"abcd", b"abcde"]  # not abc: nothing that is kept is made from it
    assert list(kept.values()) == list(range(260))


def test_the_training_split_is_gpt2s_renumbered(folder: Path, compact: PreparedData) -> None:
    gpt2 = open_prepared(folder, "gpt2").split("train")
    mine = compact.split("train")
    assert (mine.lengths == gpt2.lengths).all()
    pairs = np.unique(np.stack([gpt2.tokens, mine.tokens], axis=1), axis=0)
    assert len(pairs) == len(np.unique(gpt2.tokens)) == len(np.unique(mine.tokens))  # one to one
    assert (np.diff(pairs[:, 1].astype(int)) > 0).all()  # in GPT-2's order
    decode = gpt2_tokenizer().decode_bytes
    for theirs, own in pairs[::50].tolist():
        assert decode([theirs]) == compact.tokenizer.decode_bytes([own])


def test_it_is_much_smaller_and_holds_the_bytes(compact: PreparedData) -> None:
    assert 2000 < compact.tokenizer.vocabulary < 12000
    assert compact.tokenizer.eot == compact.tokenizer.vocabulary - 1
    for byte in range(256):
        assert bytes([byte]) in compact.tokenizer.ranks


def test_held_out_stories_come_back_and_count_in_gpt2_tokens(folder: Path, compact: PreparedData) -> None:
    gpt2 = open_prepared(folder, "gpt2")
    assert texts_of(compact, "validation") == texts_of(gpt2, "validation")
    assert compact.split("validation").gpt2_lengths.tolist() == gpt2.split("validation").lengths.tolist()
    longer = compact.split("validation").num_tokens / gpt2.split("validation").num_tokens
    assert 1 <= longer < 1.02  # words that no training story has are spelt out


def test_its_file_encodes_the_same_in_tokenizers(folder: Path, compact: PreparedData) -> None:
    path = folder / "tokens" / "gpt2-compact" / "tokenizer.json"
    engine = Engine.from_file(str(path))
    engine.encode_special_tokens = True
    texts = [*texts_of(compact, "validation")[:200], "Zoë’s 日本 🐉 <|endoftext|>", ""]
    for text, ids in zip(texts, compact.tokenizer.encode_batch(texts), strict=True):
        assert engine.encode(text, add_special_tokens=False).ids == list(ids)
    assert load_tokenizer(path).hash == compact.tokenizer.hash
    assert json.loads(path.read_text("utf-8"))["model"]["vocab"]["<|endoftext|>"] == compact.tokenizer.eot


_compact: list[ByteLevelTokenizer] = []


@settings(deadline=None)
@given(st.one_of(st.text(), st.text("once upn atime,'\n ", max_size=60)))
def test_any_text_is_encoded_without_loss(text: str) -> None:
    if not _compact:
        _compact.append(compact_of(STORY))
    tokenizer = _compact[0]
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert tokenizer.eot not in ids
    theirs = gpt2_tokenizer().encode(text).tolist()
    spelt = [gpt2_tokenizer().decode_bytes([i]) for i in theirs]
    if all(token in tokenizer.ranks for token in spelt):
        assert [tokenizer.decode_bytes([i]) for i in ids] == spelt
    else:
        assert len(ids) > len(theirs)


def test_the_probabilities_of_all_texts_sum_to_at_most_one() -> None:
    """Nats per token of a model over these tokens are those of a proper distribution over texts.

    No two texts have one encoding, and end-of-text makes no encoding the beginning of another; so under any model
    the probabilities of different texts add up to at most 1, and the total for a text is a fair -log p of it.
    """
    tokenizer = compact_of("the the he heat tea")
    generator = np.random.default_rng(0)
    weights = generator.random(tokenizer.vocabulary) ** 20 + 1e-3
    for text in ("t", "h", "e", " the", "the", "he"):
        for index in tokenizer.encode(text):
            weights[index] += 50
    weights[tokenizer.eot] += 50
    log_p = np.log(weights / weights.sum())
    total, seen = 0.0, set()
    for length in range(7):
        for letters in itertools.product("the ", repeat=length):
            ids = (*tokenizer.encode("".join(letters)).tolist(), tokenizer.eot)
            assert ids not in seen
            seen.add(ids)
            total += float(np.exp(sum(log_p[i] for i in ids)))
    assert 0.3 < total <= 1


def test_gpt2s_absence_is_said_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fabula.errors import InputError
    from fabula.text import prepare as room

    def absent() -> None:
        raise InputError("the GPT-2 vocabulary is not in tiktoken's cache")

    monkeypatch.setattr(room, "gpt2_tokenizer", absent)
    with pytest.raises(InputError, match="not in tiktoken's cache"):
        prepare("grammar", tmp_path / "out", tokenizer="gpt2-compact", limit=100)
