"""Keep, discard, or more seeds: from numbers alone."""

import numpy as np
import pytest

from fabula.study.inference.statistics import t_quantile
from fabula.study.referee.deciding import MOST_RUNS, Terms, decide
from fabula.study.referee.power import POWER, least_ratio, wanted

BASE = (3.000, 3.010, 2.990)
NOISE = 0.01


def shifted(by: float, values: tuple[float, ...] = BASE) -> tuple[float, ...]:
    return tuple(value + by for value in values)


def decided(values: tuple[float, ...], base: tuple[float, ...] = BASE, **terms: float) -> tuple[str, str]:
    (judged,) = decide(base, [values], Terms(**terms))  # type: ignore[arg-type]
    return judged.decision, judged.why


def test_the_interval_of_two_equal_groups_is_worked_out_by_hand() -> None:
    """Two groups alone: each has its own spread, and the degrees of freedom are those of one."""
    (judged,) = decide(BASE, [shifted(-0.1)], Terms(looks=1))
    half = t_quantile(0.975, 2) * NOISE * np.sqrt(2 / 3)
    assert judged.difference is not None
    assert judged.difference.mean == pytest.approx(-0.1)
    assert judged.difference.low == pytest.approx(-0.1 - half)
    assert judged.difference.high == pytest.approx(-0.1 + half)


def test_looks_share_the_error_rate() -> None:
    """What is told at a single look is not told at the first of two."""
    values = shifted(-0.043)
    (alone,), (first,) = (decide(BASE, [values], Terms(looks=looks)) for looks in (1, 2))
    assert alone.p_adjusted is not None
    assert 0.025 < alone.p_adjusted < 0.05
    assert (alone.decision, first.decision) == ("keep", "more_seeds")


@pytest.mark.parametrize(
    ("by", "terms", "expected"),
    [
        (-0.2, {}, ("keep", "better")),
        (0.2, {}, ("discard", "worse")),
        (0.001, {}, ("discard", "no sign")),
        (-0.02, {}, ("more_seeds", "not sure yet")),
        (-0.02, {"look": 2}, ("discard", "last look")),
        (-0.001, {"most": 3}, ("discard", "enough runs")),
        (0.001, {"detect": 0.02}, ("more_seeds", "not sure yet")),
        (0.001, {"detect": 0.1}, ("discard", "too small")),
        (-0.2, {"detect": 0.1}, ("keep", "better")),
        (-0.2, {"detect": 0.3}, ("discard", "better by too little")),
    ],
)
def test_a_difference_is_decided(by: float, terms: dict, expected: tuple[str, str]) -> None:
    assert decided(shifted(by), **terms) == expected


def test_a_run_alone_is_no_verdict() -> None:
    (judged,) = decide(BASE[:1], [(1.0,)], Terms(look=2))
    assert judged.decision == "more_seeds"
    assert judged.wanted is not None
    assert (judged.wanted.base, judged.wanted.new) == (2, 2)
    (judged,) = decide(BASE, [(1.0,)], Terms())
    assert judged.wanted is not None
    assert (judged.wanted.base, judged.wanted.new) == (0, 2)


def test_runs_that_all_end_alike_show_no_luck() -> None:
    assert decided((2.9, 2.9, 2.9), (3.0, 3.0, 3.0)) == ("incomparable", "no spread")


def test_several_groups_share_the_error_rate_and_nothing_else() -> None:
    """A quiet group beside it makes no noisy base look quiet."""
    values, quiet = shifted(-0.045), (3.0, 3.0001, 2.9999)
    alone = decide(BASE, [values], Terms())[0]
    beside = decide(BASE, [values, quiet, shifted(0.0001, quiet)], Terms())[0]
    assert alone.difference is not None
    assert beside.difference == alone.difference
    assert beside.p_adjusted == pytest.approx(3 * (alone.difference.p or 0.0))


def test_a_seed_that_moves_all_groups_is_taken_out_where_seeds_are_paired() -> None:
    seeds = np.array([0.0, 0.3, -0.25, 0.2, -0.1])
    base, new = 3.0 + seeds, 2.9 + seeds + np.array([0.002, -0.002, 0.001, -0.001, 0.0])
    apart, paired = (decide(base.tolist(), [new.tolist()], Terms(), paired=each)[0] for each in (False, True))
    assert (apart.decision, paired.decision) == ("more_seeds", "keep")


def test_the_runs_that_are_wanted_find_the_effect_in_four_of_five_cases() -> None:
    """The formula against 20,000 drawn comparisons, at the estimator's degrees of freedom."""
    random = np.random.default_rng(5)
    for num_base, num_new in ((3, 3), (5, 5), (8, 4)):
        ratio = least_ratio(num_base, num_new, 0.025)
        base = random.standard_normal((20_000, num_base))
        new = random.standard_normal((20_000, num_new)) - ratio
        error = np.sqrt(base.var(-1, ddof=1) / num_base + new.var(-1, ddof=1) / num_new)
        found = (base.mean(-1) - new.mean(-1)) / error > t_quantile(1 - 0.0125, min(num_base, num_new) - 1)
        assert POWER - 0.03 < found.mean() < POWER + 0.11  # two groups know their spread better than one


def test_of_a_hundred_changes_that_do_nothing_at_most_five_are_kept() -> None:
    """Where more seeds are wanted, a second look decides. One run each, kept where it is lower, would keep fifty."""
    for loop in range(2):
        random = np.random.default_rng([7, loop])
        base, kept = random.standard_normal(3).tolist(), 0
        for _ in range(100):
            new = random.standard_normal(3).tolist()
            for look in (1, 2):
                (judged,) = decide(base, [new], Terms(look=look))
                if judged.wanted is None:
                    break
                base += random.standard_normal(judged.wanted.base).tolist()
                new += random.standard_normal(judged.wanted.new).tolist()
            kept += judged.decision == "keep"
        assert kept <= 5


def test_more_runs_are_wanted_for_less_and_never_more_than_the_limit() -> None:
    asked = [wanted(3, 3, ratio, 0.025, MOST_RUNS) for ratio in (12.0, 3.0, 2.0, 1.0, 0.05)]
    assert [each.in_all for each in asked] == [*sorted(each.in_all for each in asked[:-1]), 0]
    assert not asked[0].any
    assert (asked[-1].base, asked[-1].new) == (MOST_RUNS - 3, MOST_RUNS - 3)
    uneven = wanted(8, 3, 2.0, 0.025, MOST_RUNS)
    assert uneven.base == 0 and 0 < uneven.new <= 5
