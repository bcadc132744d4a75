"""How often the records are read: so seldom that it takes less than a hundredth of one processor."""

import os
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

PULSE_SECONDS = 2.0
"""Between two looks at how far the runs are, which read the last lines of their records and nothing else."""
SHARE = 0.005
"""Of the time of one processor, for reading whole records; with the looks between them it is less than a hundredth. On
how many a training runs does not matter: its threads wait for one another at each operation, so that all lose what one
loses."""
FIRST_COST = 0.05
"""Is counted for the first reading, of which most is spent on loading what draws: the next one comes after 10 s."""
LONGEST_PAUSE = 600.0
REMEMBERED_SECONDS = 300.0


def step_aside() -> None:
    """Let every other process of this machine go first, as far as the system knows that."""
    if hasattr(os, "nice"):
        with suppress(OSError):
            os.nice(19)


def pause_after(cost: float) -> float:
    """Seconds to wait after a reading that took `cost` seconds of processor time."""
    return min(LONGEST_PAUSE, max(PULSE_SECONDS, cost / SHARE))


class Stopwatch:
    """The speed of a log that does not tell it, from the steps that it had at the times when it was read."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: deque[tuple[float, float]] = deque()

    def saw(self, step: float) -> None:
        now = self._clock()
        if self._seen and step < self._seen[-1][1]:
            self._seen.clear()  # the log was begun anew
        if not self._seen or step > self._seen[-1][1]:
            self._seen.append((now, step))
        while len(self._seen) > 2 and now - self._seen[0][0] > REMEMBERED_SECONDS:
            self._seen.popleft()

    @property
    def seconds_per_step(self) -> float | None:
        """None before it has moved under our eyes."""
        if len(self._seen) < 2:
            return None
        (began, first), (ended, last) = self._seen[0], self._seen[-1]
        return (ended - began) / (last - first)
