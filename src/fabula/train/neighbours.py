"""Other programs on the same processor: noticed while training, and made room for.

Beside a busy program, a thread that spins while it waits burns the time that the thread it waits for needs. libgomp,
torch's OpenMP on Linux, spins 300 times shorter once it manages more threads than there are processors (its manual,
GOMP_SPINCOUNT; the numbers are in fabula.model.spinning). It is brought there by threads that hold a pool and sleep,
and back again by ending them. Nothing that is computed changes.
"""

import os
import threading
import time
from functools import cache

import torch

from fabula.train.waiting import all_waited_seconds

LOOK_SECONDS = 0.5
"""Between two looks, which take 0.1 ms."""
CROWDED, FREE = 0.10, 0.03
"""Processors' worth of waiting for a processor by all threads together. Alone on two cores it is under 0.01; beside one
busy process 0.3 to 0.7."""
ENOUGH_FOR_THREADS = 1 << 17
"""Numbers that torch shares out to all threads; from 32,768 on it does."""


class Neighbours:
    """`look` is called between steps; `crowded` tells whether other programs want the processor. What it does holds for
    the whole process, so one is enough: `neighbours`."""

    def __init__(self) -> None:
        self.crowded = False
        self._looked, self._waited = time.perf_counter(), all_waited_seconds()
        self._release: threading.Event | None = None

    def look(self) -> None:
        """Decide anew, at most every LOOK_SECONDS."""
        now = time.perf_counter()
        if self._waited is None or now - self._looked < LOOK_SECONDS:
            return
        waited = all_waited_seconds() or 0.0
        share = (waited - self._waited) / (now - self._looked)
        self._looked, self._waited = now, waited
        if share > CROWDED and not self.crowded:
            self.crowded = True
            self._hold_pools()
        elif 0 <= share < FREE and self.crowded:  # below 0: a thread has ended, and took its waiting with it
            self.leave()

    def leave(self) -> None:
        """Spin as long as on a free machine again."""
        self.crowded = False
        if self._release is not None:
            self._release.set()
            self._release = None

    def _hold_pools(self) -> None:
        num_threads = torch.get_num_threads()
        if num_threads == 1:  # nobody waits for anybody
            return
        processors = len(os.sched_getaffinity(0))
        self._release = threading.Event()
        for _ in range((processors - num_threads) // (num_threads - 1) + 1):
            threading.Thread(target=_hold_pool, args=(self._release,), daemon=True, name="fabula-pool").start()


def _hold_pool(release: threading.Event) -> None:
    """Own a pool of threads, asleep, until told to go."""
    torch.zeros(ENOUGH_FOR_THREADS).add_(1.0)
    release.wait()


@cache
def neighbours() -> Neighbours:
    """Those of this process."""
    return Neighbours()
