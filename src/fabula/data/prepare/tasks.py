"""What workers do with a chunk: take the stories of one split out of it, and count, fingerprint or encode them.

All tasks are small frozen values, so that they travel to other processes; what they load (an index, a tokenizer) is
loaded once a process.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fabula.data.prepare.duplicates import HeldOut, hash64, normalise, resembling, shingles, story_keys
from fabula.data.stories.chunks import Chunk
from fabula.data.stories.reading import parse
from fabula.data.tokenizers.gpt2 import gpt2_tokenizer
from fabula.data.tokenizers.tokenizer import Tokenizer, load_tokenizer

HASHES = 2**64
Hashes = npt.NDArray[np.uint64]
IntArray = npt.NDArray[np.int64]


@lru_cache(maxsize=4)
def _held_out(folder: str) -> HeldOut:
    return HeldOut.load(Path(folder))


@dataclass(frozen=True)
class TokenizerFile:
    """A tokenizer by its file; GPT-2's own by name alone, for tiktoken's cache is the quicker way to it."""

    name: str
    path: str | None

    def load(self) -> Tokenizer:
        return gpt2_tokenizer() if self.path is None else _load(self.path, self.name)


@lru_cache(maxsize=4)
def _load(path: str, name: str) -> Tokenizer:
    return load_tokenizer(Path(path), name)


@dataclass(frozen=True)
class Selected:
    """The stories of a chunk that belong to a split."""

    texts: list[str]
    keys: Hashes
    letters: list[bytes]
    nats: npt.NDArray[np.float64] | None
    num_empty: int
    removed: tuple[int, ...]
    """Near-duplicates of each held-out split asked, in the order of `Selection.held_out`."""


@dataclass(frozen=True)
class Selection:
    """The stories whose key lies in [low, high) and that resemble none in the held-out indexes (folders)."""

    low: int = 0
    high: int = HASHES
    held_out: tuple[str, ...] = ()

    def of(self, chunk: Chunk) -> Selected:
        parsed = parse(chunk)
        letters = [normalise(text) for text in parsed.texts]
        keys = story_keys(parsed.texts, letters)
        kept = np.flatnonzero((keys >= np.uint64(self.low)) & (keys <= np.uint64(self.high - 1)))
        removed = []
        alike = np.zeros(len(kept), bool)
        indexes = [_held_out(folder) for folder in self.held_out]
        for like_this in resembling(indexes, keys[kept], [letters[i] for i in kept]):
            removed.append(int((like_this & ~alike).sum()))
            alike |= like_this
        kept = kept[~alike]
        return Selected(
            texts=[parsed.texts[i] for i in kept],
            keys=keys[kept],
            letters=[letters[i] for i in kept],
            nats=None if parsed.nats is None else parsed.nats[kept],
            num_empty=parsed.num_empty,
            removed=tuple(removed),
        )


@dataclass(frozen=True)
class Counted:
    keys: Hashes
    num_bytes: IntArray
    candidates: list[tuple[int, str]]
    """Place in the chunk and text of the stories that a held-out split may take."""
    parsed: Chunk | None
    """The chunk with its stories read, where they are to be kept."""


@dataclass(frozen=True)
class Count:
    """Read the stories of a chunk; hand back those with a key under `low` or from `high` on."""

    low: int
    high: int
    keep: bool

    def __call__(self, chunk: Chunk) -> Counted:
        selected = Selection().of(chunk)
        outside = np.zeros(len(selected.keys), bool)
        if self.low > 0:
            outside |= selected.keys <= np.uint64(self.low - 1)
        if self.high < HASHES:
            outside |= selected.keys >= np.uint64(self.high)
        return Counted(
            keys=selected.keys,
            num_bytes=np.array([len(text.encode()) for text in selected.texts], np.int64),
            candidates=[(int(i), selected.texts[i]) for i in np.flatnonzero(outside)],
            parsed=_with_stories_read(chunk, selected) if self.keep else None,
        )


def _with_stories_read(chunk: Chunk, selected: Selected) -> Chunk:
    texts, num_empty = tuple(selected.texts), selected.num_empty
    return Chunk("texts", chunk.where, chunk.first, chunk.weight, texts=texts, num_empty=num_empty)


@dataclass(frozen=True)
class Fingerprints:
    keys: Hashes
    shingles: Hashes
    owners: IntArray


@dataclass(frozen=True)
class Fingerprint:
    """Keys and shingles of a split's stories; keys alone for `rate` None."""

    selection: Selection
    rate: int | None

    def __call__(self, chunk: Chunk) -> Fingerprints:
        selected = self.selection.of(chunk)
        if self.rate is None:
            return Fingerprints(selected.keys, np.zeros(0, np.uint64), np.zeros(0, np.int64))
        return Fingerprints(selected.keys, *shingles(selected.letters, self.rate))


@dataclass(frozen=True)
class Sample:
    """The texts of a split whose story hash is under `below`."""

    selection: Selection
    below: int

    def __call__(self, chunk: Chunk) -> list[str]:
        texts = self.selection.of(chunk).texts
        return [text for text in texts if hash64(text.encode()) < self.below]


@dataclass(frozen=True)
class Encoded:
    """The stories of a chunk as arrays, one number a story but for `tokens`."""

    tokens: npt.NDArray[Any]
    lengths: IntArray
    num_bytes: IntArray
    story_hashes: Hashes
    gpt2_lengths: IntArray | None
    nats: npt.NDArray[np.float64] | None
    num_empty: int
    removed: tuple[int, ...]


@dataclass(frozen=True)
class Encode:
    selection: Selection
    tokenizer: TokenizerFile
    dtype: str
    with_gpt2_lengths: bool

    def __call__(self, chunk: Chunk) -> Encoded:
        selected = self.selection.of(chunk)
        tokens, lengths = self.tokenizer.load().encode_flat(selected.texts)
        num_bytes, story_hashes = _facts(selected.texts)
        gpt2_lengths = None
        if self.with_gpt2_lengths:
            gpt2_lengths = lengths if self.tokenizer.path is None else gpt2_tokenizer().encode_flat(selected.texts)[1]
        return Encoded(
            tokens=tokens.astype(self.dtype),
            lengths=lengths,
            num_bytes=num_bytes,
            story_hashes=story_hashes,
            gpt2_lengths=gpt2_lengths,
            nats=selected.nats,
            num_empty=selected.num_empty,
            removed=selected.removed,
        )


def _facts(texts: Sequence[str]) -> tuple[IntArray, Hashes]:
    encoded = [text.encode() for text in texts]
    hashes = np.array([hash64(data) for data in encoded], np.uint64)
    return np.array([len(data) for data in encoded], np.int64), hashes
