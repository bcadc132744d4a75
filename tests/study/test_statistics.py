"""The statistics against tables, hand-made examples and their own laws."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fabula.study.inference.statistics import (
    correlation,
    mean_interval,
    standard_deviation,
    t_quantile,
    two_sided_p,
    unpaired_contrast,
    wilson_interval,
)

# Two-sided 95 % and 99 % points as printed in tables of the t distribution.
TABLE = {
    1: (12.706, 63.657),
    2: (4.303, 9.925),
    3: (3.182, 5.841),
    4: (2.776, 4.604),
    5: (2.571, 4.032),
    9: (2.262, 3.250),
    10: (2.228, 3.169),
    30: (2.042, 2.750),
    120: (1.980, 2.617),
}


@pytest.mark.parametrize("degrees", TABLE)
def test_t_quantiles_agree_with_the_tables(degrees: int) -> None:
    assert t_quantile(0.975, degrees) == pytest.approx(TABLE[degrees][0], abs=5.1e-4)
    assert t_quantile(0.995, degrees) == pytest.approx(TABLE[degrees][1], abs=5.1e-4)


def test_t_quantile_in_closed_form() -> None:
    """One degree of freedom is the Cauchy distribution; two have the quantile (2p - 1) / sqrt(2p(1 - p))."""
    for p in (0.6, 0.9, 0.975, 0.9999):
        assert t_quantile(p, 1) == pytest.approx(math.tan(math.pi * (p - 0.5)), rel=1e-10)
        assert t_quantile(p, 2) == pytest.approx((2 * p - 1) / math.sqrt(2 * p * (1 - p)), rel=1e-10)


@settings(deadline=None)  # a shared machine is slow at times
@given(st.floats(0.001, 0.999), st.floats(0.7, 300))
def test_quantile_and_probability_are_inverse(p: float, degrees: float) -> None:
    tails = two_sided_p(t_quantile(p, degrees), degrees)
    assert (tails / 2 if p < 0.5 else 1 - tails / 2) == pytest.approx(p, abs=1e-9)


def test_tails_keep_their_digits() -> None:
    """P(|T| > t) of the Cauchy distribution is 2 / pi * atan(1 / t)."""
    assert two_sided_p(1e6, 1) == pytest.approx(2 / math.pi * math.atan(1e-6), rel=1e-9)


def test_an_interval_by_hand() -> None:
    """Differences 1, 2, 3: mean 2, deviation 1, error 1 / sqrt(3), t(2) = 4.3027."""
    told = mean_interval([1.0, 2.0, 3.0])
    half = 4.302653 / math.sqrt(3)
    assert (told.mean, told.num_values) == (2.0, 3)
    assert told.low == pytest.approx(2 - half, abs=1e-5)
    assert told.high == pytest.approx(2 + half, abs=1e-5)
    assert told.p == pytest.approx(0.0742, abs=1e-4)


def test_one_value_has_no_interval() -> None:
    told = mean_interval([1.5])
    assert (told.mean, told.low, told.high, told.p) == (1.5, None, None, None)


def test_equal_differences_are_certain_and_equal_nothing() -> None:
    assert mean_interval([0.5, 0.5]).p == 0.0
    assert mean_interval([0.0, 0.0]).p == 1.0


def test_welch_by_hand() -> None:
    """Samples (1, 2, 3) and (4, 6, 8): variances 1 and 4, error sqrt(5 / 3), 2.94 degrees of freedom."""
    told = unpaired_contrast([(-1.0, [1.0, 2.0, 3.0]), (1.0, [4.0, 6.0, 8.0])])
    degrees = (5 / 3) ** 2 / ((1 / 3) ** 2 / 2 + (4 / 3) ** 2 / 2)
    assert told.mean == 4.0
    assert told.high is not None
    assert told.high - 4.0 == pytest.approx(t_quantile(0.975, degrees) * math.sqrt(5 / 3), rel=1e-12)


def test_wilson_by_hand() -> None:
    assert wilson_interval(0, 10) == pytest.approx((0.0, 0.27753), abs=1e-5)
    assert wilson_interval(5, 10) == pytest.approx((0.23659, 0.76341), abs=1e-5)
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_correlation_and_deviation() -> None:
    assert correlation([1, 2, 3], [2, 4, 6]) == pytest.approx(1.0)
    assert correlation([1, 2, 3], [3, 2, 1]) == pytest.approx(-1.0)
    assert correlation([1, 1, 1], [1, 2, 3]) is None
    assert standard_deviation([1, 2, 3, 4]) == pytest.approx(math.sqrt(5 / 3))
