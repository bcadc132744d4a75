"""The longest stretch that stands word for word in the training stories."""

import itertools
import sys
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fabula.data.dataset import open_dataset
from fabula.score import copies
from fabula.score.copies import LEAST, copied_stretches, longest_copies


def by_hand(query: list[int], corpus: list[int]) -> int:
    """Longest common stretch, by comparing every stretch with every stretch."""
    stretches = {tuple(corpus[start:stop]) for stop in range(len(corpus) + 1) for start in range(stop)}
    own = [tuple(query[start:stop]) for stop in range(len(query) + 1) for start in range(stop)]
    best = max((len(each) for each in own if each in stretches), default=0)
    return best if best >= LEAST else 0


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_what_everything_against_everything_finds(data: st.DataObject) -> None:
    """Few different tokens, so that stretches are long; the second query is a piece of the corpus."""
    tokens = st.lists(st.integers(0, 2), max_size=60)
    corpus, query = data.draw(tokens), data.draw(tokens)
    start = data.draw(st.integers(0, max(0, len(corpus) - 1)))
    queries = [query, corpus[start : start + 20], []]
    expected = [by_hand(each, corpus) for each in queries]
    assert longest_copies(queries, np.array(corpus, dtype=np.uint16)) == expected


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 2), max_size=60), st.lists(st.integers(0, 2), max_size=60))
def test_the_stretches_are_all_that_everything_against_everything_finds(query: list[int], corpus: list[int]) -> None:
    stretches = {tuple(corpus[start : start + LEAST]) for start in range(len(corpus) - LEAST + 1)}
    starts = [start for start in range(len(query) - LEAST + 1) if tuple(query[start : start + LEAST]) in stretches]
    expected = {place for start in starts for place in range(start, start + LEAST)}
    (ranges,) = copied_stretches([query], np.array(corpus, dtype=np.uint16))
    assert [place for first, end in ranges for place in range(first, end)] == sorted(expected)
    assert all(end < first for (_, end), (first, _) in itertools.pairwise(ranges)), "those that touch are one"


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.integers(0, 2), max_size=40), max_size=5), st.lists(st.integers(0, 2), max_size=120))
def test_several_queries_in_one_pass_are_each_as_alone(queries: list[list[int]], corpus: list[int]) -> None:
    tokens = np.array(corpus, dtype=np.uint16)
    assert copied_stretches(queries, tokens) == [copied_stretches([each], tokens)[0] for each in queries]


def test_a_phrase_that_stands_in_every_story_costs_python_nothing_more() -> None:
    """Lines that are run, whatever the speed of the machine: a line a match would take seconds, and hold up all that
    runs beside it."""
    phrase = list(range(12))

    def lines_of(stories: int) -> int:
        lines = 0

        def seen(*_: Any) -> Any:
            nonlocal lines
            lines += 1
            return seen

        corpus = np.tile(np.array([*phrase, 99], dtype=np.uint16), stories)
        before = sys.gettrace()
        sys.settrace(seen)
        try:
            found = copied_stretches([[*phrase, 77]] * 3, corpus)
        finally:
            sys.settrace(before)
        assert found == [[(0, 12)]] * 3
        return lines

    assert lines_of(2_000) == lines_of(20)


def test_a_copy_is_found_at_every_place(monkeypatch) -> None:
    """At the ends of chunks, too: the corpus is read 35 places at a time."""
    monkeypatch.setattr(copies, "CHUNK", 7)
    corpus = np.random.default_rng(0).integers(0, 50_000, 150).astype(np.uint16)
    for start in range(len(corpus) - LEAST):
        query = [60_000, *corpus[start : start + LEAST].tolist(), 60_001]
        assert longest_copies([query], corpus) == [LEAST]


def test_real_tokens(grammar_folder: Path) -> None:
    train = open_dataset(grammar_folder, "bpe:512").split("train")
    story = train.story(3)
    assert longest_copies([story, story[5:40], story[: LEAST - 1], story[::-1]], train.tokens) == [len(story), 35, 0, 0]
