"""Near-duplicates across splits: what counts as the same story, and an index of held-out stories to ask.

Two stories are near-duplicates when their letters and digits are equal (case, spacing and punctuation aside), or when
at least half of the shingles of the one with fewer occur in the other. A shingle is a run of 32 letters and digits
(six to eight words); one in eight is kept, chosen by its hash, which leaves the share unbiased and the index small.
With fewer than eight kept shingles (a story of a few lines) only the first rule applies. Shingles that more than 100
held-out stories share are formulas ("once upon a time there was a little girl named"), no evidence of copying.
"""

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

SHINGLE = 32
SHARE = 0.5
MIN_SHINGLES = 8
FORMULA = 100
EXACT_RULE = "equal letters and digits (a grammar's stories share their sentences by design)"

BLOCK = 2**14
"""Letters whose shingles are made at once."""

Hashes = npt.NDArray[np.uint64]
Runs = tuple[Hashes, npt.NDArray[np.int64]]
"""Hashes, and the index of the story each belongs to."""


def shingle_rule(rate: int) -> str:
    """The rule in one sentence, as the manifest states it."""
    return (
        f"equal letters and digits, or at least {SHARE:.0%} of the {SHINGLE}-character shingles of the story with "
        f"fewer in common (letters and digits only, one shingle in {rate} kept by hash, at least {MIN_SHINGLES} kept, "
        f"those of more than {FORMULA} held-out stories ignored)"
    )


_DROPPED = bytes(byte for byte in range(128) if not chr(byte).isalnum())
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_NOT_ALNUM = re.compile(r"[\W_]+")  # what `str.isalnum` denies
_TABLE = np.random.PCG64(20231107).random_raw(256)  # a number for each byte value
_BASE = 0x9E3779B97F4A7C15  # odd, so that no step of the polynomial hash loses information


def normalise(text: str) -> bytes:
    """The letters and digits of `text`, case folded, as UTF-8."""
    # Beyond ASCII, most texts have quotation marks and dashes alone: without them, five times as fast as in full.
    if text.isascii() or all(map(_is_mark, set(_NOT_ASCII.findall(text)))):
        return text.encode("ascii", "ignore").lower().translate(None, _DROPPED)
    return _NOT_ALNUM.sub("", _folded(text)).encode()


@cache
def _is_mark(sign: str) -> bool:
    """Whether `sign` stands for no letter or digit, neither by itself nor with an ASCII sign before it."""
    return not any(map(str.isalnum, _folded(sign))) and not unicodedata.combining(sign)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def hash64(data: bytes) -> int:
    """A stable 64-bit hash of bytes (BLAKE2b)."""
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def story_keys(texts: Sequence[str], normalised: Sequence[bytes]) -> Hashes:
    """One hash a story, equal for stories with equal letters and digits (for equal texts where there are none)."""
    keys = [hash64(letters or text.encode()) for text, letters in zip(texts, normalised, strict=True)]
    return np.array(keys, np.uint64)


def _kept_runs(normalised: Sequence[bytes], rate: int) -> Runs:
    """Kept shingles of each story, repeats among them, and the index of the story each belongs to, story by story.

    Polynomial hashes of all runs of SHINGLE bytes, by doubling: a run of 2k is two runs of k. Block by block, in memory
    that stays in the cache: three to four times as fast as all at once.
    """
    letters = np.frombuffer(b"".join(normalised), np.uint8)
    limit = _limit(rate)
    one, other = np.empty((2, BLOCK + SHINGLE - 1), np.uint64)
    kept, hashes = [np.zeros(0, np.int64)], [np.zeros(0, np.uint64)]
    for start in range(0, len(letters) - SHINGLE + 1, BLOCK):
        block = letters[start : start + BLOCK + SHINGLE - 1]
        num = len(block)
        np.take(_TABLE, block, out=one[:num])
        size, power = 1, _BASE
        while size < SHINGLE:
            num -= size
            np.multiply(one[:num], np.uint64(power), out=other[:num])
            other[:num] += one[size : size + num]
            one, other = other, one
            size, power = 2 * size, power * power % 2**64
        places = np.flatnonzero(one[:num] <= limit)
        kept.append(places + start)
        hashes.append(one[places])
    places = np.concatenate(kept)
    ends = np.cumsum([len(story) for story in normalised], dtype=np.int64)
    owners = np.searchsorted(ends, places, side="right")
    inside = places + SHINGLE <= ends[owners]  # a run across the border of two stories is nobody's
    return np.concatenate(hashes)[inside], owners[inside]


def _at_rate(runs: Runs, rate: int) -> Runs:
    """Of runs that were kept at a smaller rate, those that are kept at this one."""
    hashes, owners = runs
    kept = hashes <= _limit(rate)
    return hashes[kept], owners[kept]


