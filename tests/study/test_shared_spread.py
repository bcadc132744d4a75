"""What all runs of a table tell of the scatter of one answer: by hand where that can be done, and on null tables."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from fabula.study.inference.effects import BY_ONE
from fabula.study.inference.shared_spread import shared_spreads

PATH_QR = np.array([[-1.0, 1.0, 0.0, 0.0], [0.0, -1.0, 1.0, 0.0], [0.0, 0.0, -1.0, 1.0]])
FIRST_R = PATH_QR[0]


def of_table(table_RS: np.ndarray, blocks: bool = True):
    num_runs_R = np.full(table_RS.shape[-2], float(table_RS.shape[-1]))
    return shared_spreads(table_RS.var(-1, ddof=1), num_runs_R, table_RS if blocks else None), num_runs_R


def half_width(table_RS: np.ndarray, weight_R: np.ndarray, blocks: bool = True) -> float:
    spreads, num_runs_R = of_table(table_RS, blocks)
    return spreads.scatter(weight_R, num_runs_R).half_width(0.05)


def test_two_recipes_share_nothing() -> None:
    """Welch's standard error with the degrees of freedom of one recipe."""
    table_RS = np.array([[1.0, 2.0, 3.0], [6.0, 4.0, 8.0]])
    error = np.sqrt(1 / 3 + 4 / 3)
    assert half_width(table_RS, np.array([-1.0, 1.0]), blocks=False) == pytest.approx(stats.t.ppf(0.975, 2) * error)


def test_many_recipes_that_scatter_alike_are_taken_together() -> None:
    """Nearly as sharp as a t interval that was told they are alike, and much sharper than one from its own runs."""
    random = np.random.default_rng(0)
    table_RS = random.standard_normal((12, 3))
    table_RS /= table_RS.std(-1, ddof=1, keepdims=True)  # the same spread in every recipe
    told = half_width(table_RS, np.array([-1.0, 1.0] + [0.0] * 10), blocks=False)
    error = np.sqrt(2 / 3)
    assert stats.t.ppf(0.975, 24) * error < told < 1.35 * stats.t.ppf(0.975, 24) * error
    assert told < 0.8 * stats.t.ppf(0.975, 4) * error


def test_a_wild_recipe_neither_widens_the_others_nor_hides_among_them() -> None:
    random = np.random.default_rng(1)
    table_RS = random.standard_normal((4, 3))
    wild_RS = table_RS.copy()
    wild_RS[3] *= 300
    assert half_width(wild_RS, FIRST_R) < 2.5 * half_width(table_RS, FIRST_R)
    wild = half_width(wild_RS, PATH_QR[2])
    assert wild > 0.7 * stats.t.ppf(0.975, 2) * wild_RS[3].std(ddof=1) / np.sqrt(3)


def test_what_a_seed_does_to_all_recipes_is_taken_out() -> None:
    random = np.random.default_rng(2)
    own_RS, seed_S = random.standard_normal((4, 3)), 30 * random.standard_normal(3)
    assert half_width(own_RS + seed_S, FIRST_R) < 2 * half_width(own_RS, FIRST_R)


def test_blocks_never_widen_an_interval() -> None:
    random = np.random.default_rng(3)
    for num_recipes, num_seeds in ((2, 3), (3, 2), (4, 3), (8, 5)):
        for _ in range(10):
            table_RS = random.standard_normal((num_recipes, num_seeds)) * np.exp(random.normal(0, 2, (num_recipes, 1)))
            weight_R = np.array([-1.0, 1.0] + [0.0] * (num_recipes - 2))
            assert half_width(table_RS, weight_R) <= half_width(table_RS, weight_R, blocks=False) * (1 + 1e-9)


def test_interval_and_p_are_of_one_model() -> None:
    random = np.random.default_rng(4)
    spreads, num_runs_R = of_table(random.standard_normal((5, 3)))
    scatter = spreads.scatter(np.array([-1.0, 0.5, 0.5, 0.0, 0.0]), num_runs_R)
    for p in (0.3, 0.05, 0.001):
        assert float(scatter.p(scatter.half_width(p))) == pytest.approx(p, rel=1e-6)
    assert float(scatter.p(0.0)) == pytest.approx(1.0)


def test_units_do_not_matter() -> None:
    table_RS = np.random.default_rng(5).standard_normal((4, 3))
    assert half_width(1e-6 * table_RS, FIRST_R) == pytest.approx(1e-6 * half_width(table_RS, FIRST_R), rel=1e-6)


def test_losses_without_any_scatter() -> None:
    spreads, num_runs_R = of_table(np.full((4, 3), 2.5))
    assert float(spreads.scatter(FIRST_R, num_runs_R).p(0.1)) < 1e-3


@pytest.mark.parametrize("num_seeds", [2, 3])
@pytest.mark.parametrize("first", [1.0, 300.0], ids=["alike", "wild"])
def test_paths_without_an_effect_rarely_show_one(first: float, num_seeds: int) -> None:
    """Four phases, one yardstick, 1,500 tables: the binomial bound for 5 %, three deviations above."""
    random = np.random.default_rng(6)
    table = random.standard_normal((1500, 4, num_seeds)) * np.array([first, 1, 1, 1])[:, None]
    spreads, num_runs_R = of_table(table)
    p_NQ = np.stack([spreads.scatter(each, num_runs_R).p(table.mean(-1) @ each) for each in PATH_QR], -1)
    assert (p_NQ.min(-1) < 0.05 * (1 - BY_ONE) / 3).mean() < 0.05 + 3 * (0.05 * 0.95 / 1500) ** 0.5


def test_many_tables_at_once_are_judged_as_one_by_one() -> None:
    random = np.random.default_rng(7)
    tables = random.standard_normal((6, 4, 3))
    spreads, num_runs_R = of_table(tables)
    together = spreads.scatter(FIRST_R, num_runs_R).p(np.full(6, 0.7))
    for table_RS, p in zip(tables, together, strict=True):
        one, _ = of_table(table_RS)
        assert float(one.scatter(FIRST_R, num_runs_R).p(0.7)) == pytest.approx(float(p), rel=1e-9)
    assert len(set(np.round(together, 6))) == 6 and all(a != b for a, b in pairwise(together))
