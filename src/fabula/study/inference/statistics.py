"""The statistics behind a verdict, as pure functions; the distributions are scipy's."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


def two_sided_p(t: float, degrees: float) -> float:
    """P(|T| >= |t|) of Student's t with `degrees` > 0 degrees of freedom."""
    from scipy.special import stdtr  # heavy: only who compares recipes needs it

    return 2.0 * float(stdtr(degrees, -abs(t)))


def t_quantile(probability: float, degrees: float) -> float:
    """The t with P(T <= t) = probability."""
    from scipy.special import stdtrit  # heavy: only who compares recipes needs it

    if not 0.0 < probability < 1.0:
        raise ValueError(f"a probability lies between 0 and 1, got {probability}")
    return float(stdtrit(degrees, probability))


@dataclass(frozen=True)
class Interval:
    """A mean with its t interval. `low` and `high` are None where one value says nothing about scatter."""

    mean: float
    low: float | None
    high: float | None
    p: float | None
    """Two-sided p of "the mean is zero"; None with the interval."""
    num_values: int


def mean_interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Mean of `values` with its two-sided t interval: mean +- t(n - 1) * s / sqrt(n)."""
    n = len(values)
    mean = math.fsum(values) / n
    if n < 2:
        return Interval(mean, None, None, None, n)
    error = standard_deviation(values) / math.sqrt(n)
    half = t_quantile(0.5 + level / 2.0, n - 1) * error
    return Interval(mean, mean - half, mean + half, _p_of(mean, error, n - 1), n)


def unpaired_contrast(groups: Sequence[tuple[float, Sequence[float]]], level: float = 0.95) -> Interval:
    """Weighted sum of group means, each group with a variance of its own (Welch 1947, with Satterthwaite's degrees of
    freedom): what the values say when none of them belong together. `groups` are (weight, values)."""
    mean = math.fsum(weight * math.fsum(values) / len(values) for weight, values in groups)
    num = sum(len(values) for _, values in groups)
    if min(len(values) for _, values in groups) < 2:
        return Interval(mean, None, None, None, num)
    shares = [(weight * standard_deviation(values)) ** 2 / len(values) for weight, values in groups]
    error = math.sqrt(math.fsum(shares))
    if error == 0.0:
        return Interval(mean, mean, mean, _p_of(mean, 0.0, 1.0), num)
    sizes = (len(values) for _, values in groups)
    degrees = math.fsum(shares) ** 2 / math.fsum(
        share**2 / (size - 1) for share, size in zip(shares, sizes, strict=True)
    )
    half = t_quantile(0.5 + level / 2.0, degrees) * error
    return Interval(mean, mean - half, mean + half, _p_of(mean, error, degrees), num)


def _p_of(mean: float, error: float, degrees: float) -> float:
    if error == 0.0:
        return 1.0 if mean == 0.0 else 0.0
    return two_sided_p(mean / error, degrees)


def mean_of(values: Sequence[float | None]) -> float | None:
    """Mean of the values that are known; None where none is."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def standard_deviation(values: Sequence[float]) -> float:
    """Sample standard deviation (n - 1); 0 for fewer than two values."""
    if len(values) < 2:
        return 0.0
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Pearson's correlation; None where a side does not vary or there are fewer than two pairs."""
    spread = standard_deviation(first) * standard_deviation(second)
    if spread == 0.0:
        return None
    mean_first, mean_second = math.fsum(first) / len(first), math.fsum(second) / len(second)
    products = ((a - mean_first) * (b - mean_second) for a, b in zip(first, second, strict=True))
    return max(-1.0, min(1.0, math.fsum(products) / (len(first) - 1) / spread))


def wilson_interval(successes: int, trials: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's score interval for a share (Wilson 1927); (0, 1) without trials."""
    if trials == 0:
        return 0.0, 1.0
    share = successes / trials
    centre = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / (1 + z * z / trials)
    return max(0.0, centre - half), min(1.0, centre + half)
