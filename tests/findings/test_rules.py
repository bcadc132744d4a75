"""Each rule on curves that were made to show its kind, and on curves that were not."""

import csv
import math
import time
from pathlib import Path

import numpy as np
import pytest
from tests.curves import Baseline, Packed
from tests.findings.families import POSITIVES, examples, healthy, healthy_examples, record

from fabula.findings import Diagnosis, Flags, diagnose, lint
from fabula.recipe import Recipe, load_recipe
from fabula.recipe.schedule import learning_rates
from fabula.record.content.columns import to_columns
from fabula.record.reader import Run

ALARMS = {"warning", "failure"}


def found(diagnosis: Diagnosis) -> set[str]:
    return {finding.kind for finding in diagnosis.findings}


def silent(diagnosis: Diagnosis) -> set[str]:
    return {kind for rule in diagnosis.silent for kind in rule.kinds}


def run_of(path: Path) -> Run:
    with open(path, newline="") as file:
        rows = [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file)]
    return Run(path, {}, to_columns([]), to_columns(rows))


GPT2 = Flags(vocabulary=50_257, from_scratch=True)


def test_a_baseline_that_diverges_twice(baseline: Baseline) -> None:
    """It diverges and recovers, diverges again for good, and starts far from ln V."""
    diagnosis = diagnose(run_of(baseline.path), GPT2)
    assert tuple(finding.steps for finding in diagnosis.of("divergence")) == baseline.divergences
    (recovery,) = diagnosis.of("recovery")
    assert recovery.steps == baseline.recovery
    assert diagnosis.of("initial_loss_off")[0].evidence["first_loss"] == pytest.approx(baseline.first_loss)
    assert diagnosis.verdict == "failed"
    assert "stable" not in found(diagnosis)


def test_a_packed_run_that_stays_stable(packed: Packed) -> None:
    diagnosis = diagnose(run_of(packed.path), GPT2)
    assert {"schedule_ok", "stable"} <= found(diagnosis)
    assert not found(diagnosis) & {"divergence", "spike", "initial_loss_off"}
    assert diagnosis.verdict == "healthy"


def test_healthy_curves_raise_no_alarm() -> None:
    """At most 3 of 150 (the families on which thresholds were set: 20 to 20,000 steps, every kind of noise)."""
    alarms = [
        index
        for index, run in enumerate(healthy_examples(150, seed=1))
        if any(finding.severity in ALARMS for finding in diagnose(run).findings)
    ]
    assert len(alarms) <= 3, alarms


@pytest.mark.parametrize("kind", POSITIVES)
def test_made_kinds_are_found(kind: str) -> None:
    """At least 57 of 60."""
    missed = [index for index, run in enumerate(examples(kind, 60, seed=2)) if kind not in found(diagnose(run))]
    assert len(missed) <= 3, missed


@pytest.mark.parametrize("kind", ["divergence", "non_finite"])
def test_no_failed_run_is_called_healthy(kind: str) -> None:
    assert all(diagnose(run).verdict == "failed" for run in examples(kind, 60, seed=3))


def test_a_single_odd_batch_is_no_spike() -> None:
    losses = 3.0 + 0.02 * np.random.default_rng(0).standard_normal(2_000)
    losses[1_000] = 6.0
    assert "spike" not in found(diagnose(record(losses)))
    losses[1_000:1_006] = 6.0
    (spike,) = diagnose(record(losses)).of("spike")
    assert spike.steps == (1_001, 1_006)
    assert spike.evidence["peak"] == 6.0


def test_nan_is_told_with_its_steps() -> None:
    losses = np.linspace(5.0, 3.0, 100)
    losses[40:43] = math.nan
    (finding,) = diagnose(record(losses)).of("non_finite")
    assert finding.steps == (41, 43)
    assert finding.severity == "warning"
    losses[90:] = math.nan
    assert diagnose(record(losses)).of("non_finite")[0].severity == "failure"


