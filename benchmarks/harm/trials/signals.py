"""SIGTERM, SIGINT, SIGHUP, SIGUSR1 at any moment: the conventional exit code, nothing half-written, nobody left."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from harm.trials.forked import MOST_SECONDS, TRACE, Ended, ended, forked, start
from harm.trials.kills import children_of, ladder_differs, outliving, start_ladder, wait_for_runs, write_ladder
from harm.trials.place import EXPORT, PREPARE, REPORT, TRAIN, differs, ends_alike, fresh, seconds

from fabula.cli.screen.signals import end_by_interrupt
from fabula.data.dataset import open_dataset

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
AT_ONCE = 20.0
"""Seconds after the second signal in which a process must be gone; the machine may be busy."""


def commands(random: Random) -> str:
    """One command, one signal, or two."""
    fresh("signalled")
    command, most = random.choice(
        [
            ([*TRAIN, "signalled"], seconds()),
            ([*TRAIN, "signalled"], seconds()),
            ([*PREPARE, "signalled"], 1.0),
            ([*EXPORT, "signalled"], 0.4),
            ([*REPORT, "signalled.html"], 1.5),
        ]
    )
    number, twice = random.choice([*ENDING, signal.SIGUSR1]), random.random() < 0.3
    log = Path("log")
    child = start(command, log, around=_as_from_the_shell)
    time.sleep(random.uniform(0.02, most))
    os.kill(child, number)
    if twice:
        time.sleep(random.uniform(0.0, 0.2))
        os.kill(child, number)
    told = ended(child, log, AT_ONCE if twice and number in ENDING else MOST_SECONDS)
    return _wrong(command[0], number, told) or _left(command[0])


@contextmanager
def _as_from_the_shell() -> Iterator[None]:
    """As `fabula.cli.main` has it before it runs a command."""
    end_by_interrupt()
    yield


def _wrong(name: str, number: signal.Signals, told: Ended) -> str:
    if TRACE in told.said:
        return f"{name}, {number.name}: {told.said[-3000:]}"
    allowed = (0, 128 + number) if number in ENDING else (0,)
    return "" if told.code in allowed else f"{name}, {number.name}: code {told.code}: {told.last}"


def _left(name: str) -> str:
    """What is there of the command's work is whole, and the rest can be made."""
    if litter := [str(path) for path in Path().glob("**/.signalled*partial")]:
        return f"{name}: litter is left: {litter}"
    if name == "train":
        return ends_alike(Path("signalled"))
    if name == "prepare":
        there = Path("signalled").exists()
        again = forked([*PREPARE, "signalled"])
        open_dataset(Path("signalled")).split("train")
        return again.last if again.code and not there else ""
    return ""


def checkpoint_now(random: Random) -> str:
    """SIGUSR1 to a training, several times: it goes on and ends as if nothing had happened."""
    fresh("signalled")
    child, log = start([*TRAIN, "signalled"], Path("log"), around=_as_from_the_shell), Path("log")
    for _ in range(random.randrange(1, 6)):
        time.sleep(random.uniform(0.02, 0.3 * seconds()))
        os.kill(child, signal.SIGUSR1)
    told = ended(child, log, MOST_SECONDS)
    return _wrong("train", signal.SIGUSR1, told) or differs(Path("signalled"))


def ladder(random: Random) -> str:
    """To the process that shares out the work, or to all of them, as a terminal and a cluster do it."""
    fresh("rungs")
    write_ladder()
    process = start_ladder("rungs")
    wait_for_runs(process, Path("rungs"), random)
    workers = children_of(process.pid)
    number, to_all, twice = random.choice([*ENDING, signal.SIGUSR1]), random.random() < 0.5, random.random() < 0.3
    for _ in range(2 if twice else 1):
        if process.poll() is None:
            (os.killpg if to_all else os.kill)(process.pid, number)
        time.sleep(random.uniform(0.0, 0.3))
    code = process.wait(3 * MOST_SECONDS)
    said = Path("log-ladder").read_text(encoding="utf-8", errors="replace")
    # Python itself, before it runs a line of ours, is ended by the signal.
    allowed = (0, 128 + number, -number) if number in ENDING else (0, -number)
    early = not Path("rungs").exists()
    if code not in allowed or TRACE in said or (code == -number and not early):
        return f"{number.name}: code {code}: {said[-300:]}"
    if left := outliving(workers):
        return f"{number.name}: {len(left)} workers train on"
    again = start_ladder("rungs")
    if again.wait(3 * MOST_SECONDS):
        return f"{number.name}: code {again.returncode} of the next call: {Path('log-ladder').read_text()[-200:]}"
    return ladder_differs(Path("rungs"))
