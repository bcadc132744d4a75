"""What is said of the end of a foreign log, of its epochs, and of losses that a filter of NaN wrote."""

import json
from pathlib import Path

import numpy as np

from fabula.findings import Diagnosis, diagnose
from fabula.record.foreign import read_log


def _told(path: Path, header: str, rows: list[tuple[float, ...]]) -> Diagnosis:
    path.write_text("\n".join([header, *(",".join(f"{value:g}" for value in row) for row in rows)]) + "\n")
    return diagnose(read_log(path, path.read_bytes())[0])


def test_stairs_that_rise_within_epochs_are_no_divergences(tmp_path: Path) -> None:
    rng, rows = np.random.default_rng(1), []
    for step in range(1, 1001):
        epoch, within = divmod(step - 1, 200)
        rows.append((step, epoch, 2.2 - 0.5 * epoch + 0.12 * within / 200 + 0.01 * rng.standard_normal()))
    found = _told(tmp_path / "log.csv", "step,epoch,loss", rows)
    assert found.verdict == "healthy" and found.of("epoch_staircase") and not found.of("divergence")
    worse = [(step, epoch, loss + (step > 900) * 0.02 * (step - 900)) for step, epoch, loss in rows]
    assert _told(tmp_path / "worse.csv", "step,epoch,loss", worse).of("divergence")


def test_the_fall_of_a_rate_going_to_zero_asks_for_no_more_steps(tmp_path: Path) -> None:
    rng, rows = np.random.default_rng(2), []
    for step in range(1, 401):
        cooled = max(0.0, (step - 300) / 100)
        rows.append((step, 1e-3 * (1 - cooled), 3 + 5 * np.exp(-step / 30) - 0.3 * cooled + 0.01 * rng.normal()))
    assert not _told(tmp_path / "zero.csv", "step,lr,loss", rows).of("still_improving")
    fixed = [(step, 1e-3, loss) for step, _, loss in rows]
    assert _told(tmp_path / "fixed.csv", "step,lr,loss", fixed).of("still_improving")


def test_a_fall_of_the_last_printed_digit_asks_for_no_more_steps(tmp_path: Path) -> None:
    rows = [
        (step, round(0.3 * float(np.exp(-step / 200)) + 1e-4 + 1e-4 * (step < 4500), 4)) for step in range(0, 5001, 25)
    ]
    assert not _told(tmp_path / "digits.csv", "step,loss", rows).of("still_improving")


def test_a_loss_of_zero_beside_a_norm_of_nan_is_not_finite(tmp_path: Path) -> None:
    lines = [
        {"step": step, "loss": 0.0, "grad_norm": float("nan"), "learning_rate": 1e-4} for step in range(10, 510, 10)
    ]
    path = tmp_path / "trainer_state.json"
    path.write_text(json.dumps({"log_history": lines, "global_step": 500}))
    found = diagnose(read_log(path, path.read_bytes())[0])
    assert found.of("non_finite")[0].evidence["curves"] == ["grad_norm", "loss"]
    assert not found.of("fast_start") and not found.of("stable")