def _limit(rate: int) -> np.uint64:
    return np.uint64((2**64 - 1) // rate)


def shingles(normalised: Sequence[bytes], rate: int = 8) -> Runs:
    """Kept shingles of each story without repeats, and the index of the story each belongs to, story by story."""
    hashes, owners = _kept_runs(normalised, rate)
    order = np.lexsort((hashes, owners))
    hashes, owners = hashes[order], owners[order]
    fresh = np.ones(len(hashes), bool)
    fresh[1:] = (hashes[1:] != hashes[:-1]) | (owners[1:] != owners[:-1])
    return hashes[fresh], owners[fresh]


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Index of held-out stories. S stories, N kept shingles; memory-mapped, so that all processes share it."""

    keys: Hashes
    """[S] sorted."""
    shingles: Hashes
    """[N] sorted."""
    owners: npt.NDArray[np.int64]
    """[N]: the story of each shingle."""
    counts: npt.NDArray[np.int64]
    """[S]: kept shingles of each story, formulas included."""
    occupied: npt.NDArray[np.bool_]
    """[a power of two]: whether any shingle has these low bits; spares most of the binary searches."""
    rate: int

    _ARRAYS: ClassVar = ("keys", "shingles", "owners", "counts", "occupied")

    @staticmethod
    def build(keys: Hashes, hashes: Hashes, owners: npt.NDArray[np.int64], rate: int = 8) -> "HeldOut":
        """From the stories' keys [S], their shingles and the story of each shingle (0 .. S - 1)."""
        counts = np.bincount(owners, minlength=len(keys))
        order = np.argsort(hashes, kind="stable")
        hashes, owners = hashes[order], owners[order]
        firsts = np.searchsorted(hashes, hashes, side="left")
        lasts = np.searchsorted(hashes, hashes, side="right")
        telling = lasts - firsts <= FORMULA
        hashes, owners = hashes[telling], owners[telling]
        occupied = np.zeros(2 ** int(np.clip(np.ceil(np.log2(16 * len(hashes) + 1)), 10, 26)), bool)
        occupied[hashes & np.uint64(len(occupied) - 1)] = True
        return HeldOut(np.sort(keys), hashes, owners, counts, occupied, rate)

    def save(self, folder: Path) -> None:
        folder.mkdir()
        for name in HeldOut._ARRAYS:
            np.save(folder / f"{name}.npy", getattr(self, name))
        np.save(folder / "rate.npy", np.array(self.rate))

    @staticmethod
    def load(folder: Path) -> "HeldOut":
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in HeldOut._ARRAYS}
        return HeldOut(**arrays, rate=int(np.load(folder / "rate.npy")))

    def resembling(self, keys: Hashes, normalised: Sequence[bytes], runs: Runs) -> npt.NDArray[np.bool_]:
        """Which of the given stories, of which `runs` are the kept ones, are near-duplicates of a held-out one."""
        if not len(self.keys):
            return np.zeros(len(keys), bool)
        runs = _at_rate(runs, self.rate)
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        alike: npt.NDArray[np.bool_] = self.keys[at] == keys
        hashes, owners = runs
        likely = self.occupied[hashes & np.uint64(len(self.occupied) - 1)]
        hashes, owners = hashes[likely], owners[likely]
        shared = np.searchsorted(self.shingles, hashes, "left") < np.searchsorted(self.shingles, hashes, "right")
        # Most stories share too little with all held-out ones together, and only the rest is worth an exact count.
        suspects = np.flatnonzero(np.bincount(owners[shared], minlength=len(keys)) >= SHARE * MIN_SHINGLES)
        alike[suspects[self._share_most([normalised[i] for i in suspects.tolist()])]] = True
        return alike

    def _share_most(self, normalised: Sequence[bytes]) -> npt.NDArray[np.int64]:
        """The indices of those stories of which, or of a held-out one, at least SHARE is the same."""
        hashes, owners = shingles(normalised, self.rate)
        counts = np.bincount(owners, minlength=len(normalised))
        firsts = np.searchsorted(self.shingles, hashes, side="left")
        lasts = np.searchsorted(self.shingles, hashes, side="right")
        times = lasts - firsts
        # Every (story, held-out story) pair that shares a shingle, once for each shingle that they share.
        asking = np.repeat(owners, times)
        within = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
        asked = self.owners[np.repeat(firsts, times) + within]
        pairs, shared = np.unique(asking * len(self.counts) + asked, return_counts=True)
        asking, asked = np.divmod(pairs, len(self.counts))
        fewer = np.minimum(counts[asking], self.counts[asked])
        return np.unique(asking[(fewer >= MIN_SHINGLES) & (shared >= SHARE * fewer)])


def resembling(held_out: Sequence[HeldOut], keys: Hashes, normalised: Sequence[bytes]) -> list[npt.NDArray[np.bool_]]:
    """Which of the given stories are near-duplicates of a story in each index."""
    runs: Runs = np.zeros(0, np.uint64), np.zeros(0, np.int64)
    if rates := [index.rate for index in held_out if len(index.shingles)]:
        runs = _kept_runs(normalised, min(rates))  # those of a larger rate are among them
    return [index.resembling(keys, normalised, runs) for index in held_out]
