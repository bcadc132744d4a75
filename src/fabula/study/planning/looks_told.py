"""Of a ladder that grew: what was planned, when it was looked at, and what was spent on which question."""

from dataclasses import dataclass

from fabula.study.inference.effects import LEVEL, Effect
from fabula.study.inference.sequential import UntilTold, until_told
from fabula.study.planning.next_seeds import plan_words, question_name
from fabula.study.views import LadderView

OUTCOMES = {
    "told": "told",
    "smaller": "shown to be smaller than --detect",
    "open": "open",
    "lost": "no verdict is possible",
}


@dataclass(frozen=True)
class LookTold:
    number: int
    at: str
    fewest: int
    most: int
    """Seeds of a recipe."""
    num_runs: int
    hours: float
    """Spent until then."""
    level: float
    """What it may spend of the error rate."""
    decided: tuple[str, ...]


@dataclass(frozen=True)
class LooksTold:
    rule: str
    stopped: str
    looks: tuple[LookTold, ...]
    planned: tuple[tuple[int, float], ...]
    """Seeds of each planned look, and what it may spend of the error rate."""
    effects: tuple[Effect, ...]


def looks_told(ladder: LadderView) -> LooksTold | None:
    """None for a ladder with a fixed number of seeds."""
    told = until_told(ladder.plan)
    if told is None:
        return None
    levels = [(1.0 - LEVEL) * share for share in told.shares]
    looks = tuple(_look(number, told, levels[number], ladder) for number in range(len(told.taken)))
    planned = tuple(zip(told.looks, levels, strict=True))
    return LooksTold(plan_words(told), told.stopped, looks, planned, tuple(ladder.effects))


def _look(number: int, told: UntilTold, level: float, ladder: LadderView) -> LookTold:
    look = told.taken[number]
    decided = [
        question_name(each, ladder)
        for each in ladder.effects
        if each.turn is not None and each.turn.look == number + 1 and each.turn.outcome != "open"
    ]
    seeds = look.seeds.values()
    return LookTold(number + 1, look.at, min(seeds), max(seeds), sum(seeds), look.hours, level, tuple(decided))
