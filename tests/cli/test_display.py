"""The live display: what it shows without a terminal, and what it keeps from one."""

import io
import os
import signal
from typing import Any

import pytest
from rich.console import Console
from tests.train.tiny import tiny

from fabula.cli.screen import signals
from fabula.cli.screen.display import Display, printable
from fabula.train.life.length.estimate import Estimate
from fabula.train.machine.choice import Choice

CHOICES = {"device": Choice("cpu", "no CUDA or MPS device")}


def line(step: int, seconds: float, **fields: Any) -> dict[str, Any]:
    return {"step": step, "seconds": seconds, "loss": 2.5, "tokens_per_second": 1000.0, **fields}


def shown(display: Display) -> str:
    assert isinstance(display.console.file, io.StringIO)
    return display.console.file.getvalue()


@pytest.fixture
def display() -> Display:
    made = Display()
    made.console = Console(file=io.StringIO(), width=80, soft_wrap=True)
    return made


def test_without_a_terminal_a_line_now_and_then(display: Display) -> None:
    with display:
        display.planned(tiny(steps=1000), CHOICES, Estimate(100.0, 20.0))
        display.begun(0)
        for step in range(1, 1001):
            display.stepped(line(step, step * 0.125))
        display.planned(tiny(steps=2), CHOICES, Estimate(1.0, 0.0))
        display.begun(1)
        display.stepped(line(2, 0.2))
    lines = shown(display).splitlines()
    assert lines[0] == "device: cpu (no CUDA or MPS device)"
    assert lines[1] == "tiny: 1,000 steps of 128 positions, about 2.0 min"
    assert lines[2].startswith("this run will be finished at about ")
    assert [each.split("  ")[0] for each in lines[3:8]] == [
        "step 1/1,000", "step 242/1,000", "step 483/1,000", "step 724/1,000", "step 965/1,000",
    ]  # fmt: skip
    assert lines[4] == "step 242/1,000  loss 2.500  1,000 tokens/s  95 s left"
    assert lines[8] == "tiny: 2 steps of 128 positions, about 1.0 s"
    assert lines[9].startswith("goes on after step 1; this run will be finished at about ")
    assert lines[10].startswith("step 2/2  ")


def test_the_time_of_all_runs_is_told_once(display: Display) -> None:
    display.num_alike = 12
    for _ in range(2):
        display.planned(tiny(), CHOICES, Estimate(50.0, 10.0))
    assert shown(display).count("in all") == 1
    assert "12 runs like this one: about 12.0 min in all" in shown(display)


def test_an_evaluation_and_its_completion_take_a_line_each_however_long(display: Display) -> None:
    fields = {"val_loss_subset": 2.25, "val_loss": 2.5, "train_loss": 2.0}
    display.planned(tiny(), CHOICES, Estimate(1.0, 0.0))
    display.evaluated({"step": 0, "full": True, **fields})
    display.sampled({"prompt": "Once", "completion": " upon a time " * 20 + "\x1b[31m\a\nend"})
    display.evaluated({"step": 5, "full": False, **fields})
    lines = shown(display).splitlines()[2:]
    assert lines[0] == "step 0  validation 2.2500, whole split 2.5000, training 2.0000"
    assert lines[1] == "  Once" + " upon a time " * 20 + "\ufffd[31m\ufffd end"
    assert lines[2] == "step 5  validation 2.2500, training 2.0000"


def test_an_evaluation_that_takes_long_is_followed(display: Display, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one at once, for the run has shown nothing yet; without a terminal in lines."""
    clock = iter([0.0, 4.0, 11.0, 20.0, 21.0, 32.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    display.planned(tiny(), CHOICES, Estimate(1.0, 0.0))
    display.begun(0)
    for done in (100, 200, 1300):
        display.evaluating(done, 12_000)
    display.evaluated({"step": 0, "full": True, "val_loss_subset": 2.25, "val_loss": 2.5, "train_loss": 2.0})
    for done in (10, 20, 30):
        display.evaluating(done, 40)
    told = [each for each in shown(display).splitlines() if each.startswith("evaluating")]
    assert told == [
        "evaluating: 100 of 12,000 stories", "evaluating: 1,300 of 12,000 stories", "evaluating: 30 of 40 stories",
    ]  # fmt: skip


def test_what_would_steer_a_terminal_is_not_printed() -> None:
    assert printable("a\tb\r\nc\x1b[2J\x07é漢\x9b") == "a b  c\ufffd[2J\ufffdé漢\ufffd"


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="SIGUSR1 as POSIX has it")
def test_signals_are_wishes_also_while_other_processes_train(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ladder with workers trains nothing itself."""
    monkeypatch.setattr(signals, "_last", signal.SIGINT)  # what ended a process is remembered to its end
    before = [signal.getsignal(each) for each in (signal.SIGUSR1, signal.SIGTERM)]
    with Display() as display:
        display.shared_out()
        os.kill(os.getpid(), signal.SIGUSR1)
        assert display.checkpoint_asked() and not display.checkpoint_asked() and not display.stopping()
        os.kill(os.getpid(), signal.SIGTERM)
        assert display.stopping()
    assert [signal.getsignal(each) for each in (signal.SIGUSR1, signal.SIGTERM)] == before
