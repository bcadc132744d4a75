"""The followers of what is being made: a process for each tracker, beside the training and after it in every queue."""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from fabula.exchange.trackers.known import Tracker
from fabula.record.reader import find_runs

PATIENCE_SECONDS = 60.0
"""For what is left to be sent when the training is over; after that the command ends without it."""


@dataclass(frozen=True)
class Follower:
    process: subprocess.Popen
    words: IO[bytes]
    """What it says, in a file: nobody reads a pipe while steps are made, and a full one would stop it."""


@dataclass
class Followers:
    """`begin` once the folder is locked by who makes the run: a follower ends when nobody writes there any more. `end`
    when the lock is gone."""

    folder: Path
    trackers: Sequence[Tracker]
    _followers: dict[str, Follower] = field(default_factory=dict)

    def begin(self) -> None:
        for each in self.trackers:
            self._followers[each.name] = self._start(each.name, "--follow")

    def end(self, say: Callable[[str], None]) -> None:
        """Wait until all is sent, with patience that ends (at once with Ctrl-C), and say what was not. A follower that
        has failed on the way gets a second chance, while there is time: what it left is sent by another one."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        for name, follower in self._followers.items():
            code, said = _ended(follower, deadline)
            if not find_runs(self.folder):
                continue  # nothing was made, and whoever makes it says why
            if code and time.monotonic() < deadline:
                code, said = _ended(self._start(name), deadline)
            if code is None:
                deadline = time.monotonic()  # with Ctrl-C nobody waits for the others either
            if code != 0:
                again = shlex.join(["fabula", "export", str(self.folder), "--to", name])
                say(f"{name} did not get everything ({said}); send the rest with: {again}")
        self._followers.clear()

    def _start(self, name: str, *more: str) -> Follower:
        words = tempfile.TemporaryFile()  # noqa: SIM115 - it goes with its follower
        # Its own session: Ctrl-C is meant for the training, and what the tracker's client has started ends with it.
        process = subprocess.Popen(
            [sys.executable, "-m", "fabula", "export", str(self.folder), "--to", name, *more],
            stdin=subprocess.DEVNULL, stdout=words, stderr=words, start_new_session=True,
        )  # fmt: skip
        return Follower(process, words)


def _ended(follower: Follower, deadline: float) -> tuple[int | None, str]:
    """Exit code of a follower, and its last words. After `deadline`, or with Ctrl-C, it is ended with all that it has
    started, and has no code."""
    try:
        code = follower.process.wait(max(0.0, deadline - time.monotonic()))
    except (subprocess.TimeoutExpired, KeyboardInterrupt) as error:
        _kill(follower.process)
        return None, "it was stopped" if isinstance(error, KeyboardInterrupt) else "it did not answer in time"
    follower.words.seek(0)
    lines = [line for line in follower.words.read().decode(errors="replace").splitlines() if line.strip()]
    return code, lines[-1].strip().removeprefix("fabula: ") if lines else f"its process ended with {code}"


def _kill(process: subprocess.Popen) -> None:
    """End a process, and its session where systems have such."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
