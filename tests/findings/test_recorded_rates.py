"""Learning rates as logs hold them: late beginnings, several schedules, restarts, few records."""

import numpy as np
import pytest
from tests.findings.families import record

from fabula.findings import Diagnosis, diagnose
from fabula.findings.diagnosis import diagnose_facts
from fabula.findings.facts import Curve, Facts
from fabula.recipe.presets.by_name import load_recipe
from fabula.recipe.scaling import with_steps
from fabula.recipe.schedule import learning_rates
from fabula.record.reader import Run

KINDS = {"schedule_ok", "lr_fixed", "lr_rising", "lr_peak_not_reached", "warmup_missing", "warmup_too_long",
         "lr_raised", "lr_restarts", "lr_start_not_seen"}  # fmt: skip


def of(rates: np.ndarray, at: np.ndarray | None = None, **info: object) -> Diagnosis:
    return diagnose(record(learning_rate=rates, steps=at, info={"log_format": "csv", **info}))


def kinds(diagnosis: Diagnosis) -> set[str]:
    return {each.kind for each in diagnosis.findings} & KINDS


def test_a_rate_that_only_falls_never_rose() -> None:
    steps = np.arange(500.0, 3001.0, 500.0)
    diagnosis = of(5e-5 * (1 - steps / 3100), steps, steps=3100)
    assert kinds(diagnosis) == {"lr_start_not_seen"}
    (finding,) = diagnosis.of("lr_start_not_seen")
    assert "before step 500 cannot be seen" in finding.sentence and "rose" not in finding.sentence


def test_shares_of_a_continued_run_are_of_its_recorded_steps() -> None:
    part = np.linspace(0.0, 1.0, 35)
    rates = 1e-4 * np.minimum((part + 0.02) / 0.15, 1.0) * (1.0 - 0.95 * part)
    assert kinds(of(rates, 32_950 + 50.0 * np.arange(35))) == {"schedule_ok"}
    slow = 1e-4 * np.minimum((part + 0.02) / 0.5, 1.0) * np.minimum(1.0, 2.0 * (1.03 - part))
    (finding,) = of(slow, 32_950 + 50.0 * np.arange(35)).of("warmup_too_long")
    assert 0.4 < finding.evidence["share"] < 0.55


def test_a_warmup_between_two_records_is_no_long_one() -> None:
    steps = np.arange(0.0, 2001.0, 500.0)
    assert "warmup_too_long" not in kinds(of(np.array([0.0, 1e-3, 7e-4, 3e-4, 0.0]), steps))


def test_a_jump_is_no_warmup() -> None:
    steps = np.arange(100.0, 12_001.0, 100.0)
    rates = np.where(steps < 3000, 3e-5 * (1 - 0.96 * steps / 3000), 2.9e-4 * (1 - 0.2 * steps / 12_000))
    diagnosis = of(rates, steps)
    assert kinds(diagnosis) == {"lr_raised"}
    (finding,) = diagnosis.of("lr_raised")
    assert finding.severity == "warning" and "at step 3,000" in finding.sentence and "-fold" in finding.sentence


def test_a_jump_from_a_rate_that_was_held() -> None:
    warm = np.linspace(0.0, 1e-4, 10)
    assert kinds(of(np.concatenate([warm, np.full(50, 1e-4), np.full(50, 1e-3)]))) == {"lr_raised"}


def test_a_warmup_in_stairs_is_a_warmup() -> None:
    stairs = np.repeat(np.linspace(1e-4, 1e-3, 10), 4)
    assert kinds(of(np.concatenate([stairs, np.linspace(1e-3, 1e-5, 400)]))) == {"schedule_ok"}


@pytest.mark.parametrize("cycles", [2, 3, 5])
@pytest.mark.parametrize("warm", [0.0, 0.1])
def test_restarts_are_told_as_such(cycles: int, warm: float) -> None:
    place = np.arange(1000) / 1000 * cycles % 1.0
    rates = 1e-3 * 0.5 * (1.01 + np.cos(np.pi * place))
    rates = np.where(place < warm, 1e-3 * (0.01 + place / max(warm, 0.1)), rates)
    diagnosis = of(rates)
    assert "lr_restarts" in kinds(diagnosis) and not kinds(diagnosis) & {"lr_raised", "lr_rising", "warmup_too_long"}
    (finding,) = diagnosis.of("lr_restarts")
    assert finding.severity == "note" and finding.evidence["times"] == cycles - 1


def test_triangles_are_restarts() -> None:
    rates = 1e-3 * (0.1 + 0.9 * np.abs(np.arange(900) / 100 % 2 - 1)[::-1])
    assert "lr_restarts" in kinds(of(rates))


def test_a_jump_at_a_resume_has_its_own_kind_alone() -> None:
    rates = np.concatenate([np.linspace(1e-4, 1e-5, 100), np.linspace(1e-3, 1e-5, 100)])
    run = record(learning_rate=rates)
    found = diagnose(Run(run.path, run.info, run.train, run.evals, [{"event": "resumed", "step": 100}]))
    assert found.of("lr_jump_on_resume") and not kinds(found)


@pytest.mark.parametrize("name", ["basic/cosine", "modern", "gemma3-nano-rising"])
@pytest.mark.parametrize("factor", [1.0, 100.0])
def test_a_rate_that_the_recipe_does_not_plan_is_told(name: str, factor: float) -> None:
    """A recipe states the schedule; where the record has other rates, the record counts."""
    recipe = with_steps(load_recipe(name), 400)
    steps, rates = np.arange(1.0, 401.0), np.array(learning_rates(recipe)[-400:])
    rates[200:260] *= factor
    said = kinds(
        diagnose_facts(Facts(learning_rate=Curve("learning_rate", steps, rates), recipe=recipe, num_steps=400))
    )
    assert "lr_raised" not in said if factor == 1.0 else said & {"lr_raised", "lr_rising"}
    assert factor == 1.0 or "schedule_ok" not in said


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"optimizer": "sgd"}, "applies only to AdamW"),
        ({"optim": "OptimizerNames.LION"}, "applies only to AdamW"),
        ({"lr": 0.5}, "applies only to AdamW, and this log does not name its optimizer"),
        (None, "applies only to AdamW, and this log does not name its optimizer"),
        ({"optimizer": "AdamW"}, ""),
    ],
)
def test_the_rate_of_another_optimizer_is_not_judged_as_that_of_adamw(settings: object, said: str) -> None:
    diagnosis = of(np.full(100, 0.5), settings=settings)
    assert bool(diagnosis.of("lr_too_high")) != bool(said)
    assert [each.lacks for each in diagnosis.silent if "lr_too_high" in each.kinds] == ([said] if said else [])
