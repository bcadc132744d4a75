"""--minutes on a machine whose speed changes: the plan follows, and no update that was made is made untrue."""

import itertools
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.train.tiny import metrics, tiny, tiny_training

from fabula.recipe.schedule import learning_rate, learning_rates
from fabula.recipe.schema import Recipe
from fabula.record.reader import read_run
from fabula.train import loop
from fabula.train.life.length.budget import LOOKS, Spent, earliest_end, planned_end
from fabula.train.life.run import start_run, stored_recipe

EVALUATION, FULL = 0.2, 2.0


def seconds_of(recipe: Recipe, budget: float, step_seconds: Callable[[float], float]) -> tuple[float, Recipe, int]:
    """Train by a clock alone: how long it takes, the recipe at the end, how often it was planned anew."""
    clock, training, step, looked, at_look, plans = FULL, 0.0, 0, 0, (0.0, 0), 0
    while step < recipe.steps:
        seconds = step_seconds(clock)
        step, clock, training = step + 1, clock + seconds, training + seconds
        last = step == recipe.steps
        clock += FULL if last else EVALUATION if step % recipe.evaluation.every == 0 else 0.0
        if not last and clock > (looked + 1) * budget / LOOKS:
            lately = (training - at_look[0]) / (step - at_look[1])
            looked, at_look = int(clock / budget * LOOKS), (training, step)
            steps = planned_end(recipe, Spent(step, clock, lately, EVALUATION, FULL), budget)
            if steps is not None:
                recipe, plans = recipe.with_values(steps=steps), plans + 1
    return clock, recipe, plans


@pytest.mark.parametrize("kind", ["constant", "warmdown"])
@pytest.mark.parametrize("pace", [0.02, 0.05, 0.10, 0.20])
def test_a_wrong_probe_is_put_right(kind: str, pace: float) -> None:
    recipe = tiny(
        steps=1000, schedule__kind=kind, schedule__warmup=20 if kind == "warmdown" else 0, evaluation__every=100
    )
    seconds, ended, plans = seconds_of(recipe, 60.0, lambda clock: pace)
    assert seconds == pytest.approx(60.0, rel=0.05) and plans >= 1
    assert ended.schedule == recipe.schedule and ended.evaluation == recipe.evaluation


def test_a_neighbour_that_comes_early_is_made_up_for() -> None:
    recipe = tiny(steps=1100, schedule__kind="warmdown", schedule__warmup=20, evaluation__every=100)
    seconds, _, _ = seconds_of(recipe, 60.0, lambda clock: 0.05 if clock < 10 else 0.1)
    assert seconds == pytest.approx(60.0, rel=0.15)


def test_a_plan_that_holds_is_left_alone() -> None:
    recipe = tiny(steps=1000, schedule__kind="warmdown", schedule__warmup=20, evaluation__every=100)
    assert seconds_of(recipe, 1000 * 0.05 + 9 * EVALUATION + 2 * FULL, lambda clock: 0.05)[2] == 0


def test_a_cosine_is_only_moved_in_its_warmup() -> None:
    recipe = tiny(steps=1000, schedule__kind="cosine", schedule__warmup=100)
    assert earliest_end(recipe, 50) == 51 and earliest_end(recipe, 100) is None


@given(
    kind=st.sampled_from(["constant", "cosine", "warmdown"]), steps=st.integers(20, 400), warmup=st.integers(0, 19),
    decay=st.floats(0.05, 1.0), made=st.integers(1, 399), longer=st.integers(0, 300),
)  # fmt: skip
def test_updates_that_were_made_keep_their_rate(
    kind: str, steps: int, warmup: int, decay: float, made: int, longer: int
) -> None:
    warmup = 0 if kind == "constant" else warmup
    recipe = tiny(steps=steps, schedule__kind=kind, schedule__warmup=warmup, schedule__decay=decay)
    if made >= steps or (earliest := earliest_end(recipe, made)) is None:
        return
    for end in (earliest, earliest + longer):
        for step in range(1, made + 1):
            assert learning_rate(recipe.schedule, step, end) == pytest.approx(
                learning_rate(recipe.schedule, step, steps)
            )


def test_a_run_of_some_seconds_follows_the_clock(
    grammar_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan of far too few steps is put right, and the folder holds the recipe that was trained."""
    # A clock on which each update and each evaluation takes a second: a busy machine changes nothing.
    monkeypatch.setattr(loop, "time", SimpleNamespace(perf_counter=itertools.count().__next__))
    recipe = tiny(steps=12, schedule__kind="warmdown", evaluation__every=50, evaluation__sample_tokens=0)
    training = tiny_training(grammar_folder, recipe)
    training.seconds = 60
    assert start_run(training, tmp_path / "run") == "finished"
    stored, run = stored_recipe(tmp_path / "run"), read_run(tmp_path / "run")
    assert stored.steps == run.info["steps"] == run.info["steps_done"] == pytest.approx(58, abs=2)
    planned = [line for line in run.events if line["event"] == "planned_anew"]
    assert planned[0]["steps_before"] == 12 and planned[-1]["steps"] == stored.steps
    rates = learning_rates(stored)
    updates = [line for line in metrics(tmp_path / "run") if line["kind"] == "train"]
    assert [line["learning_rate"] for line in updates] == pytest.approx(rates[1:], rel=1e-6)
