"""What a ladder can tell before it is run: the effect that it would find in four cases of five.

Ladders with the known noise and one effect are drawn, and judged by the estimator of a report (shared_spread.py) at
the share of the error rate that Holm's method gives to the first of all questions. Where several changes have an
effect, Holm is kinder to the later ones, so a ladder finds a little more than is said here.

N ladders, R recipes, S seeds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fabula.study.inference.contrasts import Contrast
from fabula.study.inference.effects import BY_ONE, LEVEL, POWER
from fabula.study.inference.shared_spread import Array, Scatter, shared_spreads

NUM_LADDERS = 200
"""The share that finds an effect is right to 0.03 then (a standard error), the effect to some 4 %."""
MOST_DRAWN = 3_000
"""Ladders x recipes: of a factorial of many changes fewer ladders are drawn, which tell as much together."""
FEWEST_LADDERS = 40
MOST_SEEDS = 64
LEAST_SCATTER = 1e-9
"""In nats: runs that end alike to the last digit were not different runs."""
ROUNDS = 7
"""Of halving the factor 8 within which the answer is looked for: to 2 % of it."""


@dataclass(frozen=True)
class Spread:
    """Standard deviation between the seeds of one recipe, in nats."""

    stream: float
    story: float


def smallest_found(
    contrast: Contrast, spreads: Mapping[str, Spread], num_questions: int, num_seeds: int, together: float
) -> float | None:
    """The effect in nats that `contrast` finds in 80 % of ladders; `spreads` by recipe of its tier, `together` how the
    two protocols of a run rise and fall together. None with one seed."""
    if num_seeds < 2:
        return None
    table = _Drawn.of(contrast, spreads, num_questions, num_seeds, together)
    low, high = _around(table)
    for _ in range(ROUNDS):
        middle = float(np.sqrt(low * high))
        low, high = (low, middle) if table.share_found(middle) >= POWER else (middle, high)
    return high


def seeds_for(
    size: float, contrast: Contrast, spreads: Mapping[str, Spread], num_questions: int, together: float
) -> int | None:
    """The fewest seeds with which an effect of `size` nats is found in 80 % of ladders; None above MOST_SEEDS."""
    low, high = 1, 2
    while not _finds(size, contrast, spreads, num_questions, high, together):
        low, high = high, 2 * high
        if high > MOST_SEEDS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        enough = _finds(size, contrast, spreads, num_questions, middle, together)
        low, high = (low, middle) if enough else (middle, high)
    return high


def _finds(
    size: float, contrast: Contrast, spreads: Mapping[str, Spread], num_questions: int, num_seeds: int, together: float
) -> bool:
    return _Drawn.of(contrast, spreads, num_questions, num_seeds, together).share_found(size) >= POWER


@dataclass(frozen=True, eq=False)
class _Drawn:
    """Ladders without an effect: the answer to one question on each protocol, and how far it scatters."""

    answers_PN: tuple[Array, Array]
    scatters_P: tuple[Scatter, Scatter]
    level: float

    @classmethod
    def of(
        cls, contrast: Contrast, spreads: Mapping[str, Spread], num_questions: int, num_seeds: int, together: float
    ) -> "_Drawn":
        weight_R = _weights(contrast, list(spreads))
        number = max(FEWEST_LADDERS, min(NUM_LADDERS, MOST_DRAWN // len(weight_R)))
        random = np.random.default_rng([16, num_seeds])
        stream, other = (random.standard_normal((number, len(weight_R), num_seeds)) for _ in range(2))
        story = together * stream + np.sqrt(1.0 - together**2) * other
        answers, scatters = [], []
        for unit_NRS, spread in (
            (stream, [each.stream for each in spreads.values()]),
            (story, [each.story for each in spreads.values()]),
        ):
            loss_NRS = unit_NRS * np.array(spread)[:, None]
            num_runs_R = np.full(len(weight_R), float(num_seeds))
            spread_of = shared_spreads(loss_NRS.var(-1, ddof=1), num_runs_R, loss_NRS)
            answers.append(loss_NRS.mean(-1) @ weight_R)
            scatters.append(spread_of.scatter(weight_R, num_runs_R))
        level = (1.0 - LEVEL) * (1.0 - BY_ONE) / max(1, num_questions)
        return cls((answers[0], answers[1]), (scatters[0], scatters[1]), level)

    def share_found(self, size: float) -> float:
        """In how many of them an effect of `size` more would have had its verdict."""
        found = [
            (scatter.p(answer + size) < self.level) & (answer + size > 0)
            for answer, scatter in zip(self.answers_PN, self.scatters_P, strict=True)
        ]
        return float((found[0] & found[1]).mean())


def _around(table: _Drawn) -> tuple[float, float]:
    """An effect that is too small, and one that is found, a factor of 8 apart."""
    high = max(LEAST_SCATTER, *(float(answer.std()) for answer in table.answers_PN))
    while table.share_found(high) < POWER:
        high *= 8.0
    return high / 8.0, high


def _weights(contrast: Contrast, recipes: Sequence[str]) -> Array:
    of = {place[1]: weight for place, weight in contrast.weights}
    return np.array([of.get(name, 0.0) for name in recipes])
