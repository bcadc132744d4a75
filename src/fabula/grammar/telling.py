"""The built-in stories: the book put together, and the three things one can ask of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from random import Random

from fabula.errors import InputError
from fabula.grammar import people
from fabula.grammar.book import assemble, read_book
from fabula.grammar.nodes import Node
from fabula.grammar.openings import OPENINGS
from fabula.grammar.plots import animal, broken, fear, gift, lost, quarrel, seed, wish
from fabula.grammar.program import Program, compile_grammar
from fabula.grammar.walk import derive, parse

_PLOTS = (lost, wish, quarrel, animal, fear, broken, gift, seed)
_LEXICONS = (
    people.hero, people.friend, people.owner, people.helper, people.place,
    lost.lost, wish.skill, quarrel.shared, animal.animal, fear.fear, broken.broken, gift.gift, seed.plant,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Story:
    """A story and the natural logarithm of the probability with which the grammar tells exactly this one."""

    text: str
    log_probability: float


def story_grammar() -> Node:
    """The tree of nodes of the built-in grammar."""
    book = "\n".join([OPENINGS, *(plot.RULES for plot in _PLOTS)])
    return assemble(read_book(book), {lexicon.name: lexicon for lexicon in _LEXICONS}, "story")


@cache
def story_program() -> Program:
    """The built-in grammar, ready to run; made once in each process."""
    return compile_grammar(story_grammar())


def generate(seed: int, index: int) -> Story:
    """Story number `index` of the endless series `seed`.

    A pure function of its two arguments, so that any process can make any part of a series. Its randomness is
    `random.Random(f"{seed}/{index}").random()`, seeded through SHA-512, which Python promises to keep: the same numbers
    in every version and on every platform. A change to the stories or their weights changes the series.

    Raises InputError for a negative index.
    """
    if index < 0:
        raise InputError(f"a story's index cannot be {index}; stories are numbered from 0")
    derivation = derive(story_program(), Random(f"{seed}/{index}"))
    return Story(derivation.text, derivation.log_probability)


def stories(seed: int, start: int, stop: int) -> Iterator[Story]:
    """The stories `start` to `stop - 1` of the series `seed`, one by one."""
    return (generate(seed, index) for index in range(start, stop))


def log_probability(text: str) -> float:
    """The natural logarithm of the probability with which the grammar tells exactly this text.

    Found by listing all derivations of the text. A story has exactly one, which the tests prove of the whole grammar
    and the assertion below once more of this text.

    Raises InputError if the grammar cannot tell this text.
    """
    parsed = parse(story_program(), text)
    if not parsed.derivations:
        if parsed.reached >= len(text):
            raise InputError("the text stops before the story does; give the whole story")
        raise InputError(
            f"not a story of the built-in grammar: it cannot go on with {_excerpt(text, parsed.reached)} at character "
            f"{parsed.reached + 1}; only texts made by the grammar have a probability"
        )
    assert len(parsed.derivations) == 1, f"{len(parsed.derivations)} derivations of {text!r}"
    return parsed.derivations[0].log_probability


def _excerpt(text: str, at: int) -> str:
    shown = text[at : at + 30]
    return repr(shown + ("..." if at + 30 < len(text) else ""))
