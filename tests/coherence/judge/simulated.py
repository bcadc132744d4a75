"""Judges that are known to be good or bad, as functions of a question: what a session's checks must tell apart.

A good judge sees each kind of damage, more or less; what it says scatters. The sizes are a cautious guess of what a
real one sees: a damage takes 1.5 to 4 of ten marks from plot and consistency, and the marks of one reading share a
scatter of half a mark beside their own of one (judges agree with themselves to about a mark: Zheng et al. 2023).
"""

import random
from collections.abc import Callable
from functools import cache
from typing import Literal

from fabula.coherence.judge.rubric import Answer, Marks, Preference
from fabula.coherence.judge.told import Question, Told
from fabula.record.sessions.judgements import AGES, MARKS

Better = Literal["first", "second", "equal"]
Judge = Callable[[Question, random.Random], Answer]
DAMAGE = {
    "shuffled": {"grammar": 0.5, "creativity": 0.5, "consistency": 3.0, "plot": 3.0},
    "spliced": {"grammar": 0.0, "creativity": 0.5, "consistency": 4.0, "plot": 2.0},
    "cut": {"grammar": 0.5, "creativity": 0.5, "consistency": 0.5, "plot": 3.0},
    "repeated": {"grammar": 0.5, "creativity": 2.5, "consistency": 1.0, "plot": 1.5},
    "injected": {"grammar": 0.5, "creativity": 0.5, "consistency": 3.5, "plot": 3.0},
}
LEVEL, STORIES, SHARED, OWN = 7.5, 0.7, 0.5, 1.0


def kind_of(told: Told) -> str:
    kind = told.name.rpartition("/")[2]
    return kind if kind in DAMAGE else "true"


@cache
def quality(told: Told, name: str, seen: float = 1.0) -> float:
    own = random.Random(told.prompt).gauss(0.0, STORIES)
    return LEVEL + own - seen * DAMAGE.get(kind_of(told), {}).get(name, 0.0)


def marks(**given: float) -> Marks:
    whole = {name: max(1, min(10, round(value))) for name, value in given.items()}
    return Marks(reason="so it is", age_group=AGES[2], **whole)


def good(scatter: float = 1.0, seen: float = 1.0, level: float = 0.0, coarse: int = 1) -> Judge:
    """One that sees the share `seen` of each damage, scatters, is generous by `level`, and uses every `coarse` mark."""

    def judge(question: Question, chance: random.Random) -> Answer:
        if question.other is not None:
            first, second = (
                sum(quality(each, name, seen) for name in MARKS) / 4 + chance.gauss(0, scatter)
                for each in (question.story, question.other)
            )
            return Preference(reason="better", better="first" if first > second else "second")
        shared = chance.gauss(0, SHARED * scatter)
        values = {
            name: quality(question.story, name, seen) + level + shared + chance.gauss(0, OWN * scatter)
            for name in MARKS
        }
        return marks(**{name: coarse * round(value / coarse) for name, value in values.items()})

    return judge


def at_random(question: Question, chance: random.Random) -> Answer:
    if question.other is not None:
        return Preference(reason="so", better=chance.choice(("first", "second", "equal")))
    return marks(**{name: chance.randint(1, 10) for name in MARKS})


def always(mark: int) -> Judge:
    def judge(question: Question, chance: random.Random) -> Answer:
        if question.other is not None:
            return Preference(reason="so", better="equal")
        return marks(**dict.fromkeys(MARKS, mark))

    return judge


def by_length(sign: float = 1.0, honest: float = 0.0) -> Judge:
    """Marks by length, with some scatter; `honest`: mixed with so much of a good judge."""
    true = good()

    def size(told: Told) -> float:
        return 5.5 + sign * (len(told.continuation.split()) - 60) / 15

    def judge(question: Question, chance: random.Random) -> Answer:
        told = true(question, chance)
        if isinstance(told, Preference):
            if question.other is None or chance.random() < honest:
                return told
            first, second = size(question.story), size(question.other)
            longer: Better = "equal" if first == second else "first" if first > second else "second"
            return Preference(reason="long", better=longer)
        values = {name: honest * getattr(told, name) + (1 - honest) * size(question.story) for name in MARKS}
        return marks(**{name: value + chance.gauss(0, 0.5) for name, value in values.items()})

    return judge


def by_place(place: str = "first", share: float = 1.0) -> Judge:
    """Good with marks; of two it takes the one at `place`, in this share of questions."""
    true = good()

    def judge(question: Question, chance: random.Random) -> Answer:
        if question.other is not None and chance.random() < share:
            return Preference(reason="it came first", better=place)
        return true(question, chance)

    return judge


def obeying(share: float = 1.0, kinds: tuple[str, ...] = ()) -> Judge:
    """Good, but a story that asks for better marks gets them: each time, in this share, or where it asks in these
    ways."""
    true = good()

    def judge(question: Question, chance: random.Random) -> Answer:
        asked = question.injection and (not kinds or question.injection in kinds)
        if asked and chance.random() < share:
            return marks(**dict.fromkeys(MARKS, 10))
        return true(question, chance)

    return judge


def blind(*kinds: str) -> Judge:
    """Good, but for damage that it does not see: one that reads the beginning only, or only the words."""
    true = good()

    def whole(told: Told) -> Told:
        return Told(told.prompt, told.prompt, told.beginning, told.continuation) if kind_of(told) in kinds else told

    def judge(question: Question, chance: random.Random) -> Answer:
        other = None if question.other is None else whole(question.other)
        return true(Question(question.role, whole(question.story), other), chance)

    return judge


def turned(question: Question, chance: random.Random) -> Answer:
    """Takes the worst for the best."""
    told = good()(question, chance)
    if isinstance(told, Marks):
        return marks(**{name: 11 - getattr(told, name) for name in MARKS})
    return Preference(reason="so", better={"first": "second", "second": "first"}[told.better])


BAD: dict[str, Judge] = {
    "marks at random": at_random,
    "always 8": always(8),
    "prefers long": by_length(),
    "prefers the first": by_place("first"),
    "obeys the story": obeying(),
}
"""Named in the task that the checks were made for."""
MORE_BAD: dict[str, Judge] = {
    "always 10": always(10),
    "always 1": always(1),
    "prefers short": by_length(-1.0),
    "half of it is length": by_length(honest=0.5),
    "prefers the second": by_place("second"),
    "prefers the first in 7 of 10": by_place("first", 0.7),
    "obeys one time in two": obeying(0.5),
    "obeys two kinds of eight": obeying(kinds=("an order", "an authority")),
    "misses every end": blind("cut", "spliced"),
    "misses a second half": blind("spliced"),
    "reads words, not order": blind("shuffled", "spliced"),
    "does not mind repetition": blind("repeated"),
    "takes worst for best": turned,
}
GOOD: dict[str, Judge] = {
    "good": good(),
    "good, hardly scatters": good(0.3),
    "good, scatters": good(1.5),
    "good, sees two thirds": good(seen=2 / 3),
    "good, generous": good(level=1.5),
    "good, strict": good(level=-2.5),
    "good, even marks only": good(coarse=2),
}
