"""What of a text stands word for word in the training stories: how long the longest stretch is, and where each stands.

A stretch of LEAST tokens or more contains one of the corpus's grams of GRAM tokens that begin at every STRIDE-th place.
So only those places are looked up, all queries at once, and what is found there is extended both ways: a hundred
tokens against 3.7 million in a few hundredths of a second, and against 500 million in seconds, without an index.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

LEAST = 8
"""Shorter stretches are common to all stories and count as none."""
GRAM = 4
STRIDE = LEAST - GRAM + 1
TABLE_BITS = 22
"""Size of the table of hashes: 4 MB, of which 2,000 grams fill a twentieth of a per cent."""
CHUNK = 1 << 22

Tokens = npt.NDArray[np.int64]


def longest_copies(queries: Sequence[npt.ArrayLike], corpus: npt.NDArray[Any]) -> list[int]:
    """For each query (token ids), the length of its longest stretch that `corpus` holds as it is; 0 below LEAST.

    `corpus`: token ids end to end, memory-mapped or not; a stretch may cross the end of a story, as no completion does.
    """
    longest = np.zeros(len(queries), dtype=np.int64)
    for rows, _, lengths in _common(queries, corpus):
        np.maximum.at(longest, rows, lengths)
    return [int(length) if length >= LEAST else 0 for length in longest]


def copied_stretches(queries: Sequence[npt.ArrayLike], corpus: npt.NDArray[Any]) -> list[list[tuple[int, int]]]:
    """For each query (token ids), where it stands in `corpus` as it is, LEAST tokens or more: ranges [first, end), in
    order, those that touch or overlap as one."""
    # The furthest end from each place: a common phrase is found once a story, which is no list to keep.
    ends = np.zeros((len(queries), max((np.size(query) for query in queries), default=0)), dtype=np.int64)
    for rows, firsts, lengths in _common(queries, corpus):
        long = lengths >= LEAST
        np.maximum.at(ends, (rows[long], firsts[long]), (firsts + lengths)[long])
    return [_merged(own) for own in ends]


def _merged(ends: Tokens) -> list[tuple[int, int]]:
    """`ends`: by the place where a range begins; 0 where none does."""
    ranges: list[tuple[int, int]] = []
    for first in map(int, np.flatnonzero(ends)):
        end = int(ends[first])
        if ranges and first <= ranges[-1][1]:
            ranges[-1] = ranges[-1][0], max(end, ranges[-1][1])
        else:
            ranges.append((first, end))
    return ranges


def _common(queries: Sequence[npt.ArrayLike], corpus: npt.NDArray[Any]) -> Iterator[tuple[Tokens, Tokens, Tokens]]:
    """Stretches that queries and corpus have in common, none of them could be longer where it stands: the query, the
    place in it, the length. Every one of LEAST tokens or more is among them, and some shorter ones are."""
    texts = [np.asarray(query, dtype=np.int64) for query in queries]
    places = [(np.full(max(0, len(text) - GRAM + 1), row), np.arange(len(text) - GRAM + 1)) for row, text in
              enumerate(texts) if len(text) >= LEAST]  # fmt: skip
    if not places:
        return
    rows, starts = (np.concatenate(each) for each in zip(*places, strict=True))
    # All queries in one array with walls between them, which equal no token.
    edges = np.cumsum([0, *(len(text) + 1 for text in texts)])
    joined = np.full(edges[-1] + 1, -1, dtype=np.int64)
    for text, edge in zip(texts, edges[:-1], strict=True):
        joined[edge + 1 : edge + 1 + len(text)] = text
    at = edges[rows] + 1 + starts
    keys = _hash([joined[at + shift] for shift in range(GRAM)])
    order = np.argsort(keys, kind="stable")
    keys, at, rows, starts = keys[order], at[order], rows[order], starts[order]
    table = np.zeros(1 << TABLE_BITS, dtype=bool)
    table[keys] = True
    for found, place in _candidates(corpus, table, keys):
        before, lengths = _extended(joined, at[found], corpus, place)
        yield rows[found], starts[found] - before, lengths


def mixed(grams: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.uint64]:
    """A hash of 64 bits of each gram; `grams`: their first tokens, their second ones, ..."""
    value = np.zeros(len(grams[0]), dtype=np.uint64)
    for gram in grams:
        value = (value ^ gram.astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        value ^= value >> np.uint64(29)
    return value


def _hash(grams: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.int64]:
    return (mixed(grams) >> np.uint64(64 - TABLE_BITS)).astype(np.int64)


def _candidates(
    corpus: npt.NDArray[Any], table: npt.NDArray[np.bool_], keys: Tokens
) -> Iterator[tuple[Tokens, Tokens]]:
    """Pairs (index of a query's gram, place in the corpus) with equal hashes, chunk by chunk."""
    last = len(corpus) - GRAM
    for start in range(0, last + 1, CHUNK * STRIDE):
        place = np.arange(start, min(start + CHUNK * STRIDE, last + 1), STRIDE)
        hashes = _hash([corpus[start + shift : start + shift + len(place) * STRIDE : STRIDE][: len(place)]
                        for shift in range(GRAM)])  # fmt: skip
        hit = np.flatnonzero(table[hashes])
        place, hashes = place[hit], hashes[hit]
        first, stop = np.searchsorted(keys, hashes, "left"), np.searchsorted(keys, hashes, "right")
        counts = stop - first
        offsets = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        yield np.repeat(first, counts) + offsets, np.repeat(place, counts)


def _extended(joined: Tokens, at: Tokens, corpus: npt.NDArray[Any], place: Tokens) -> tuple[Tokens, Tokens]:
    """Tokens around each pair of places that are equal one by one: how many stand before it, and all; 0 and 0 where the
    gram itself is not."""
    forward = _equal_tokens(joined, at, corpus, place, 1)
    backward = _equal_tokens(joined, at - 1, corpus, place - 1, -1)
    same = forward >= GRAM
    return np.where(same, backward, 0), np.where(same, forward + backward, 0)


def _equal_tokens(joined: Tokens, at: Tokens, corpus: npt.NDArray[Any], place: Tokens, direction: int) -> Tokens:
    lengths = np.zeros(len(at), dtype=np.int64)
    alive = np.arange(len(at))
    while len(alive):
        there = place[alive] + direction * lengths[alive]
        inside = (there >= 0) & (there < len(corpus))
        alive, there = alive[inside], there[inside]
        same = joined[at[alive] + direction * lengths[alive]] == corpus[there]
        alive = alive[same]
        lengths[alive] += 1
    return lengths
