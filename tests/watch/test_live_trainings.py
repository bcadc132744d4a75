"""Trainings that go on while they are watched: a ladder with two workers, and the Trainer of transformers."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import pytest
from tests.watch.growing import text_of, watcher

from fabula.data.prepare.preparation import prepare
from fabula.findings import diagnose
from fabula.record.foreign import read_sources
from fabula.study import diagnose_ladder, read_ladder
from fabula.watch.watcher import Watcher

pytestmark = pytest.mark.slow

TRAINER = """
import os, signal, sys, torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainerCallback, TrainingArguments
torch.manual_seed(0)
model = GPT2LMHeadModel(GPT2Config(vocab_size=64, n_positions=32, n_embd=16, n_layer=1, n_head=2))
texts = [torch.arange(32).add(i % 7).remainder(64) for i in range(4000)]
rows = [{"input_ids": each, "labels": each} for each in texts]
arguments = TrainingArguments(
    sys.argv[1], max_steps=200, logging_steps=5, save_steps=25, per_device_train_batch_size=4, learning_rate=1e-2,
    report_to=[], disable_tqdm=True, use_cpu=True,
)
class Patient(TrainerCallback):
    def on_save(self, *given, **named):
        os.kill(os.getpid(), signal.SIGSTOP)  # until somebody has looked
Trainer(model, arguments, train_dataset=rows, callbacks=[Patient()]).train()
"""


@contextmanager
def training(command: Sequence[str], printed: IO[bytes] | None = None) -> Iterator["subprocess.Popen[bytes]"]:
    """With all that it starts, which ends with the block."""
    process = subprocess.Popen(
        [sys.executable, *command],
        stdout=printed or subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def follow(
    process: "subprocess.Popen[bytes]", folder: Path, watching: Watcher, saw: Callable[[], None], most: float = 500.0
) -> None:
    """Look whenever there is another file in `folder`, or a run has begun or ended, and when the process has ended. It
    stands still meanwhile: what is seen of it does not depend on how long a look takes."""
    deadline, known = time.monotonic() + most, set[tuple[Path, int]]()
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        assert time.monotonic() < deadline
        if (there := files(folder)) != known:
            known = there
            os.killpg(process.pid, signal.SIGSTOP)
            watching.look()
            saw()
        os.killpg(process.pid, signal.SIGCONT)
        time.sleep(0.05)
    watching.look()


def files(folder: Path) -> set[tuple[Path, int]]:
    there = [Path(here, name) for here, _, names in os.walk(folder) for name in names]
    return {(path, path.stat().st_mtime_ns if path.name == "run.json" else 0) for path in there}


def test_a_trainer_is_followed_by_what_it_prints_and_by_its_folder(tmp_path: Path) -> None:
    out, log = tmp_path / "out", tmp_path / "train.log"
    out.mkdir()
    log.touch()
    printed, folder = watcher(log), watcher(out)
    steps: dict[str, list[int]] = {"printed": [], "folder": []}

    def saw() -> None:
        folder.look()
        for name, watching in (("printed", printed), ("folder", folder)):
            steps[name] += [each.last_step for each in watching.found]

    with open(log, "wb") as file, training(["-u", "-c", TRAINER, str(out)], file) as process:
        follow(process, out, printed, saw)
    assert process.returncode == 0
    for path, watching, name in ((log, printed, "printed"), (out, folder, "folder")):
        os.utime(log, (time.time() - 60,) * 2)
        watching.look()
        assert len(set(steps[name])) > 2, "it grew under our eyes"
        assert steps[name] == sorted(steps[name])
        (found,) = watching.found
        runs, _ = read_sources(path)
        assert list(found.findings) == list(diagnose(runs[0]).findings)


def test_a_ladder_with_two_workers_fills_up(tmp_path: Path) -> None:
    prepare("grammar", tmp_path / "data", tokenizer="bpe:2048", limit=2000)
    out = tmp_path / "ladder"
    command = ["ladder", "demo", "--seeds", "2", "--scale", "0.05", "--data", str(tmp_path / "data"), "--out", str(out)]
    watching = watcher(out)
    ended, at_once = [], []

    def saw() -> None:
        ended.append(sum(each.ended for each in watching.found))
        at_once.append(text_of(watching).count("<progress"))

    with training(["-m", "fabula", *command, "--workers", "2"]) as process:
        while not (out / "ladder.json").is_file():
            assert process.poll() is None
            time.sleep(0.1)
        follow(process, out, watching, saw)
    assert process.returncode == 0
    assert ended == sorted(ended) and len(set(ended)) > 2
    assert max(at_once) == 2, "both are seen"
    assert "8 of 8 runs ended" in text_of(watching)
    assert watching.is_over
    assert watching._ladder is not None
    assert diagnose_ladder(watching._ladder).as_json() == diagnose_ladder(read_ladder([out])).as_json()
