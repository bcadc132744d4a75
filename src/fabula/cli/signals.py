"""Ctrl-C and SIGTERM as a wish: the step is finished and a checkpoint written first. A second Ctrl-C stops at once."""

import signal
from types import FrameType
from typing import Any


class StopRequest:
    def __init__(self) -> None:
        self.requested = False
        self._previous: dict[signal.Signals, Any] = {}

    def install(self) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            self._previous[each] = signal.signal(each, self._request)

    def restore(self) -> None:
        for each, handler in self._previous.items():
            signal.signal(each, handler)

    def _request(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
