"""What the order of a story's sentences shows: how it begins and ends, what follows what, and whether somebody or
something is introduced before it is spoken of as known."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache

from fabula.coherence.measures.people import HE, SHE
from fabula.coherence.measures.sentences import Sentence
from fabula.record.text.english import FUNCTION_WORDS, stem

LITTLE = FUNCTION_WORDS | HE | SHE | frozenset("they them their it its i you we my".split())
"""Words that say nothing of a theme."""
PLURAL = frozenset(["they", "them", "their", "it"])
NEAR = 6
"""Theme words of neighbouring sentences that are held against each other: the last of one, the first of the next."""
stem_of = cache(stem)


def order_features(story: Sequence[Sentence], names: Mapping[str, int]) -> dict[str, float]:
    """Features of a story by name; a longer story has more of them, each counting less."""
    found: Counter[str] = Counter()
    number = len(story)
    plain = [["NAME" if word in names else word for word in sentence.lower if word[0].isalnum()] for sentence in story]
    themes = [
        [stem_of(word) for word in dict.fromkeys(sentence.lower) if word[0].isalpha() and word not in LITTLE]
        for sentence in story
    ]
    for index, sentence in enumerate(story):
        place = _place(index, number)
        for word in {"NAME" if each in names else each for each in sentence.lower}:
            found[f"{place} has {word}"] += 1
        found[f"{place} begins {' '.join(plain[index][:2])}"] += 1
        found[f"{place} begins {' '.join(plain[index][:3])}"] += 1
    for index in range(number - 1):
        _follow(found, story[index], story[index + 1], plain[index], plain[index + 1], names)
        for word in themes[index][-NEAR:]:
            found[f"{word} then {' '.join(plain[index + 1][:2])}"] += 1
            for other in themes[index + 1][:NEAR]:
                found[f"{word} .. {other}"] += 1
        found[f"shared {min(3, len(set(themes[index]) & set(themes[index + 1])))}"] += 1
    _introductions(found, story, names)
    return {name: math.log1p(value) / math.sqrt(number) for name, value in found.items()}


def _place(index: int, number: int) -> str:
    if index == 0:
        return "first"
    if index == number - 1:
        return "last"
    if index == 1:
        return "second"
    return "last but one" if index == number - 2 else ("early", "middle", "late")[min(2, 3 * index // number)]


def _follow(
    found: Counter[str], one: Sentence, next_: Sentence, said: list[str], said_next: list[str], names: Mapping[str, int]
) -> None:
    """Two sentences, one behind the other."""
    found[f"{said[0]} | {said_next[0]}"] += 1
    found[f"{' '.join(said[:2])} | {' '.join(said_next[:2])}"] += 1
    marks = (one.lower[-1], one.lower.count('"') % 2, next_.lower[0] == '"', min(2, next_.lower.count('"')))
    found[f"marks {marks}"] += 1
    found[f"marks {marks} {said_next[0]}"] += 1
    meant = next((word for word in next_.lower if word in HE | SHE | PLURAL), None)
    if meant is not None:
        before = (any(word in each for word in one.lower) for each in (names, HE, SHE, PLURAL))
        found[f"{meant} behind {tuple(before)}"] += 1


def _introductions(found: Counter[str], story: Sequence[Sentence], names: Mapping[str, int]) -> None:
    """`a dog` before `the dog`, `named Tom` before `Tom`."""
    seen: set[str] = set()
    introduced: set[str] = set()
    for index, sentence in enumerate(story):
        place = _place(index, len(story))
        said = sentence.lower
        for at, word in enumerate(said):
            before = said[at - 1] if at else ""
            if word in ("a", "an", "the"):
                for thing in said[at + 1 : at + 3]:
                    if not thing[0].isalpha():
                        break
                    article, known = ("the" if word == "the" else "a"), thing in seen
                    found[f"{article} {'old' if known else 'new'}"] += 1
                    if known == (article == "a"):
                        found[f"{article} {'old' if known else 'new'} {thing}"] += 1
            elif word in names:
                called = before in ("named", "called", "name") or said[max(0, at - 2) : at] == ("name", "was")
                if word not in introduced:
                    found["introduced" if called else f"not introduced, {place}"] += 1
                elif called:
                    found["introduced late"] += 1
                introduced.add(word)
        seen.update(said)
