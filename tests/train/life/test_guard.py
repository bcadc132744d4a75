"""A training that goes wrong: seen, and taken back to where it was sound."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.train.tiny import StopAfter, metrics, same_tensors, tensors, tiny, tiny_training

from fabula.findings.diagnosis import diagnose
from fabula.findings.facts import facts_of_run
from fabula.recipe.schedule import learning_rate
from fabula.recipe.schema import Recipe
from fabula.record.checkpoint import checkpoint_steps
from fabula.record.reader import read_run
from fabula.train.life.checkpoints import guard, rollback
from fabula.train.life.checkpoints.guard import Guard
from fabula.train.life.run import resume_run, start_run
from fabula.train.loop import Training, TrainingFailed
from fabula.train.observer import Observer


def alarms(losses: np.ndarray, spike: float = 2.0) -> int | None:
    """The step at which these losses raise an alarm."""
    watch = Guard()
    return next((step for step, loss in enumerate(losses, start=1) if watch.rise(float(loss), spike)), None)


def falling(rng: np.random.Generator, num_steps: int = 1000, scatter: float = 0.1, tail: float = 3.0) -> np.ndarray:
    """A curve of small batches, some of which stand out."""
    steps = np.arange(1, num_steps + 1)
    return 2.0 + 5.0 * steps**-0.35 + scatter * rng.standard_t(tail, num_steps)


@pytest.mark.parametrize("every", [1, 7, 32, 50, 100])
def test_a_trusted_checkpoint_is_kept_until_there_is_a_newer_one(every: int) -> None:
    """However few are kept: else a rollback begins anew."""
    there: set[int] = set()
    for step in range(every, 600, every):
        there |= {step}
        there = {step} | rollback.needed(sorted(there), step)
        assert len(there) <= 2 + (rollback.MARGIN + rollback.APART) / min(every, rollback.APART)
        for trouble in range(step + 1, step + every + 1):
            latest = (trouble - rollback.MARGIN - rollback.APART) // every * every
            assert max((each for each in there if each <= trouble - rollback.MARGIN), default=0) >= max(0, latest)


@pytest.mark.parametrize("scatter", [0.003, 0.03, 0.1, 0.3])
def test_no_alarm_where_the_loss_falls_or_stays(scatter: float) -> None:
    for seed in range(3):
        rng = np.random.default_rng(seed)
        assert alarms(falling(rng, scatter=scatter)) is None
        assert alarms(3.0 + scatter * rng.standard_normal(1000)) is None


def test_what_stands_out_for_a_few_steps_is_no_alarm() -> None:
    losses = falling(np.random.default_rng(0))
    losses[500:506] += 4.0
    losses[800] = 1e6
    assert alarms(losses) is None


@pytest.mark.parametrize("length", [1, 50, 300])
def test_a_loss_that_rises_and_stays_up_is_an_alarm(length: int) -> None:
    """At once, or so slowly that it is always near what it was just before."""
    for seed in range(3):
        losses = falling(np.random.default_rng(seed))
        losses[600:] += np.minimum(np.arange(1, 401) / length, 1.0) * 2.0
        step = alarms(losses)
        assert step is not None and 600 < step < 600 + guard.SHORT + length


def test_a_rollback_cuts_longer_each_time_and_passes_over_what_was_used() -> None:
    kept = Guard(losses=[3.0], lowest=3.0, scatter=0.1)
    first = Guard().after_rollback(kept, step=50, to_step=20, factor=0.5, length=10)
    assert (first.attempt, first.shift, first.losses) == (2, 30, [3.0])
    assert [first.factor(step) for step in (20, 21, 60, 61)] == [1.0, 0.5, 0.5, 1.0]
    second = first.after_rollback(kept, step=55, to_step=20, factor=0.5, length=10)
    assert (second.attempt, second.shift) == (3, 65)
    assert [second.factor(step) for step in (21, 60, 61, 75, 76)] == [0.25, 0.25, 0.5, 0.5, 1.0]


class Wrong:
    """A training some of whose batches have a loss that is no number."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, batches: set[int]) -> None:
        self.used: list[int] = []
        plain = Training.update
        wrong = self

        def update(training: Training, writer: Any) -> None:
            number = training.progress.step + 1 + training.guard.shift
            wrong.used.append(number)
            loss_sum = training.engine.loss_sum
            if number in batches:
                training.engine.loss_sum = lambda x_BT, y_BT: loss_sum(x_BT, y_BT) * float("nan")
            try:
                plain(training, writer)
            finally:
                training.engine.loss_sum = loss_sum

        monkeypatch.setattr(Training, "update", update)
        monkeypatch.setattr(rollback, "MARGIN", 1)


def guarded(policy: str = "rollback", **values: Any) -> Recipe:
    return tiny(guard__policy=policy, guard__cut_share=0.3, **values)


