"""What becomes of the workers of a ladder when the process that shares out the work is stopped or killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fabula.data.prepare.preparation import prepare
from fabula.record.checkpoint import checkpoint_steps
from fabula.record.reader import find_runs, read_run

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("how", "to_all", "code"), [("SIGKILL", False, -9), ("SIGTERM", False, 143), ("SIGTERM", True, 143)]
)
def test_each_run_has_its_checkpoint_and_nobody_trains_on(how: str, to_all: bool, code: int, tmp_path: Path) -> None:
    prepare("grammar", tmp_path / "data", tokenizer="bpe:2048", limit=3000)
    out = tmp_path / "ladder"
    command = ["ladder", "demo", "--seeds", "2", "--scale", "0.4", "--data", str(tmp_path / "data"), "--out", str(out)]
    ladder = subprocess.Popen(
        [sys.executable, "-m", "fabula", *command, "--workers", "2"], start_new_session=True, stderr=subprocess.DEVNULL
    )
    runs = wait_for_steps(out)
    (os.killpg if to_all else os.kill)(ladder.pid, getattr(signal, how))
    assert ladder.wait(60) == code
    deadline = time.monotonic() + 60
    while any(read_run(run).status == "running" for run in runs) and time.monotonic() < deadline:
        time.sleep(0.2)
    for run in map(read_run, runs):
        assert run.status == "interrupted"
        assert checkpoint_steps(run.path)[-1] == run.train["step"][-1]


@pytest.mark.parametrize("to_all", [False, True])
def test_each_run_writes_a_checkpoint_when_asked_and_goes_on(to_all: bool, tmp_path: Path) -> None:
    prepare("grammar", tmp_path / "data", tokenizer="bpe:2048", limit=3000)
    out = tmp_path / "ladder"
    command = ["ladder", "demo", "--seeds", "2", "--scale", "0.4", "--data", str(tmp_path / "data"), "--out", str(out)]
    ladder = subprocess.Popen(
        [sys.executable, "-m", "fabula", *command, "--workers", "2"], start_new_session=True, stderr=subprocess.DEVNULL
    )
    try:
        runs = wait_for_steps(out)
        (os.killpg if to_all else os.kill)(ladder.pid, signal.SIGUSR1)
        deadline = time.monotonic() + 120
        while not all(map(checkpoint_steps, runs)) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert all(map(checkpoint_steps, runs)) and ladder.poll() is None
    finally:
        os.kill(ladder.pid, signal.SIGTERM)
        ladder.wait(60)


def wait_for_steps(out: Path) -> list[Path]:
    """The two runs in the making, once each has made two steps."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        runs = [run for run in find_runs(out) if len(read_run(run).train["step"]) >= 2] if out.exists() else []
        if len(runs) == 2:
            return runs
        time.sleep(0.2)
    raise AssertionError("no two runs began")
