"""A completion in pieces: what was copied, what repeats itself, which words of the beginning came back."""

from collections.abc import Iterable, Iterator
from typing import Literal

from fabula.record.text.english import SAYS_LITTLE, stem
from fabula.record.text.words import WORD, without_possessive, words
from fabula.study.coherence.evaluated import Telling

Kind = Literal["", "copied", "repeated", "prompt"]
REPEATED = 5
"""Words that stood there before in this order; four come twice in many a good story."""
_SHORTEST = 3
"""Letters of a word that can say what a beginning is about."""


def pieces(story: Telling) -> list[tuple[str, Kind]]:
    """The text in its order; every letter is in one piece. Copied goes before repeated, repeated before prompt."""
    kinds: list[Kind] = [""] * len(story.text)
    marks: list[tuple[Kind, Iterable[tuple[int, int]]]] = [
        ("prompt", _returned(story)),
        ("repeated", _repeated(story.text)),
        ("copied", story.copied),
    ]
    for kind, places in marks:
        for start, stop in places:
            for place in range(max(0, start), min(stop, len(kinds))):
                kinds[place] = kind
    found: list[tuple[str, Kind]] = []
    start = 0
    for place in range(1, len(kinds) + 1):
        if place == len(kinds) or kinds[place] != kinds[start]:
            found.append((story.text[start:place], kinds[start]))
            start = place
    return found


def _returned(story: Telling) -> Iterator[tuple[int, int]]:
    told = {stem(each) for each in words(story.beginning) if _says_something(each)}
    for match in WORD.finditer(story.text):
        if _says_something(match[0].lower()) and stem(match[0].lower()) in told:
            yield match.span()


def _says_something(word: str) -> bool:
    plain = without_possessive(word)
    return len(plain) >= _SHORTEST and plain not in SAYS_LITTLE


def _repeated(text: str) -> Iterator[tuple[int, int]]:
    """What is said again, not what is said first."""
    found = list(WORD.finditer(text))
    said = [match[0].lower() for match in found]
    seen: set[tuple[str, ...]] = set()
    for start in range(len(said) - REPEATED + 1):
        group = tuple(said[start : start + REPEATED])
        if group in seen:
            yield found[start].start(), found[start + REPEATED - 1].end()
        seen.add(group)
