"""What a run keeps when the machine fails it: the order in which things reach the disk, and a disk that is full."""

import errno
import os
import resource
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.train.tiny import checkpoints_written, metrics, same_tensors, tensors, tiny, tiny_run, tiny_training

from fabula.record.checkpoint import checkpoint_steps
from fabula.record.lock import writer_of
from fabula.record.reader import read_run
from fabula.train import state
from fabula.train.life.run import start_run
from fabula.train.observer import Observer


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="only /proc tells which file is synced")
def test_a_record_is_on_the_disk_before_what_counts_on_it(
    grammar_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []
    sync, rename, replace = os.fsync, os.rename, os.replace

    def synced(descriptor: int) -> None:
        happened.append(f"synced {Path(os.readlink(f'/proc/self/fd/{descriptor}')).name}")
        sync(descriptor)

    def renamed(source: Any, target: Any) -> None:
        happened.append(f"there is {Path(target).name}")
        rename(source, target)

    def replaced(source: Any, target: Any) -> None:
        ending = " finished" if '"finished"' in Path(source).read_text() else ""
        happened.append(f"there is {Path(target).name}{ending}")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "rename", renamed)
    monkeypatch.setattr(os, "replace", replaced)
    tiny_run(grammar_folder, tmp_path / "run")
    for promise in ("there is step-00000004", "there is step-00000012", "there is run.json finished"):
        before = happened[: happened.index(promise)]
        last = max((index for index, each in enumerate(before) if each.startswith("there is step-")), default=0)
        assert {"synced metrics.jsonl", "synced samples.jsonl", "synced evaluations.jsonl"} <= set(before[last:])


class Cramped(Observer):
    """No file may grow beyond some kilobytes between two steps."""

    def stepped(self, line: dict[str, Any]) -> None:
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        if line["step"] in (6, 10):
            checkpoints_written()
            resource.setrlimit(resource.RLIMIT_FSIZE, (30_000 if line["step"] == 6 else hard, hard))


def test_a_checkpoint_that_finds_no_room_ends_no_training(grammar_folder: Path, tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        status = start_run(tiny_training(grammar_folder, observer=Cramped()), tmp_path / "run")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    run = read_run(tmp_path / "run")
    assert status == run.status == "finished" and checkpoint_steps(tmp_path / "run") == [4, 12]
    assert [(each["step"], each["reason"]) for each in run.events if each["event"] == "checkpoint_failed"] == [
        (8, "File too large; free some space")
    ]
    whole = tiny_run(grammar_folder, tmp_path / "whole")
    assert same_tensors(tensors(tmp_path / "run"), tensors(whole))
    assert not list((tmp_path / "run").rglob("*.partial"))


class AsksAfter(Observer):
    """Wants a checkpoint after one step, as SIGUSR1 does."""

    def __init__(self, step: int, run: Path) -> None:
        self.step, self.asked, self.run = step, False, run

    def stepped(self, line: dict[str, Any]) -> None:
        self.asked = line["step"] == self.step
        assert writer_of(self.run) is not None and read_run(self.run).status == "running"

    def checkpoint_asked(self) -> bool:
        return self.asked


def test_a_checkpoint_that_is_asked_for_is_one_more(grammar_folder: Path, tmp_path: Path) -> None:
    asks = AsksAfter(6, tmp_path / "run")
    assert start_run(tiny_training(grammar_folder, observer=asks), tmp_path / "run") == "finished"
    assert checkpoint_steps(tmp_path / "run") == [4, 6, 8, 12]
    assert metrics(tmp_path / "run") == metrics(tiny_run(grammar_folder, tmp_path / "other"))


def test_a_training_goes_on_while_a_checkpoint_is_written(
    grammar_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written is what stood at its step, and one is written at a time."""
    whole = tiny_run(grammar_folder, tmp_path / "whole", tiny(checkpoint__every=2))
    plain, seen = state.save, list[tuple[int, int]]()
    reached, moved_on = [0], threading.Event()

    class Counts(Observer):
        def stepped(self, line: dict[str, Any]) -> None:
            reached[0] = line["step"]
            if line["step"] == 4:
                moved_on.set()

    def slow(run: Path, step: int, *rest: Any) -> Path:
        if step == 2:
            assert moved_on.wait(60), "the training waits for the checkpoint"
        seen.append((step, reached[0]))
        return plain(run, step, *rest)

    monkeypatch.setattr(state, "save", slow)
    training = tiny_training(grammar_folder, tiny(checkpoint__every=2), observer=Counts())
    assert start_run(training, tmp_path / "run") == "finished"
    assert [step for step, _ in seen] == [2, 4, 6, 8, 10, 12] and seen[0] == (2, 4)
    for step in (2, 4, 12):
        assert same_tensors(tensors(tmp_path / "run", step), tensors(whole, step))
    assert metrics(tmp_path / "run") == metrics(whole)


def test_what_goes_wrong_beside_the_training_ends_it(
    grammar_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> Path:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(state, "save", fails)
    with pytest.raises(OSError, match="Input/output error"):
        start_run(tiny_training(grammar_folder), tmp_path / "run")
    run = read_run(tmp_path / "run")
    assert run.status == "failed" and "Input/output" in run.info["error"] and not checkpoint_steps(tmp_path / "run")


@pytest.mark.skipif(os.name != "posix", reason="needs a umask")
def test_others_may_read_what_the_umask_lets_them(grammar_folder: Path, tmp_path: Path) -> None:
    for mask, rights in ((0o022, 0o644), (0o027, 0o640)):
        before = os.umask(mask)
        try:
            run = tiny_run(grammar_folder, tmp_path / f"{mask:o}", tiny(steps=1))
        finally:
            os.umask(before)
        files = list((run / "checkpoints" / "step-00000001").iterdir())
        assert len(files) == 3 and {file.stat().st_mode & 0o777 for file in files} == {rights}
