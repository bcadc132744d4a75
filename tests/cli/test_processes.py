"""`fabula train --processes` and torchrun, from the command line."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.train.tiny import metrics, tiny_file

from fabula.cli import run
from fabula.record.reader import read_run

pytestmark = pytest.mark.usefixtures("as_other_processes")
LAUNCHED = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}
LONG = {"steps": 300, "evaluation__every": 300, "evaluation__sample_tokens": 0, "checkpoint__every": 60}


@pytest.fixture
def place(tmp_path: Path, grammar_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    tiny_file(tmp_path, **LONG)
    (tmp_path / "data").symlink_to(grammar_folder)
    return tmp_path


@pytest.mark.parametrize(
    ("more", "environment", "message"),
    [
        (["--processes", "0"], {}, "--processes 0: give a number from 1 to"),
        (["--processes", "5"], {}, "batch.rows=4 are too few for 5 processes, each of which"),
        (["--shard"], {}, "--shard shares the model out among several processes; give --processes N too"),
        (["--processes", "1", "--shard"], {}, "give --processes N too"),
        (["--processes", "2"], LAUNCHED, "torchrun has started the processes of this run already"),
        ([], LAUNCHED | {"TORCHELASTIC_MAX_RESTARTS": "3"}, "must find it again; give --out"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line(
    more: list[str],
    environment: dict[str, str],
    message: str,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    out = [] if "--out" in message else ["--out", "run"]
    assert run(["train", "tiny.toml", "--data", "data", *out, *more]) == 2
    _, err = capfd.readouterr()
    assert message in err and "Traceback" not in err and len(err.splitlines()) <= 2
    assert not Path("run").exists() and not Path("runs").exists()


def begun(launcher: tuple[str, ...] = (), more: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    """A training of 300 steps that has made its 100th."""
    train = ["-m", "fabula", "train", "tiny.toml", "--data", "data", "--out", "run", *more]
    command = [sys.executable, *launcher, *train]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines, deadline = Path("run/metrics.jsonl"), time.monotonic() + 300
    while not (lines.exists() and '"step": 100,' in lines.read_text()):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.1)
    return process


def children(process: int) -> list[int]:
    """Those that train, the first one first."""
    found = subprocess.run(["ps", "--ppid", str(process), "-o", "pid=,args="], capture_output=True, text=True).stdout
    return [int(line.split()[0]) for line in found.splitlines() if re.search("spawn_main|fabula train", line)]


@pytest.mark.slow
def test_a_stop_ends_all_and_the_run_goes_on_alone(place: Path) -> None:
    process = begun(more=("--processes", "2"))
    others = children(process.pid)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=100)
    assert process.returncode == 143 and "continue with: " in output, output
    assert others and not any(Path(f"/proc/{each}").exists() for each in others)
    assert read_run(Path("run")).info["status"] == "interrupted"
    assert run(["train", "--out", "run", "--resume"]) == 0
    assert run(["train", "tiny.toml", "--data", "data", "--out", "alone", "--threads", "1"]) == 0
    assert_alike()


@pytest.mark.slow
def test_torchrun_starts_a_run_again_whose_processes_are_killed(place: Path) -> None:
    process = begun(("-m", "torch.distributed.run", "--nproc-per-node", "2", "--max-restarts", "3"))
    first, second = children(process.pid)
    os.kill(second, signal.SIGKILL)
    deadline = time.monotonic() + 300
    while children(process.pid) in ([first, second], [first], []) or '"step": 200,' not in text():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.kill(children(process.pid)[0], signal.SIGKILL)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert [event["event"] for event in read_run(Path("run")).events].count("resumed") == 2
    assert run(["train", "tiny.toml", "--data", "data", "--out", "alone", "--threads", "1"]) == 0
    assert_alike()


def text() -> str:
    return Path("run/metrics.jsonl").read_text()


def assert_alike() -> None:
    mine, theirs = (metrics(Path(name), events=False) for name in ("run", "alone"))
    assert [line["step"] for line in mine] == [line["step"] for line in theirs]
    for line, other in zip(mine, theirs, strict=True):
        for name in ("loss", "grad_norm", "val_loss", "train_loss"):
            assert line.get(name) == pytest.approx(other.get(name), rel=1e-2)
