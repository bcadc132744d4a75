"""Commands in a child of this process, which has loaded everything: a start costs milliseconds instead of seconds."""

import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from fabula.cli import run

MOST_SECONDS = 120.0
TRACE = "Traceback (most recent call last)"
Around = Callable[[], AbstractContextManager[object]]
"""What holds in the child while it runs its command."""

killed = 0
"""How many processes were ended by SIGKILL so far."""


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

    @property
    def last(self) -> str:
        return (self.said.strip().splitlines() or ["nothing said"])[-1][:200]


def forked(
    arguments: Sequence[str],
    log: Path = Path("log"),
    kill_after: float | None = None,
    limits: Mapping[int, int] | None = None,
    around: Around = nullcontext,
) -> Ended:
    """Run a command; SIGKILL it after `kill_after` seconds; `limits`: resource -> what the system allows."""
    child = start(arguments, log, limits, around)
    return ended(child, log, MOST_SECONDS if kill_after is None else kill_after)


def ended(child: int, log: Path, seconds: float) -> Ended:
    """Wait for a child; SIGKILL it when `seconds` are over."""
    global killed
    began = time.monotonic()
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            break
        if time.monotonic() - began > seconds:
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            killed += os.WIFSIGNALED(status)
            break
        time.sleep(0.002)
    said = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    return Ended(os.waitstatus_to_exitcode(status), said, time.monotonic() - began)


def start(
    arguments: Sequence[str], log: Path, limits: Mapping[int, int] | None = None, around: Around = nullcontext
) -> int:
    """The child's process id; what it prints goes into `log`."""
    sys.stdout.flush()
    log.unlink(missing_ok=True)
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
        with around():
            code = run(list(arguments))
    except BaseException:  # noqa: BLE001 - a traceback is what is looked for
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