@pytest.mark.parametrize(("last_norm", "severity"), [(0.5, "warning"), (math.nan, "failure")])
def test_a_loss_that_stops_at_a_nan_is_not_where_the_training_ends(last_norm: float, severity: str) -> None:
    """A loop may know its loss no longer, and the norm of its gradient at every step."""
    losses, norms = np.linspace(5.0, 3.0, 100), np.full(100, 0.5)
    losses[60:], norms[60:] = math.nan, last_norm
    losses[60] = math.inf
    run = record(losses, grad_norm=norms, info={"log_format": "fabula.Record"})
    assert diagnose(run).of("non_finite")[0].severity == severity


def test_a_long_record_costs_no_more_than_its_length() -> None:
    steps = np.arange(1.0, 150_001)
    random = np.random.default_rng(0)
    run = record(
        3 + 7 * np.exp(-steps / 5_000) + 0.1 * random.standard_normal(len(steps)),
        grad_norm=0.5 + 0.1 * random.random(len(steps)),
        learning_rate=np.interp(steps, [0, 2_000, 150_000], [0, 5e-4, 5e-5]),
    )
    started = time.process_time()
    assert diagnose(run).verdict == "healthy"
    assert time.process_time() - started < 5.0  # 0.25 s alone; a rule that is not linear takes minutes


def test_what_a_record_lacks_is_named() -> None:
    """A log of losses alone: nothing about gradients, schedule or set-up is said, and each such kind is named."""
    diagnosis = diagnose(healthy(np.random.default_rng(0)))
    assert {"gradient_growth", "clipping_dominates", "initial_loss_off", "lr_rising", "eot_missing"} <= silent(
        diagnosis
    )
    assert not found(diagnosis) & silent(diagnosis)
    assert all(rule.lacks for rule in diagnosis.silent)


@pytest.mark.parametrize(
    ("first", "flags", "expected"),
    [
        (10.84, GPT2, False),
        (123.7, GPT2, True),
        (6.0, GPT2, True),
        (10.84, Flags(vocabulary=50_257, from_scratch=False), False),
    ],
)
def test_initial_loss(first: float, flags: Flags, expected: bool) -> None:
    run = record(np.concatenate([[first], np.linspace(min(first, 9.0), 3.0, 99)]))
    assert ("initial_loss_off" in found(diagnose(run, flags))) is expected


def test_a_loss_that_begins_later_says_nothing_of_the_start() -> None:
    run = record(np.linspace(6.0, 3.0, 50), steps=np.arange(100.0, 5_100, 100))
    assert "initial_loss_off" in silent(diagnose(run, GPT2))


def test_loss_scaled_by_accumulation() -> None:
    """ln 50,257 x 8 = 86.6 is the accumulation, not an odd initialisation."""
    run = record(np.linspace(86.6, 30.0, 100))
    flags = Flags(vocabulary=50_257, from_scratch=True, accumulation=8)
    assert "loss_scaled_by_accumulation" in found(diagnose(run, flags))
    assert "initial_loss_off" not in found(diagnose(run, flags))
    assert "loss_scaled_by_accumulation" not in found(diagnose(record(np.linspace(10.8, 3.0, 100)), flags))


@pytest.mark.parametrize(("factor", "accumulation", "scaled"), [(8.0, 8, True), (0.125, 8, True), (1.0, 8, False),
                                                                (2.0, 2, True), (4.0, 8, False)])  # fmt: skip
def test_loss_scaled_all_along(factor: float, accumulation: int, scaled: bool) -> None:
    """Against held-out loss neither vocabulary nor the first step is needed: Trainer logs begin with a window."""
    steps = np.arange(10.0, 2_001, 10)
    loss = 3.0 + 7.8 * np.exp(-steps / 300)
    run = record(factor * loss, loss[19::20], steps=steps, eval_steps=steps[19::20])
    kinds_found = found(diagnose(run, Flags(accumulation=accumulation)))
    assert ("loss_scaled_by_accumulation" in kinds_found) is scaled


