"""Commands in a child of this process, which has loaded everything: a start costs milliseconds instead of seconds."""

import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fabula.cli import run

MOST_SECONDS = 120.0
TRACE = "Traceback (most recent call last)"


@dataclass(frozen=True)
class Ended:
    code: int
    """Negative: the signal that ended it."""
    said: str
    seconds: float

    @property
    def clean(self) -> bool:
        """Done, or refused in words."""
        return self.code in (0, 1, 2, 130, 143) and TRACE not in self.said


def forked(
    arguments: Sequence[str], log: Path, kill_after: float | None = None, limits: Mapping[int, int] | None = None
) -> Ended:
    """Run a command; SIGKILL it after `kill_after` seconds; `limits`: resource -> what the system allows."""
    child, began = start(arguments, log, limits), time.monotonic()
    deadline = began + (MOST_SECONDS if kill_after is None else kill_after)
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            break
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            break
        time.sleep(0.002)
    said = log.read_text(encoding="utf-8", errors="replace")
    return Ended(os.waitstatus_to_exitcode(status), said, time.monotonic() - began)


def start(arguments: Sequence[str], log: Path, limits: Mapping[int, int] | None = None) -> int:
    """The child's process id; what it prints goes into `log`."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        written = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(written, 1)
        os.dup2(written, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for which, most in (limits or {}).items():
            resource.setrlimit(which, (most, most))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as Python has it: writing fails with EFBIG
        code = run(list(arguments))
    except BaseException:  # noqa: BLE001 - a traceback is what is looked for
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
