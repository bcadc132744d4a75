"""Ctrl-C and SIGTERM as a wish: the step is finished and a checkpoint written first. A second Ctrl-C stops at once."""

import os
import signal
from types import FrameType
from typing import Any


class StopRequest:
    """`requested` turns True at the first signal after `install`; the second one raises KeyboardInterrupt."""

    def __init__(self) -> None:
        self.requested = False
        self._previous: dict[signal.Signals, Any] = {}

    def install(self) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            # What is ignored stays ignored: a shell starts its background jobs deaf to Ctrl-C.
            if each not in self._previous and signal.getsignal(each) is not signal.SIG_IGN:
                self._previous[each] = signal.signal(each, self._request)

    def restore(self) -> None:
        while self._previous:
            signal.signal(*self._previous.popitem())

    def _request(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        # Straight to stderr: print may be at work itself where the signal arrives, and must not be entered twice.
        os.write(2, b"\nstopping after this step, with a checkpoint; Ctrl-C again stops at once\n")
