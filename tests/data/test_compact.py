"""`gpt2-compact`: lossless, equal to GPT-2 on what it keeps, and the start of a proper distribution over texts."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.stories import texts_of
from tests.homes import OWN_AND_REAL, SHARED
from tests.stand_in import WRITTEN, gpt2_of
from tokenizers import Tokenizer as Engine

from fabula.data.dataset import Dataset, open_dataset
from fabula.data.prepare.compact import compact_ranks
from fabula.data.prepare.preparation import prepare
from fabula.data.tokenizers.bpe import byte_tokens, derive_merges
from fabula.data.tokenizers.tokenizer import ByteLevelTokenizer, load_tokenizer

STORY = "Once upon a time, there was a little dog named Max. Max didn't like the rain, but he liked his red ball."


def compact_of(gpt2: ByteLevelTokenizer, text: str) -> ByteLevelTokenizer:
    kept = compact_ranks(gpt2.ranks, set(gpt2.encode(text).tolist()))
    return ByteLevelTokenizer("gpt2-compact", kept, eot=len(kept))


@pytest.fixture(scope="module", params=OWN_AND_REAL)
def whole(request: pytest.FixtureRequest) -> ByteLevelTokenizer:
    """GPT-2's tokenizer, or what stands in for it."""
    with gpt2_of(request.param) as tokenizer:
        return tokenizer


@pytest.fixture(scope="module", params=OWN_AND_REAL)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stories under "gpt2" and "gpt2-compact"."""
    out = tmp_path_factory.mktemp("compact") / "data"
    stories = WRITTEN if request.param == "own" else SHARED / "data" / "tinystories"
    with gpt2_of(request.param):
        prepare(str(stories), out, tokenizer="gpt2", limit=2000)
        prepare(str(stories), out, tokenizer="gpt2-compact", limit=2000)
    return out


@pytest.fixture(scope="module")
def compact(folder: Path) -> Dataset:
    return open_dataset(folder, "gpt2-compact")


def test_ancestors_are_kept() -> None:
    ranks = {token: i for i, token in enumerate(byte_tokens())}
    for token in (b"ab", b"cd", b"abc", b"abcd", b"abcde", b"xy"):
        ranks[token] = len(ranks)
    assert derive_merges(ranks)[-3:] == [(b"ab", b"cd"), (b"abcd", b"e"), (b"x", b"y")]
    kept = compact_ranks(ranks, {ranks[b"abcde"]})
    assert list(kept)[256:] == [b"ab", b"cd", b"abcd", b"abcde"]  # not abc: nothing that is kept is made from it
    assert list(kept.values()) == list(range(260))


@pytest.mark.long
def test_the_training_split_is_gpt2s_renumbered(folder: Path, compact: Dataset) -> None:
    gpt2 = open_dataset(folder, "gpt2")
    theirs, mine = gpt2.split("train"), compact.split("train")
    assert (mine.lengths == theirs.lengths).all()
    pairs = np.unique(np.stack([theirs.tokens, mine.tokens], axis=1), axis=0)
    assert len(pairs) == len(np.unique(theirs.tokens)) == len(np.unique(mine.tokens))  # one to one
    assert (np.diff(pairs[:, 1].astype(int)) > 0).all()  # in GPT-2's order
    for id_there, own in pairs[::50].tolist():
        assert gpt2.tokenizer.decode_bytes([id_there]) == compact.tokenizer.decode_bytes([own])


@pytest.mark.long
def test_it_is_much_smaller_and_holds_the_bytes(folder: Path, compact: Dataset) -> None:
    used = len(np.unique(compact.split("train").tokens))
    assert used + 100 < compact.tokenizer.vocabulary < 0.7 * open_dataset(folder, "gpt2").tokenizer.vocabulary
    assert compact.tokenizer.eot == compact.tokenizer.vocabulary - 1
    for byte in range(256):
        assert bytes([byte]) in compact.tokenizer.ranks


@pytest.mark.long
def test_held_out_stories_come_back_and_count_in_gpt2_tokens(folder: Path, compact: Dataset) -> None:
    gpt2 = open_dataset(folder, "gpt2")
    assert texts_of(compact, "validation") == texts_of(gpt2, "validation")
    assert compact.split("validation").gpt2_lengths.tolist() == gpt2.split("validation").lengths.tolist()
    longer = compact.split("validation").num_tokens / gpt2.split("validation").num_tokens
    # Words that no training story has are spelt out; a few stories leave many of them.
    assert 1 <= longer < (1.02 if compact.split("train").num_stories > 1000 else 2.0)


def test_its_file_encodes_the_same_in_tokenizers(folder: Path, compact: Dataset) -> None:
    path = folder / "tokens" / "gpt2-compact" / "tokenizer.json"
    engine = Engine.from_file(str(path))
    engine.encode_special_tokens = True
    texts = [*texts_of(compact, "validation")[:200], "Zoë’s 日本 🐉 <|endoftext|>", ""]
    for text, ids in zip(texts, compact.tokenizer.encode_batch(texts), strict=True):
        assert engine.encode(text, add_special_tokens=False).ids == list(ids)
    assert load_tokenizer(path).hash == compact.tokenizer.hash
    assert json.loads(path.read_text("utf-8"))["model"]["vocab"]["<|endoftext|>"] == compact.tokenizer.eot


@pytest.fixture(scope="module")
def compact_of_a_story(whole: ByteLevelTokenizer) -> ByteLevelTokenizer:
    return compact_of(whole, STORY)


@settings(deadline=None)
@given(text=st.one_of(st.text(), st.text("once upn atime,'\n ", max_size=60)))
def test_any_text_is_encoded_without_loss(
    compact_of_a_story: ByteLevelTokenizer, whole: ByteLevelTokenizer, text: str
) -> None:
    tokenizer = compact_of_a_story
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert tokenizer.eot not in ids
    spelt = [whole.decode_bytes([i]) for i in whole.encode(text).tolist()]
    all_kept = all(token in tokenizer.ranks for token in spelt)
    assert ([tokenizer.decode_bytes([i]) for i in ids] == spelt) == all_kept


def test_the_probabilities_of_all_texts_sum_to_at_most_one(whole: ByteLevelTokenizer) -> None:
    """Nats per token of a model over these tokens are those of a proper distribution over texts.

    No two texts have one encoding, and end-of-text makes no encoding the beginning of another; so under any model
    the probabilities of different texts add up to at most 1, and the total for a text is a fair -log p of it.
    """
    tokenizer = compact_of(whole, "the the he heat tea")
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
    from fabula.data.prepare import preparation
    from fabula.errors import InputError

    def absent() -> None:
        raise InputError("the GPT-2 vocabulary is not in tiktoken's cache")

    monkeypatch.setattr(preparation, "gpt2_tokenizer", absent)
    with pytest.raises(InputError, match="not in tiktoken's cache"):
        prepare("grammar", tmp_path / "out", tokenizer="gpt2-compact", limit=100)
