"""How much of a text stands word for word in the training stories.

Nothing is kept of the stories: their tokens are read once, some millions at a time, and held against a table of the
texts' own groups of eight. 3.7 million tokens take half a second and 31 MB; more take more time and the same memory.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fabula.score.copies import mixed

GRAM = 8
CHUNK = 1 << 20
TABLE_BITS = 22


def copied_shares(texts: Sequence[Sequence[int]], corpus: npt.NDArray[Any]) -> list[float | None]:
    """For each text (token ids), the share of its groups of eight tokens that `corpus` (ids end to end) holds as they
    are; None for a text of fewer than eight."""
    return [float(each.mean()) if len(each) else None for each in copied_groups(texts, corpus)]


def copied_places(is_copied: npt.NDArray[np.bool_], least: int) -> list[tuple[int, int]]:
    """From `copied_groups` of a text: its stretches of at least `least` tokens in which every group of eight stands
    there, as first token and the one behind the last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_copied, [False]]).astype(np.int8)))
    stretches = ((int(start), int(stop) - 1 + GRAM) for start, stop in zip(edges[::2], edges[1::2], strict=True))
    return [(start, stop) for start, stop in stretches if stop - start >= least]


def copied_groups(texts: Sequence[Sequence[int]], corpus: npt.NDArray[Any]) -> list[npt.NDArray[np.bool_]]:
    """For each text (token ids), which of its groups of eight tokens `corpus` (ids end to end) holds as they are. Two
    groups count as equal where 64 bits of a hash are."""
    hashes = [_hashes(np.asarray(text, dtype=np.int64)) for text in texts]
    wanted = np.unique(np.concatenate(hashes)) if hashes else np.zeros(0, np.uint64)
    found = np.zeros(len(wanted), dtype=bool)
    table = np.zeros(1 << TABLE_BITS, dtype=bool)
    shift = np.uint64(64 - TABLE_BITS)
    table[wanted >> shift] = True
    for start in range(0, len(corpus) - GRAM + 1, CHUNK):
        there = _hashes(corpus[start : start + CHUNK + GRAM - 1])
        there = there[table[there >> shift]]
        place = np.searchsorted(wanted, there)
        place[place == len(wanted)] = 0
        found[place[wanted[place] == there]] = True
    return [found[np.searchsorted(wanted, each)] for each in hashes]


def _hashes(tokens: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
    """Of each group of eight."""
    number = max(0, len(tokens) - GRAM + 1)
    return mixed([tokens[shift : shift + number] for shift in range(GRAM)])
