"""How large an improvement so many runs find in 80 % of cases, and how many runs an improvement needs.

Two groups of n and m runs with one spread; the answer over its standard error follows a noncentral t distribution. Its
degrees of freedom are those of the smaller group, as the estimator has them for two groups (shared_spread.View).
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from fabula.study.inference.effects import POWER
from fabula.study.inference.statistics import t_quantile

FEWEST = 3
"""Runs that a group without any verdict is sent for: of two alone the spread is hardly known."""
NUM_SPREADS = 500
MOST_COUNTED = 200
"""Runs a group up to which is counted what a small difference would take."""


@lru_cache(maxsize=4096)
def least_ratio(num_base: int, num_new: int, level: float) -> float:
    """The difference, in standard deviations between seeds, that is found with POWER at two-sided error `level`."""
    from scipy.optimize import brentq  # heavy: only who compares recipes needs it
    from scipy.special import gammaincinv, ndtr

    degrees = float(min(num_base, num_new) - 1)
    critical = t_quantile(1.0 - level / 2.0, degrees)
    # scipy's own noncentral t gives NaN for large shifts. Of each estimated spread (chi) the rest is normal.
    spread_S = np.sqrt(2.0 * gammaincinv(degrees / 2.0, (np.arange(NUM_SPREADS) + 0.5) / NUM_SPREADS) / degrees)

    def short_by(shift: float) -> float:
        return float(ndtr(shift - critical * spread_S).mean()) - POWER

    found = brentq(short_by, 0.0, critical * spread_S[-1] + 10.0)
    return float(found) * math.sqrt(1.0 / num_base + 1.0 / num_new)


@dataclass(frozen=True)
class Wanted:
    """Runs that a comparison still needs, in each of its two groups."""

    base: int
    new: int
    in_all: int
    """Runs a group for POWER, whatever the limit; 0 where it is more than MOST_COUNTED."""

    @property
    def any(self) -> bool:
        return self.base > 0 or self.new > 0


def wanted(num_base: int, num_new: int, ratio: float, level: float, most: int) -> Wanted:
    """What finds a difference of `ratio` standard deviations, with at most `most` runs a group."""
    start = max(2, min(num_base, num_new))
    fits = (
        number
        for number in range(start, MOST_COUNTED + 1)
        if least_ratio(max(num_base, number), max(num_new, number), level) <= ratio
    )
    in_all = next(fits, 0)
    aim = min(in_all or most, most)
    return Wanted(max(0, aim - num_base), max(0, aim - num_new), in_all)
