"""`--watch` and `--notify` of a training: a `fabula watch` beside it, which reads what it records."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from fabula.cli.live.watch import HOOK, NOTIFY
from fabula.cli.screen.terminal import show
from fabula.errors import InputError

__all__ = ["HOOK", "NOTIFY", "WATCH", "watched"]
LINGER_MINUTES = 60
WATCH = f"Show the report as a live page beside it, which stays for {LINGER_MINUTES} minutes after the last look."


@contextmanager
def watched(folder: Path, watch: bool, notify: str | None, only_planned: bool) -> Iterator[Callable[[], None]]:
    """The block makes what is in `folder`, and calls what it is given when it begins to, with the folder locked. Of the
    watching process it is told what that says; nothing waits for it, and it outlives the block.

    Raises InputError, before anything is made, where it could not be started.
    """
    from fabula.watch.hooks import checked

    if watch and find_spec("uvicorn") is None:
        raise InputError("--watch needs uvicorn; install it with: pip install 'fabula[serve]'")
    if notify is not None:
        checked(notify)
    started: list[subprocess.Popen[str]] = []

    def begin() -> None:
        if (watch or notify is not None) and not only_planned:
            started.append(_start(folder, watch, notify))

    try:
        yield begin
    finally:  # a training that was stopped or failed leaves its page, too
        for process in started:
            if watch and process.poll() is None:
                show(
                    f"the page stays open, for {LINGER_MINUTES} minutes after the last look at it; end it sooner "
                    f"with: kill {process.pid}",
                    stderr=True,
                )


def _start(folder: Path, watch: bool, notify: str | None) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "fabula", "watch", str(folder)]
    command += ["--linger", str(LINGER_MINUTES)] if watch else ["--no-page"]
    environment = {name: value for name, value in os.environ.items() if name != HOOK}
    environment |= {HOOK: notify} if notify is not None else {}
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,  # Ctrl-C at the terminal is meant for the training
    )  # fmt: skip
    threading.Thread(target=_pass_on, args=(process,), daemon=True).start()
    return process


def _pass_on(process: "subprocess.Popen[str]") -> None:
    assert process.stdout is not None, "it is a pipe"
    for line in process.stdout:
        show(f"watch: {line.rstrip()}", stderr=True)
