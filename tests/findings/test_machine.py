"""How fast a training of our own was and how much memory it took, and losses that are measured in different ways."""

import numpy as np
from tests.findings.families import record

from fabula.findings import diagnose
from fabula.findings.diagnosis import diagnose_facts
from fabula.findings.facts import Curve, Facts, facts_of_run
from fabula.record.reader import Run


def at_speed(speed: np.ndarray) -> Run:
    run = record(2.0 + 6.0 * np.exp(-np.arange(len(speed)) / 30))
    return Run(run.path, run.info, {**run.train, "tokens_per_second": speed}, run.evals)


def test_a_lasting_fall_is_told_with_its_place_and_is_no_accusation() -> None:
    told = diagnose(at_speed(np.where(np.arange(300) < 200, 5_000.0, 2_000.0)))
    (found,) = told.of("throughput_dropped")
    assert found.steps is not None and abs(found.steps[0] - 200) < 10
    assert "from about 5,000 to 2,000 tokens a second" in found.sentence and told.verdict == "healthy"


def test_a_slow_start_pauses_and_a_stretch_that_ends_are_none() -> None:
    speed = np.full(300, 5_000.0)
    speed[:3], speed[::25], speed[100:150] = 40.0, 300.0, 2_000.0
    assert not diagnose(at_speed(speed)).of("throughput_dropped")


def test_the_memory_of_looks_inside_is_looked_at() -> None:
    lines = [{"step": step, "memory_bytes": 10**9 + step * 10**7} for step in range(10, 400, 10)]
    run = record(2.0 + 6.0 * np.exp(-np.arange(400) / 30))
    memory = facts_of_run(Run(run.path, run.info, run.train, run.evals, looks=lines)).memory
    assert memory is not None and len(memory) == 39
    (found,) = diagnose_facts(Facts(memory=memory)).of("memory_growing")
    assert "from 1.50 GB at step 40 to 4.80 GB at step 390" in found.sentence


def test_memory_that_levels_off_is_not_called_growing() -> None:
    steps = np.arange(1.0, 401.0)
    used = 1e9 * (1.0 + 2.0 * (1.0 - np.exp(-steps / 40)))
    assert not diagnose_facts(Facts(memory=Curve("memory", steps, used))).of("memory_growing")


def test_a_training_loss_with_dropout_lies_above_the_validation_loss() -> None:
    steps = np.arange(1.0, 501.0)
    fall = 2.0 + 6.0 * np.exp(-steps / 40)
    run = record(1.2 * fall, fall[9::10], steps=steps, eval_steps=steps[9::10], info={"log_format": "csv"})
    (found,) = diagnose(run).of("validation_below_training")
    assert found.severity == "note" and found.alternatives[0].startswith("dropout")


def test_an_average_over_the_epoch_is_named_first_where_the_loss_was_falling() -> None:
    epochs = np.arange(1.0, 11.0)
    held = 4.0 * 0.8**epochs
    run = record(held / 0.85, held, steps=epochs, eval_steps=epochs, info={"log_format": "csv"})
    (found,) = diagnose(run).of("validation_below_training")
    assert "average" in found.alternatives[0]
