"""Beside busy programs threads sleep sooner; what is computed stays the same."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from fabula.errors import InputError
from fabula.train.machine import neighbours, threads, waiting
from fabula.train.machine.neighbours import LOOK_SECONDS, WATCHER, Neighbours, watch_neighbours
from fabula.train.machine.threads import choose_threads, chosen_threads, processors_of_quota, use_threads


def test_room_is_made_while_others_want_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, waited = [0.0], [0.0]
    monkeypatch.setattr(neighbours.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(neighbours, "all_waited_seconds", lambda: waited[0])
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    seen = Neighbours()

    def look(share: float) -> bool:
        clock[0] += LOOK_SECONDS
        waited[0] += share * LOOK_SECONDS
        seen.look()
        return seen.crowded

    assert not look(0.01) and not seen.pools
    assert look(0.5)
    held = seen.pools
    assert held and all(thread.is_alive() for thread in held)
    assert look(0.05), "between the two bounds nothing changes"
    assert not look(0.0)
    for thread in held:
        thread.join(10)
    assert not any(thread.is_alive() for thread in held)


def watchers() -> int:
    return sum(thread.name == WATCHER for thread in threading.enumerate())


def test_a_process_watches_once() -> None:
    for _ in range(2):
        watch_neighbours()
        assert watchers() == waiting.SCHEDULER.exists()


def test_all_threads_wait_as_long_as_one_of_them_at_least() -> None:
    own, together = waiting.waited_seconds(), waiting.all_waited_seconds()
    assert own is not None and together is not None and 0 <= own <= together


def test_where_nothing_is_known_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "all_waited_seconds", lambda: None)
    Neighbours().watch()  # comes back at once


def run_python(code: str, **environment: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_", "KMP_"))}
    return subprocess.run(
        [sys.executable, "-c", code], env=kept | environment, capture_output=True, text=True, check=True
    ).stdout.strip()


ASK = """
import os, fabula.train
from fabula.model.spinning import WAITING
print(WAITING[0], os.environ.get("GOMP_SPINCOUNT"))
"""


@pytest.mark.long
def test_spinning_is_bounded_before_torch_is_loaded_and_nowhere_else() -> None:
    assert run_python(ASK) == "adaptive 300000"
    assert run_python(ASK, OMP_WAIT_POLICY="passive") == "as set None"
    assert run_python("import torch; " + ASK) == "as torch has it None"
    ask_a_child = f"import subprocess, sys, fabula.train; subprocess.run([sys.executable, '-c', {ASK!r}])"
    assert run_python(ask_a_child) == "adaptive 300000"


def test_the_number_of_threads_and_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    assert str(choose_threads(3)) == "3 (--threads says so)"
    for wrong in (0, -1, 5000):
        with pytest.raises(InputError, match=f"--threads {wrong}: give a number from 1 to 1024"):
            choose_threads(wrong)
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    assert str(choose_threads()) == "8 (OMP_NUM_THREADS says so)"
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(threads, "processors_of_quota", lambda: None)
    assert choose_threads().value == "8" and "8 cores" in choose_threads().reason
    assert str(choose_threads(earlier=2)) == "2 (as many as the run began with)"
    assert choose_threads(earlier=16).value == "8", "a run that moved to a smaller machine takes what there is"
    monkeypatch.setattr(threads, "processors_of_quota", lambda: 1.5)
    assert str(choose_threads()) == "2 (this container may use 1.5 of 8 cores)"


@pytest.mark.parametrize(
    ("version_2", "version_1", "expected"),
    [("max 100000", "", None), ("150000 100000", "", 1.5), ("", "-1", None), ("", "50000", 0.5), ("", "", None)],
)
def test_what_a_container_may_use(
    version_2: str, version_1: str, expected: float | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in (("cpu.max", version_2), ("cpu.cfs_quota_us", version_1), ("cpu.cfs_period_us", "100000")):
        if text:
            (tmp_path / name).write_text(text + "\n")
    monkeypatch.setattr(threads, "QUOTAS", (tmp_path / "cpu.max", tmp_path / "cpu.cfs_quota_us"))
    assert processors_of_quota() == expected


def test_what_was_chosen_is_told_with_its_reason() -> None:
    before = torch.get_num_threads()
    try:
        use_threads(1)
        assert torch.get_num_threads() == 1 and str(chosen_threads()) == "1 (--threads says so)"
        torch.set_num_threads(2)
        assert chosen_threads().value == "2" and "--threads" not in chosen_threads().reason
    finally:
        torch.set_num_threads(before)
