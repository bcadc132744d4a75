"""A verdict where nothing could be judged, and where few points show a rise all the same."""

import numpy as np
import pytest
from tests.findings.families import record

from fabula.findings import diagnose, lint
from fabula.recipe import load_recipe


def of_losses(*losses: float, **given: np.ndarray) -> str:
    return diagnose(record(np.array(losses), info={"log_format": "csv"}, **given)).verdict


def test_few_points_are_not_judged_and_say_what_it_would_take() -> None:
    diagnosis = diagnose(record(np.linspace(5.0, 3.0, 6), info={"log_format": "csv"}))
    assert diagnosis.verdict == diagnosis.as_json()["verdict"] == "not judged"
    assert diagnosis.unjudged.startswith("6 points of loss, and a loss is judged from 8 on")
    assert of_losses(*np.linspace(5.0, 3.0, 8)) == "healthy"


def test_a_record_without_a_loss_is_not_judged() -> None:
    diagnosis = diagnose(record(learning_rate=np.linspace(1e-3, 0.0, 100)))
    assert diagnosis.verdict == "not judged" and "no loss" in diagnosis.unjudged


def test_a_warning_is_told_before_that_it_could_not_be_judged() -> None:
    rate = np.linspace(0.0, 1e-3, 6)
    assert diagnose(record(np.full(6, 3.0), learning_rate=rate)).verdict == "warning"


def test_a_plan_has_no_loss_to_judge() -> None:
    assert lint(load_recipe("basic")).verdict == "healthy"


@pytest.mark.parametrize("losses", [(2.0, 2.6, 3.9, 5.2, 7.7, 9.8), (3.0, 4.0, 3.9, 6.0, 7.0, 9.0),
                                    (1.0, 1.2, 1.3, 1.9, 2.0), (4.0, 4.4, 5.0, 4.9, 6.0, 5.9, 7.5)])  # fmt: skip
def test_few_points_that_rise_have_failed(losses: tuple[float, ...]) -> None:
    diagnosis = diagnose(record(np.array(losses), info={"log_format": "csv"}))
    assert diagnosis.verdict == "failed"
    assert diagnosis.of("divergence") and not diagnosis.unjudged


@pytest.mark.parametrize("losses", [(2.0, 2.2, 2.3, 2.4, 2.5), (2.0, 3.0, 4.0, 5.0), (2.0, 4.0, 3.0, 2.8, 3.5, 3.1),
                                    (3.0, 2.0, 2.5, 3.5, 4.0)])  # fmt: skip
def test_what_chance_or_a_small_rise_explains_is_not_judged(losses: tuple[float, ...]) -> None:
    assert of_losses(*losses) == "not judged"


def test_memorising_is_not_taken_for_a_divergence() -> None:
    evals, steps = np.array([2.0, 2.3, 2.7, 3.2, 3.8]), np.arange(5) * 100.0
    assert diagnose(record(evals=evals, eval_steps=steps)).verdict == "not judged"
    falling = record(np.array([2.0, 1.5, 1.1, 0.8, 0.5]), evals=evals, eval_steps=steps)
    assert diagnose(falling).verdict != "failed"