def test_overfitting_is_no_scaling() -> None:
    """Training loss falls to half of the held-out one: with an accumulation of 2 that is still no factor."""
    steps = np.arange(10.0, 4_001, 10)
    train, val = 1.5 + 8 * np.exp(-steps / 1_000), 3.0 + 7 * np.exp(-steps / 500)
    run = record(train, val[19::20], steps=steps, eval_steps=steps[19::20])
    assert "loss_scaled_by_accumulation" not in found(diagnose(run, Flags(accumulation=2)))


def test_an_oversized_start_is_no_learning() -> None:
    """From 376 to 5 is a fall of 371, and from equal chances on it is a slow one."""
    steps = np.arange(0.0, 50_000, 1_000)
    losses = 5.0 + 6.0 * np.exp(-steps / 25_000)
    losses[0] = 376.0
    run = record(evals=losses, eval_steps=steps)
    assert "fast_start" in found(diagnose(run))
    assert "fast_start" not in found(diagnose(run, GPT2))


def test_a_run_that_ends_in_nan_has_no_stopping_point() -> None:
    losses = np.linspace(3.0, 2.0, 200)
    assert "still_improving" in found(diagnose(record(losses)))
    losses[180:] = math.nan
    assert "still_improving" not in found(diagnose(record(losses)))


def schedule(recipe: Recipe) -> set[str]:
    """What the lint and what the record of the same schedule say; they must agree."""
    planned = found(lint(recipe))
    rates = np.array(learning_rates(recipe)[1:])
    recorded = found(diagnose(record(learning_rate=rates)))
    of_shape = {"lr_fixed", "lr_rising", "lr_peak_not_reached", "warmup_missing", "warmup_too_long", "schedule_ok"}
    assert planned & of_shape == recorded & of_shape
    return planned


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"schedule_ok"}),
        ({"schedule.kind": "constant"}, {"lr_fixed"}),
        ({"schedule.peak": 1e-4, "schedule.floor": 5e-4}, {"lr_rising", "lr_floor_above_peak"}),
        ({"schedule.warmup": 16_000}, {"lr_peak_not_reached"}),
        ({"schedule.warmup": 6_000}, {"warmup_too_long"}),
        ({"schedule.warmup": 0}, {"warmup_missing"}),
    ],
)
def test_schedules(changes: dict[str, object], expected: set[str]) -> None:
    assert schedule(load_recipe("basic/packed").with_values(**changes)) == expected


def test_a_schedule_that_counts_micro_steps() -> None:
    recipe = load_recipe("basic/packed").with_values(**{"schedule.unit": "micro_step", "batch.accumulation": 8})
    assert "schedule_in_micro_steps" in found(lint(recipe))
    assert "schedule_in_micro_steps" not in found(lint(load_recipe("basic/packed")))
    # From a log alone: the rate is at its floor after 1 / 8 of the run and stays there.
    early = np.concatenate([np.linspace(5e-4, 5e-5, 125), np.full(875, 5e-5)])
    assert "schedule_in_micro_steps" in found(diagnose(record(learning_rate=early), Flags(accumulation=8)))


def test_the_original_recipes_pass_the_lint() -> None:
    for tier in ("basic", "mid", "quality"):
        assert lint(load_recipe(f"{tier}/packed")).verdict == "healthy"
        assert found(lint(load_recipe(f"{tier}/baseline"))) == {"lr_fixed"}


def test_bfloat16_weights_lose_their_updates() -> None:
    """Around 1 the numbers are 2 ** -7 apart; around 0.02 they are not."""
    changes = {"compute.weights": "bfloat16", "initialization.scheme": "normal_embedding"}
    assert "updates_lost_to_rounding" in found(lint(load_recipe("basic/packed").with_values(**changes)))
    assert "updates_lost_to_rounding" not in found(
        lint(load_recipe("basic/packed").with_values(**{"compute.weights": "bfloat16"}))
    )


def test_a_window_that_never_binds() -> None:
    wide = load_recipe("basic/packed").with_values(**{"model.sliding_window": 512})
    assert "window_never_binds" in found(lint(wide))
    assert "window_never_binds" not in found(lint(wide.with_values(**{"model.sliding_window": 64})))


def test_too_few_steps() -> None:
    assert "too_few_steps" in found(
        lint(load_recipe("basic/packed").with_values(**{"steps": 150, "schedule.warmup": 5}))
    )


