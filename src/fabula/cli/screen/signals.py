"""Ctrl-C and what ends a process as wishes. While a model trains, the step is finished and a checkpoint written first;
a second signal stops at once. Everywhere else the first one does, and nothing half-written stays."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""From a keyboard; from a system that shuts down or a cluster whose time is over; from a terminal that was closed."""
CHECKPOINT = getattr(signal, "SIGUSR1", None)
"""What clusters send before they stop a job: a checkpoint now, and go on."""

_last = signal.SIGINT


def stopped_code() -> int:
    """The exit code of a process that a signal ended, as shells have it: 130 after Ctrl-C, 143 after SIGTERM."""
    return 128 + _last


def end_by_interrupt() -> None:
    """Let SIGTERM and SIGHUP end a command as Ctrl-C does: by an exception, so that what is half-written is removed.
    SIGUSR1 ends nothing, where the system would have it end a process: before a training has begun, and in a command
    that trains nothing, there is no checkpoint to write."""
    for each in ENDING[1:]:
        if signal.getsignal(each) is signal.SIG_DFL:
            signal.signal(each, _interrupt)
    if CHECKPOINT is not None and signal.getsignal(CHECKPOINT) is signal.SIG_DFL:
        signal.signal(CHECKPOINT, signal.SIG_IGN)


def _interrupt(number: int, frame: FrameType | None) -> None:
    _remember(number)
    raise KeyboardInterrupt


def _remember(number: int) -> None:
    global _last
    _last = signal.Signals(number)


@contextmanager
def interrupt_between() -> Iterator[Callable[[], None]]:
    """Ctrl-C within this block waits for the next call of what it yields, which raises KeyboardInterrupt then: raised
    wherever the signal arrives, Python may drop it (in a callback of a library, say). A second one raises at once."""
    asked = False

    def remember(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        _remember(number)
        if asked:
            raise KeyboardInterrupt
        asked = True

    def check() -> None:
        if asked:
            raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield check
        return
    signal.signal(signal.SIGINT, remember)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)


class StopRequest:
    """`requested` turns True at the first signal after `install`; the second one raises KeyboardInterrupt."""

    def __init__(self) -> None:
        self.requested = False
        self._checkpoint = False
        self._previous: dict[signal.Signals, Any] = {}

    def install(self) -> None:
        for each in ENDING:
            # What is ignored stays ignored: a shell starts its background jobs deaf to Ctrl-C.
            if each not in self._previous and signal.getsignal(each) is not signal.SIG_IGN:
                self._previous[each] = signal.signal(each, self._request)
        if CHECKPOINT is not None and CHECKPOINT not in self._previous:
            self._previous[CHECKPOINT] = signal.signal(CHECKPOINT, self._ask_checkpoint)

    def restore(self) -> None:
        while self._previous:
            signal.signal(*self._previous.popitem())

    def checkpoint_asked(self) -> bool:
        """Whether a checkpoint was asked for since the last call."""
        asked, self._checkpoint = self._checkpoint, False
        return asked

    def _ask_checkpoint(self, number: int, frame: FrameType | None) -> None:
        self._checkpoint = True

    def _request(self, number: int, frame: FrameType | None) -> None:
        _remember(number)
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        # Straight to stderr: print may be at work itself where the signal arrives, and must not be entered twice. The
        # terminal may be gone.
        with suppress(OSError):
            os.write(2, b"\nstopping after this step, with a checkpoint; Ctrl-C again stops at once\n")
