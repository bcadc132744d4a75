"""Evaluations are called too noisy where they go up and down, not where a loss falls in steps of different size."""

import numpy as np
from tests.findings.families import record

from fabula.findings import Diagnosis, diagnose
from fabula.record.reader import Run

FELL = [8.057, 4.652, 4.08, 3.761, 3.458, 3.263, 3.015, 2.736, 2.467, 2.239, 2.122, 1.888, 1.772, 1.581, 1.432]
"""`modern-portable` over 168 steps on the built-in stories."""


def evaluated(values: list[float] | np.ndarray, subset: bool = False) -> Diagnosis:
    run = record(evals=np.asarray(values), eval_steps=np.arange(len(values)) * 12.0)
    evals = {**run.evals, "val_loss_subset": run.evals["val_loss"]} if subset else run.evals
    return diagnose(Run(run.path, run.info, run.train, evals))


def test_a_short_run_that_falls_all_the_time_is_not_called_noisy() -> None:
    assert not evaluated(FELL, subset=True).of("evaluation_too_noisy")


def test_uneven_falls_of_any_length_are_not() -> None:
    random = np.random.default_rng(3)
    for _ in range(60):
        steps = random.gamma(random.uniform(0.5, 4.0), 1.0, int(random.integers(12, 60)))
        left = np.cumsum(steps[::-1])[::-1] / steps.sum()
        assert not evaluated(random.uniform(0.3, 3.0) + random.uniform(3.0, 9.0) * left).of("evaluation_too_noisy")


def test_the_same_stories_each_time_are_not_a_possible_cause() -> None:
    up_and_down = 2.0 + 0.15 * np.random.default_rng(4).standard_normal(30)
    (other,), (same,) = (evaluated(up_and_down, subset=each).of("evaluation_too_noisy") for each in (False, True))
    assert any("stories" in each for each in other.alternatives)
    assert not any("stories" in each for each in same.alternatives) and same.alternatives