def test_a_run_goes_back_and_on_with_other_batches_and_a_lower_rate(
    grammar_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = Wrong(monkeypatch, {6, 7, 8})
    run = tmp_path / "run"
    assert start_run(tiny_training(grammar_folder, guarded()), run) == "finished"
    assert wrong.used == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]
    record = read_run(run)
    assert record.train["step"].tolist() == list(range(1, 13)), "what was given up is not what was trained"
    assert record.evals["step"].tolist() == [0, 5, 10, 12] and [each["step"] for each in record.samples][:3] == [
        0,
        5,
        10,
    ]
    (back,) = [each for each in record.events if each["event"] == "rolled_back"]
    assert back == {
        "kind": "event", "step": 8, "event": "rolled_back", "reason": "3 steps in a row were not finite", "to_step": 4,
        "batches": [5, 8], "rate_factor": 0.5, "until_step": 12,
    }  # fmt: skip
    lines = [line for line in metrics(run) if line["kind"] == "train"]
    assert len(lines) == 16 and [line.get("attempt") for line in lines] == [None] * 8 + [2] * 8
    expected = [learning_rate(tiny().schedule, step, 12) for step in range(1, 13)]
    assert record.train["learning_rate"] == pytest.approx([*expected[:4], *(0.5 * each for each in expected[4:])])
    assert facts_of_run(record).planned_rate.values == pytest.approx(expected, rel=1e-6)  # type: ignore[union-attr]
    found = diagnose(record)
    (told,) = found.of("rolled_back")
    assert told.steps == (4, 8) and "went back to the checkpoint of step 4 (3 steps in a row were not" in told.sentence
    assert "other batches and 0.5 of its learning rate until step 12" in told.sentence
    assert not found.of("lr_rising", "lr_jump_on_resume", "non_finite", "divergence")
    assert checkpoint_steps(run) == [4, 8, 12]


@pytest.mark.parametrize("stop", [4, 6, 8])
def test_a_resume_after_a_rollback_is_none(
    stop: int, grammar_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class StopsInTheSecondAttempt(StopAfter):
        def stopping(self) -> bool:
            return "attempt" in (tmp_path / "cut" / "metrics.jsonl").read_text() and self._seen == self.step

    Wrong(monkeypatch, {3, 6, 7, 8, 13, 14, 15})
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert start_run(tiny_training(grammar_folder, guarded()), whole) == "finished"
    if stop > 4:
        observer: Observer = StopsInTheSecondAttempt(stop)
        assert start_run(tiny_training(grammar_folder, guarded(), observer=observer), cut) == "interrupted"
    else:  # killed before the first checkpoint of the second attempt: the rollback is made again
        assert start_run(tiny_training(grammar_folder, guarded(), observer=StopAfter(4)), cut) == "interrupted"
    assert resume_run(tiny_training(grammar_folder, guarded()), cut) == "finished"
    assert metrics(cut, events=False) == metrics(whole, events=False)
    assert same_tensors(tensors(cut), tensors(whole))
    assert sum(each["event"] == "rolled_back" for each in read_run(cut).events) == 2


def test_a_run_without_a_checkpoint_begins_again(
    grammar_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = Wrong(monkeypatch, {1, 2, 3})
    assert start_run(tiny_training(grammar_folder, guarded(steps=4)), tmp_path / "run") == "finished"
    assert wrong.used == [1, 2, 3, 4, 5, 6, 7]
    assert read_run(tmp_path / "run").train["step"].tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        ("stop", r"^step 2 was not finite; lower schedule\.peak"),
        ("rollback", r"^3 steps in a row were not finite, after 2 rollbacks; lower"),
    ],
)
def test_there_is_an_end_to_it(
    policy: str, reason: str, grammar_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Wrong(monkeypatch, set(range(2, 100)))
    with pytest.raises(TrainingFailed, match=reason):
        start_run(tiny_training(grammar_folder, guarded(policy, guard__rollbacks=2)), tmp_path / "run")
    assert read_run(tmp_path / "run").events[-1]["event"] == "failed"


def test_no_checkpoint_is_written_while_steps_are_skipped(
    grammar_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Wrong(monkeypatch, {3, 4, 7})
    recipe = tiny(checkpoint__every=1, steps=8)
    assert start_run(tiny_training(grammar_folder, recipe), tmp_path / "run") == "finished"
    assert checkpoint_steps(tmp_path / "run") == [1, 2, 5, 6, 8]


@pytest.mark.parametrize("policy", ["rollback", "stop", "skip"])
def test_a_loss_that_jumps_is_taken_back(
    policy: str, grammar_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "LONG", 8)
    monkeypatch.setattr(guard, "SHORT", 4)
    monkeypatch.setattr(rollback, "MARGIN", 8)
    plain, hurt = Training.update, list[int]()

    def update(self: Training, writer: Any) -> None:
        if self.progress.step == 24 and not hurt:
            hurt.append(24)
            for each in self.engine.model.parameters():
                each.data.mul_(-3.0)
        plain(self, writer)

    monkeypatch.setattr(Training, "update", update)
    recipe = guarded(policy, steps=40, evaluation__every=40, evaluation__sample_tokens=0)
    training = tiny_training(grammar_folder, recipe)
    if policy == "stop":
        with pytest.raises(TrainingFailed, match=r"the loss of the last 4 steps is .*, and was .* at its lowest"):
            start_run(training, tmp_path / "run")
        return
    assert start_run(training, tmp_path / "run") == "finished"
    events = [each for each in read_run(tmp_path / "run").events if each["event"] == "rolled_back"]
    assert [each["to_step"] for each in events] == ([16] if policy == "rollback" else [])
    if policy == "rollback":
        loss = read_run(tmp_path / "run").train["loss"]
        assert loss[-8:].mean() < loss[16:24].mean() and loss.max() < 7
