"""What the record shows where a loss jumps is named: a resume, another rate, other data."""

from pathlib import Path

import numpy as np
import pytest
from tests.findings.families import record

from fabula.findings import Diagnosis, diagnose
from fabula.record.changes import changes_of, says_what_is_trained_on
from fabula.record.foreign import read_sources
from fabula.record.reader import Run

STEPS = np.arange(1.0, 401.0)
NOISE = 0.02 * np.random.default_rng(3).standard_normal(400)
FALLING = 3.0 + 3.0 * np.exp(-STEPS / 60) + NOISE


def jumping(by: float = 2.0, back: int = 400) -> np.ndarray:
    return FALLING + by * ((STEPS >= 201) & (STEPS < back))


def found(loss: np.ndarray, events: tuple[dict[str, object], ...] = (), **columns: np.ndarray) -> Diagnosis:
    run = record(loss)
    return diagnose(Run(run.path, {}, {**run.train, **columns}, run.evals, list(events)))


def test_a_resume_where_the_loss_jumps_comes_first() -> None:
    (finding,) = found(jumping(), ({"event": "resumed", "step": 200},)).of("divergence")
    assert finding.alternatives[0].startswith("the run was resumed at step 200")
    assert "step 200" in finding.try_


@pytest.mark.parametrize("num", [400, 900, 3000])
def test_a_resume_is_found_at_its_jump_whatever_the_blocks(num: int) -> None:
    steps = np.arange(1.0, num + 1)
    for at in range(num // 2, num // 2 + 7):
        noise = 0.02 * np.random.default_rng(at).standard_normal(num)
        diagnosis = found(3.0 + 3.0 * np.exp(-steps / (num / 6)) + noise + 2.0 * (steps > at),
                          ({"event": "resumed", "step": at},))  # fmt: skip
        assert diagnosis.of("divergence")[0].alternatives[0].startswith("the run was resumed"), at


def test_a_resume_elsewhere_is_no_cause() -> None:
    (finding,) = found(jumping(), ({"event": "resumed", "step": 120},)).of("divergence")
    assert not any("resumed" in cause for cause in finding.alternatives)


def test_a_rate_that_was_raised_there_is_named() -> None:
    rate = np.where(STEPS < 200, 1e-3, 1e-2)
    (finding,) = found(jumping(), learning_rate=rate).of("divergence")
    assert finding.alternatives[0] == "the learning rate was raised from 0.001 to 0.01 at step 200"


@pytest.mark.parametrize("column", ["phase", "dataset_id", "seq_len", "curriculum/stage", "batch_size"])
def test_other_data_explains_a_jump(column: str) -> None:
    diagnosis = found(jumping(), **{column: np.where(STEPS < 201, 1.0, 2.0)})
    assert diagnosis.verdict == "healthy" and not diagnosis.of("spike", "divergence", "stable")
    (finding,) = diagnosis.of("data_changed")
    assert finding.steps == (201, 201) and f"`{column}` changes from 1 to 2" in finding.sentence


def test_data_that_changes_elsewhere_excuses_nothing() -> None:
    assert found(jumping(), phase=np.where(STEPS < 100, 1.0, 2.0)).verdict == "failed"
    assert found(jumping(), phase=STEPS % 2).verdict == "failed"  # a mixture, batch by batch


def test_a_divergence_after_other_data_is_one() -> None:
    loss = jumping() + np.maximum(0.0, (STEPS - 300) * 0.05)
    diagnosis = found(loss, phase=np.where(STEPS < 201, 1.0, 2.0))
    assert diagnosis.of("data_changed") and diagnosis.verdict == "failed"


def test_words_and_what_is_not_there() -> None:
    changes = changes_of({"data": ["a"] * 4 + [None, ""] + ["b"] * 4, "time": list("aabbaabbaa")}, range(10))
    assert changes == [{"step": 6, "column": "data", "before": "a", "after": "b"}]


@pytest.mark.parametrize(("name", "says"), [("phase", True), ("data/source", True), ("data_time", False),
                                            ("train_loss", False), ("Batch Size", True), ("batch", False)])  # fmt: skip
def test_names_of_columns(name: str, says: bool) -> None:
    assert says_what_is_trained_on(name) is says


@pytest.mark.parametrize("text", [False, True])
def test_a_log_of_another_program_says_where_its_data_changes(tmp_path: Path, text: bool) -> None:
    names = ("easy", "hard") if text else ("1", "2")
    lines = [f"{step:.0f},{loss:.4f},{names[int(step > 200)]}" for step, loss in zip(STEPS, jumping(), strict=True)]
    (tmp_path / "log.csv").write_text("\n".join(["step,loss,stage", *lines]) + "\n")
    ((run,), _) = read_sources(tmp_path / "log.csv")
    (finding,) = diagnose(run).of("data_changed")
    assert f"`stage` changes from {names[0]} to {names[1]}" in finding.sentence
