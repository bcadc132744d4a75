"""The command line in a process of its own, with a terminal before it or without."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

COMMAND = [sys.executable, "-m", "fabula"]
SEVERAL = "import sys; from fabula.cli import run; sys.exit(sum(run(each.split()) for each in sys.argv[1:]))"
"""A program of Python that runs the commands of its arguments one after the other, and ends with the sum of their exit
codes."""
VARIABLES = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TERM", "PYTHONIOENCODING", "PYTHONUTF8", "LC_ALL")


def environment(**variables: str) -> dict[str, str]:
    """This process's, less what decides about terminals, with `variables`."""
    kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    return {**kept, "TERM": "xterm", "PYTHONUTF8": "1", **variables}


def piped(
    arguments: Sequence[str | bytes], cwd: Path, stdin: bytes = b"", **variables: str
) -> subprocess.CompletedProcess[bytes]:
    """`fabula ARGUMENTS` without a terminal."""
    return subprocess.run(
        [*COMMAND, *arguments], cwd=cwd, input=stdin, capture_output=True, env=environment(**variables), check=False
    )


class Terminal:
    """`fabula ARGUMENTS`, or another `program`, in a terminal of `columns` columns."""

    def __init__(
        self,
        arguments: Sequence[str],
        cwd: Path,
        columns: int = 80,
        program: Sequence[str] = COMMAND,
        **variables: str,
    ) -> None:
        self.text = ""
        """All that was shown so far."""
        self._main, side = pty.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

        def take_terminal() -> None:
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that Ctrl-C reaches the process

        self.process = subprocess.Popen(
            [*program, *arguments],
            cwd=cwd,
            stdin=side,
            stdout=side,
            stderr=side,
            env=environment(**variables),
            preexec_fn=take_terminal,
        )
        os.close(side)

    def type(self, text: str) -> None:
        os.write(self._main, text.encode())

    def wait_for(self, text: str, after: int = 0, seconds: float = 120.0) -> None:
        """Until `text` was shown behind the first `after` characters."""
        end = time.monotonic() + seconds
        while text not in self.text[after:]:
            if time.monotonic() >= end:
                self._fail(f"{text!r} did not come")
            if not self._read():
                self._fail(f"it ended without {text!r}")

    def finish(self, seconds: float = 120.0) -> int:
        """Read to the end; the exit code."""
        end = time.monotonic() + seconds
        while self._read():
            if time.monotonic() >= end:
                self._fail("it did not end")
        os.close(self._main)
        return self.process.wait()

    def _fail(self, why: str) -> NoReturn:
        """Leave no process behind that goes on telling stories."""
        self.process.kill()
        self.process.wait()
        raise AssertionError(f"{why}:\n{self.text}")

    def _read(self) -> bool:
        """Read what is there; whether more may come."""
        if not select.select([self._main], [], [], 1.0)[0]:
            return True
        try:
            piece = os.read(self._main, 65536)
        except OSError:  # Linux's way to say that nobody has the other end any more
            return False
        self.text += piece.decode(errors="replace").replace("\r\n", "\n")
        return bool(piece)


def shown(arguments: Sequence[str], cwd: Path, columns: int = 80, **variables: str) -> tuple[int, str]:
    """Exit code and text of `fabula ARGUMENTS` in a terminal."""
    terminal = Terminal(arguments, cwd, columns, **variables)
    return terminal.finish(), terminal.text


def all_shown(commands: Sequence[str], cwd: Path, **variables: str) -> tuple[int, str]:
    """The sum of the exit codes, and the text, of several commands in one terminal and one process."""
    terminal = Terminal(commands, cwd, program=[sys.executable, "-c", SEVERAL], **variables)
    return terminal.finish(), terminal.text
