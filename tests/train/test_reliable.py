"""What a run keeps when the machine fails it: the order in which things reach the disk, and a disk that is full."""

import os
import resource
from pathlib import Path
from typing import Any

import pytest
from tests.train.tiny import metrics, same_tensors, tensors, tiny_run, tiny_training

from fabula.record.checkpoint import checkpoint_steps
from fabula.record.lock import writer_of
from fabula.record.reader import read_run
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
