"""The noise of a ladder: how far two seeds of one recipe end apart, and how rough a run's loss is at its end."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fabula.record.reader import Run
from fabula.study.inference.effects import Effect
from fabula.study.inference.statistics import standard_deviation

LATE_SHARE = 0.2
"""The last fifth of the steps: far from the fast fall, and long enough to have a scatter."""
LEAST_LATE_STEPS = 20
"""Fewer residuals leave the scatter itself uncertain by more than a sixth (1 / sqrt(2 n))."""


@dataclass(frozen=True)
class NoiseFloor:
    """What another seed alone does to the final loss on one protocol, in nats."""

    protocol: str
    lowest: float
    highest: float
    """Standard deviations between seeds: of the steadiest recipe, and of the least steady one."""
    pooled: float
    """Root mean square over the recipes."""
    num_recipes: int


def noise_floor(protocol: str, losses: Sequence[Sequence[float]]) -> NoiseFloor | None:
    """From the final losses of every recipe; None where no recipe has two seeds."""
    spreads = [standard_deviation(values) for values in losses if len(values) > 1]
    if not spreads:
        return None
    pooled = math.sqrt(math.fsum(spread**2 for spread in spreads) / len(spreads))
    return NoiseFloor(protocol, min(spreads), max(spreads), pooled, len(spreads))


def least_told(effects: Sequence[Effect], protocol: str = "stream") -> tuple[float, float] | None:
    """The smallest and the largest of the means that the table's effects would have needed for a verdict."""
    told = [each.comparisons[protocol].least_told for each in effects if protocol in each.comparisons]
    known = [value for value in told if value is not None]
    return (min(known), max(known)) if known else None


def late_roughness(run: Run) -> float | None:
    """Standard deviation of log training loss around its straight line over the last fifth of the steps.

    In log units: 0.02 is a scatter of 2 % of the level. Every step must be there. None for a shorter record or one
    that is not finite.
    """
    steps, loss = run.train["step"], run.train.get("loss")
    if loss is None or not len(steps):
        return None
    late = steps > (1 - LATE_SHARE) * steps[-1]
    x, y = steps[late], loss[late]
    if len(x) < LEAST_LATE_STEPS or (np.diff(x) != 1).any() or not (np.isfinite(y) & (y > 0)).all():
        return None
    residuals = np.log(y) - np.polyval(np.polyfit(x - x[0], np.log(y), 1), x - x[0])
    return float(math.sqrt(float(residuals @ residuals) / (len(x) - 2)))
