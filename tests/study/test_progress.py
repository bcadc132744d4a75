"""How far a run is, and when it will be done."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fabula.record.reader import Run
from fabula.study.live.progress import progress
from fabula.study.views import RunView


def view(steps: Any = 100, evals: dict[str, list[float]] | None = None, **last: float) -> RunView:
    columns = {name: np.array(values, float) for name, values in (evals or {"step": []}).items()}
    train = {name: np.array([value]) for name, value in last.items()} or {"step": np.array([])}
    return RunView("t", "p", 0, Path("run"), Run(Path("run"), {"steps": steps, "status": "running"}, train, columns))


def lines(*steps: int, seconds_each: float = 2.0, **more: Any) -> list[dict[str, Any]]:
    return [
        {"kind": "train", "step": s, "loss": 3.0, "seconds": s * seconds_each, "tokens_per_second": 100.0, **more}
        for s in steps
    ]


def test_the_steps_that_are_left_at_their_present_speed() -> None:
    found = progress(view(), lines(10, 20, 30))
    assert (found.step, found.steps, found.loss, found.tokens_per_second) == (30, 100, 3.0, 100.0)
    assert found.seconds_left == pytest.approx(140.0)


def test_the_evaluations_that_are_due_count() -> None:
    # 9 s for the whole split at the start and so at the end, 1 s every ten steps between.
    evals = {"step": [0, 10, 20, 30], "evaluation_seconds": [9.0, 1.0, 1.0, 1.0]}
    assert progress(view(evals=evals), lines(10, 20, 30)).seconds_left == pytest.approx(140.0 + 7.0 + 9.0)


def test_after_a_rollback_the_new_attempt_counts() -> None:
    assert progress(view(), lines(10, 20, 90) + lines(40, 50, seconds_each=4.0)).seconds_left == pytest.approx(200.0)


def test_of_a_log_the_speed_is_seen_from_outside() -> None:
    log = view(step=40.0, loss=2.5)
    assert progress(log, []).seconds_left is None
    assert progress(log, [], 0.5).seconds_left == pytest.approx(30.0)
    assert progress(log, [], 0.5).loss == 2.5


@pytest.mark.parametrize("steps", [None, 0, "many", float("nan"), 30, 20, True])
def test_without_a_plan_or_at_its_end_nothing_is_left(steps: Any) -> None:
    assert progress(view(steps), lines(10, 20, 30)).seconds_left is None


@pytest.mark.parametrize("value", [None, "x", [1], {}, float("nan"), 1e300, True])
def test_anything_may_stand_in_a_record(value: Any) -> None:
    assert progress(view(), lines(10, 20, 30, loss=value, tokens_per_second=value)).loss is None
    for name in ("step", "seconds"):
        made = lines(10, 20, 30)
        made[-1][name] = value
        progress(view(), made)
    assert progress(view(), []).step == 0