def test_gradient_norms() -> None:
    random = np.random.default_rng(0)
    steps = np.arange(1.0, 2_001)
    usual = 0.4 * (1 + 0.1 * random.random(2_000))
    settled = usual + 2.0 * np.exp(-steps / 30)
    assert found(diagnose(record(grad_norm=settled))) == {"gradient_spike_at_start", "gradient_settled"}
    growing = usual * np.interp(steps, [0, 1_000, 2_000], [1, 1, 4])
    assert "gradient_growth" in found(diagnose(record(grad_norm=growing)))
    exploding = usual.copy()
    exploding[1_500:1_520] = 80.0
    assert diagnose(record(grad_norm=exploding)).of("gradient_explosion")[0].steps == (1_501, 1_520)


def test_clipping_dominates_only_where_it_cuts_deep() -> None:
    norms = np.full(500, 3.0)
    assert "clipping_dominates" in found(diagnose(record(grad_norm=norms), Flags(clip=1.0)))
    assert "clipping_dominates" not in found(diagnose(record(grad_norm=norms), Flags(clip=2.5)))
    assert "clipping_dominates" not in found(diagnose(record(grad_norm=norms), Flags(clip=0.0)))
    assert "clipping_dominates" in silent(diagnose(record(grad_norm=norms)))


def test_epoch_staircase() -> None:
    random = np.random.default_rng(0)
    steps = np.arange(1.0, 3_001)
    stairs = 3.0 - 0.2 * np.floor(steps / 1_000) + 0.05 * random.standard_normal(3_000)
    smooth = 3.0 - 0.2 * steps / 1_000 + 0.05 * random.standard_normal(3_000)
    about = {"layout": {"epochs": 3.0}, "steps": 3_000}
    (finding,) = diagnose(record(stairs, info=about)).of("epoch_staircase")
    assert [step for step, _ in finding.evidence["drops"]] == [1_000, 2_000]
    assert "epoch_staircase" not in found(diagnose(record(smooth, info=about)))


def test_stopping_point() -> None:
    falling = np.linspace(6.0, 3.0, 400)
    flat = np.concatenate([np.linspace(6.0, 3.0, 150), np.full(250, 3.0)])
    assert "still_improving" in found(diagnose(record(falling)))
    assert "plateau" in found(diagnose(record(flat)))


def test_a_run_that_was_interrupted() -> None:
    run = record(np.linspace(6.0, 3.0, 100), info={"status": "interrupted", "steps": 300})
    (finding,) = diagnose(run).of("interrupted")
    assert finding.evidence == {"status": "interrupted", "last_step": 100, "planned_steps": 300}
    assert "interrupted" not in found(diagnose(record(np.linspace(6.0, 3.0, 100), info={"status": "finished"})))


def test_guards_leave_their_findings() -> None:
    run = record(np.linspace(6.0, 3.0, 100), info={"status": "finished"})
    events = [
        {"kind": "event", "step": 40, "event": "batch_skipped", "reason": "loss is not finite"},
        {"kind": "event", "step": 60, "event": "rolled_back", "to_step": 50},
    ]
    diagnosis = diagnose(Run(run.path, run.info, run.train, run.evals, events))
    assert diagnosis.of("batch_skipped")[0].steps == (40, 40)
    assert diagnosis.of("rolled_back")[0].steps == (50, 60)


def test_learning_rate_that_jumps_on_resume() -> None:
    rates = np.linspace(5e-4, 5e-5, 200)
    events = [{"kind": "event", "step": 100, "event": "resumed"}]
    run = record(np.linspace(6.0, 3.0, 200), learning_rate=rates)
    assert "lr_jump_on_resume" not in found(diagnose(Run(run.path, {}, run.train, run.evals, events)))
    jumped = {**run.train, "learning_rate": np.where(np.arange(200) < 100, rates, 5e-4)}
    (finding,) = diagnose(Run(run.path, {}, jumped, run.evals, events)).of("lr_jump_on_resume")
    assert finding.steps == (100, 101)
