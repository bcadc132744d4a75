"""Keep a change, drop it, or make more runs: from the numbers of the groups alone.

The estimator is a ladder's for two recipes (inference/shared_spread.py): each group with a spread of its own, and the
degrees of freedom of the smaller one. Groups do not share what is known of their spreads, as the recipes of a ladder
do: here every question asks about the base, and where the base is the wild one, spreads from the others told something
of nothing in 9 % of calls (docs/referee.md). Where all groups have the same known seeds, these are blocks.
All questions of one call share one error rate (Holm 1979).

Who looks, makes more runs and looks again has several chances to be fooled (Armitage, McPherson and Rowe 1969), so the
error rate is shared out beforehand: each of N looks has 1/N of it. By Bonferroni's inequality the sum holds whatever
happens between the looks; the plans that lose less (Pocock 1977; O'Brien and Fleming 1979) need looks at sizes that are
known beforehand.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fabula.study.inference.effects import LEVEL
from fabula.study.inference.shared_spread import Scatter, shared_spreads
from fabula.study.inference.statistics import Interval, standard_deviation
from fabula.study.referee.power import FEWEST, Wanted, least_ratio, wanted

Decision = Literal["keep", "discard", "more_seeds", "incomparable"]
Why = Literal[
    "better", "worse", "better by too little", "too small", "last look", "enough runs", "no sign", "not sure yet",
    "too few runs", "failed", "base failed", "no spread", "unlike",
]  # fmt: skip
ERROR_RATE = 1.0 - LEVEL
MOST_RUNS = 8
"""A group, unless said otherwise: what more runs bring falls with the root of their number."""


@dataclass(frozen=True)
class Terms:
    """What was agreed before the runs were looked at."""

    detect: float | None = None
    """The smallest improvement that is wanted, in nats."""
    look: int = 1
    looks: int = 2
    most: int = MOST_RUNS

    @property
    def error_rate(self) -> float:
        """Of this look."""
        return ERROR_RATE / self.looks

    @property
    def level(self) -> float:
        """Of the intervals."""
        return 1.0 - self.error_rate

    @property
    def is_last(self) -> bool:
        return self.look >= self.looks


@dataclass(frozen=True)
class Judged:
    """One group against the base. Differences are new - base: below zero is better."""

    decision: Decision
    why: Why
    difference: Interval | None = None
    p_adjusted: float | None = None
    spread: float | None = None
    """Between runs of one group, from both groups."""
    wanted: Wanted | None = None
    target: float | None = None
    """The improvement that `wanted` is for."""
    least: float | None = None
    """The improvement that these runs find in 80 % of cases."""
    told: str = ""
    """What is said in place of a sentence about the numbers."""


def decide(
    base: Sequence[float], others: Sequence[Sequence[float]], terms: Terms, paired: bool = False
) -> list[Judged]:
    """`others` against `base`, each a group's values. `paired`: value i of all groups has the same seed."""
    asked = [place for place, values in enumerate(others) if min(len(base), len(values)) > 1]
    answers = {place: _answer(base, others[place], terms, paired) for place in asked}
    adjusted = _holm({place: answer.p for place, answer in answers.items() if answer.p is not None})
    judged = []
    for place, values in enumerate(others):
        if place not in answers:
            judged.append(_too_few(len(base), len(values)))
            continue
        judged.append(_judged(base, values, answers[place], adjusted[place], len(asked), terms))
    return judged


def _answer(base: Sequence[float], values: Sequence[float], terms: Terms, paired: bool) -> Interval:
    mean = math.fsum(values) / len(values) - math.fsum(base) / len(base)
    scatter = _scatter(base, values, paired)
    half = scatter.half_width(terms.error_rate)
    return Interval(mean, mean - half, mean + half, float(scatter.p(mean)), len(base) + len(values))


def _scatter(base: Sequence[float], values: Sequence[float], paired: bool) -> Scatter:
    """What the difference does by luck."""
    sizes = np.array([float(len(base)), float(len(values))])
    variances = np.array([standard_deviation(each) ** 2 for each in (base, values)])
    spreads = shared_spreads(variances, sizes, np.array([base, values]) if paired else None)
    return spreads.scatter(np.array([-1.0, 1.0]), sizes)


def _holm(p: dict[int, float]) -> dict[int, float]:
    adjusted, before = {}, 0.0
    for rank, place in enumerate(sorted(p, key=lambda place: p[place])):
        before = adjusted[place] = max(before, min(1.0, (len(p) - rank) * p[place]))
    return adjusted


def _too_few(num_base: int, num_new: int) -> Judged:
    """Without two runs nobody knows what luck alone does."""
    needed = Wanted(max(0, FEWEST - num_base), max(0, FEWEST - num_new), FEWEST)
    return Judged("more_seeds", "too few runs", wanted=needed)


def _judged(
    base: Sequence[float], values: Sequence[float], answer: Interval, p: float, num_asked: int, terms: Terms
) -> Judged:
    spreads = [standard_deviation(each) for each in (base, values)]
    degrees = [len(base) - 1, len(values) - 1]
    spread = math.sqrt(sum(d * s**2 for d, s in zip(degrees, spreads, strict=True)) / sum(degrees))
    if spread == 0.0:
        return Judged("incomparable", "no spread", answer, p, spread)
    level = terms.error_rate / num_asked
    target = terms.detect or max(abs(answer.mean), spread)
    needed = wanted(len(base), len(values), target / spread, level, terms.most)
    least = least_ratio(len(base), len(values), level) * spread
    decision, why = _decision(answer, p, min(len(base), len(values)), needed, terms)
    more = needed if decision == "more_seeds" else None
    return Judged(decision, why, answer, p, spread, more, target, least)


def _decision(answer: Interval, p: float, num_runs: int, needed: Wanted, terms: Terms) -> tuple[Decision, Why]:
    assert answer.low is not None and answer.high is not None, "two runs have an interval"
    told = p < terms.error_rate and not answer.low <= 0.0 <= answer.high
    too_small = terms.detect is not None and answer.low > -terms.detect
    if told and answer.mean < 0:
        return ("discard", "better by too little") if too_small else ("keep", "better")
    if told:
        return "discard", "worse"
    if too_small:
        return "discard", "too small"
    if terms.is_last:
        return "discard", "last look"
    if not needed.any:
        return "discard", "enough runs"
    if terms.detect is None and answer.mean >= 0 and num_runs >= FEWEST:
        return "discard", "no sign"
    return "more_seeds", "not sure yet"
