"""A record goes on where its loop does: killed and resumed, begun again, or back at an earlier step."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fabula
from fabula.record.reader import read_run

LOOP = """
import os, signal, sys, fabula
first, last, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
with fabula.Record(folder, steps=60, resume=True) as record:
    for step in range(first, 61):
        record.train(step, 10.0 / step, tokens=100 * step)
        if step % 10 == 0:
            record.evaluate(step, 11.0 / step)
            record.sample(step, "Once", f" at step {step}")
        if step == last:
            os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_loop_leaves_a_record_and_goes_on_from_its_own_checkpoint(tmp_path: Path) -> None:
    folder = tmp_path / "run"

    def loop(first: int, last: int) -> int:
        return subprocess.run([sys.executable, "-c", LOOP, str(first), str(last), str(folder)], check=False).returncode

    assert loop(1, 37) == -signal.SIGKILL
    run = read_run(folder)
    assert (run.status, run.train["step"][-1]) == ("interrupted", 37)
    with open(folder / "metrics.jsonl", "a", encoding="utf-8") as file:
        file.write('{"kind": "train", "st')  # as a power cut leaves it
    assert loop(21, 0) == 0  # its checkpoint was of step 20
    run = read_run(folder)
    assert run.status == "finished"
    assert list(run.train["step"]) == list(range(1, 61)) and list(run.evals["step"]) == list(range(10, 61, 10))
    assert [each["step"] for each in run.samples] == list(range(10, 61, 10))
    assert [(each["event"], each["step"]) for each in run.events] == [("resumed", 20)]
    assert (np.diff(run.train["seconds"]) >= 0).all()
    aside = (folder / "metrics.discarded.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(aside) == 17 + 1 + 1  # updates and an evaluation that were made again, and the half line


def test_a_loop_that_was_resumed_at_once_ends_whole(tmp_path: Path) -> None:
    with fabula.Record(tmp_path / "run") as record:
        record.train(1, 3.0)
    with fabula.Record(tmp_path / "run", resume=True):
        pass
    with fabula.Record(tmp_path / "run", resume=True) as record:
        record.evaluate(1, 2.9)  # of the update that is there
    run = read_run(tmp_path / "run")
    assert (list(run.train["step"]), list(run.evals["step"]), run.info["steps_done"]) == ([1], [1], 1)


def test_steps_that_a_loop_makes_again_after_going_back_count_once(tmp_path: Path) -> None:
    with fabula.Record(tmp_path / "run") as record:
        for step in range(1, 21):
            record.train(step, 3.0)
        record.event(20, "rolled_back", to_step=10, reason="a spike")
        for step in range(11, 31):
            record.train(step, 2.0)
    with fabula.Record(tmp_path / "run", resume=True) as record:
        for step in range(31, 41):
            record.train(step, 1.0)
    run = read_run(tmp_path / "run")
    assert (
        list(run.train["step"]) == list(range(1, 41))
        and list(run.train["loss"]) == [3.0] * 10 + [2.0] * 20 + [1.0] * 10
    )


@pytest.mark.parametrize(("every", "to_step", "kept"), [(1, 10, 10), (1, 0, 0), (5, 12, 10), (5, 3, 0), (1, 25, 20)])
def test_a_loop_that_went_back_and_ends_early_can_be_read(every: int, to_step: int, kept: int, tmp_path: Path) -> None:
    def loop(last: int) -> None:
        with fabula.Record(tmp_path / "run", resume=True) as record:
            for step in range(every, last + 1, every):
                record.train(step, 3.0)
            if last:
                record.event(last, "rolled_back", to_step=to_step)

    loop(20)
    loop(0)  # begun again, and nothing made
    run = read_run(tmp_path / "run")
    assert (run.status, run.info["steps_done"]) == ("finished", kept)
    assert list(run.train["step"]) == list(range(every, kept + 1, every))


@pytest.mark.parametrize("told", ["event", "sample"])
def test_what_is_told_beyond_the_last_update_is_no_update(told: str, tmp_path: Path) -> None:
    with fabula.Record(tmp_path / "run") as record:
        record.train(10, 3.0)
        if told == "event":
            record.event(17, "checkpoint_saved")
        else:
            record.sample(17, "Once", " upon")
    assert read_run(tmp_path / "run").info["steps_done"] == 10


@pytest.mark.parametrize(
    ("first", "losses"),
    [
        (31, [3.0] * 10 + [2.0] * 20),
        (15, [3.0] * 10 + [2.0] * 4),  # those of the second attempt, not of the one that was given up
        (11, [3.0] * 10),
        (5, [3.0] * 4),
    ],
)
def test_a_loop_that_went_back_is_resumed_where_its_checkpoint_was(
    first: int, losses: list[float], tmp_path: Path
) -> None:
    with fabula.Record(tmp_path / "run") as record:
        for step in range(1, 21):
            record.train(step, 3.0)
        record.sample(18, "Once", "given up")
        record.event(20, "rolled_back", to_step=10)
        for step in range(11, 31):
            record.train(step, 2.0)
        record.sample(12, "Once", "kept")
    with fabula.Record(tmp_path / "run", resume=True) as record:
        for step in range(first, 36):
            record.train(step, 1.0)
    run = read_run(tmp_path / "run")
    assert list(run.train["step"]) == list(range(1, 36))
    assert list(run.train["loss"]) == losses + [1.0] * (36 - first)
    assert [each["completion"] for each in run.samples] == (["kept"] if first > 12 else [])


def test_a_loop_that_went_back_and_was_killed_at_once_goes_on(tmp_path: Path) -> None:
    with fabula.Record(tmp_path / "run") as record:
        for step in range(1, 21):
            record.train(step, 3.0)
        record.event(20, "rolled_back", to_step=10)
    with fabula.Record(tmp_path / "run", resume=True) as record:
        for step in range(11, 16):
            record.train(step, 2.0)
    assert list(read_run(tmp_path / "run").train["loss"]) == [3.0] * 10 + [2.0] * 5


def test_a_second_record_of_one_process_goes_on_where_the_first_was_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    first = fabula.Record("~/run")
    first.train(1, 3.0)
    with fabula.Record("~/run", resume=True) as second:
        second.train(2, 2.0)
        first.train(3, 9.0)  # left behind, as in a cell that was run again
    assert list(read_run(tmp_path / "run").train["loss"]) == [3.0, 2.0]
