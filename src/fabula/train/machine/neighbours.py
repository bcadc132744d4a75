"""Other programs on the same processor: noticed while training, and made room for.

Beside a busy program, a thread that spins while it waits burns the time that the thread it waits for needs. libgomp,
torch's OpenMP on Linux, spins 300 times shorter once it manages more threads than there are processors (its manual,
GOMP_SPINCOUNT; the numbers are in fabula.model.spinning). It is brought there by threads that hold a pool and sleep,
and back again by ending them. Nothing that is computed changes.
"""

import os
import threading
import time

import torch

from fabula.train.machine.waiting import all_waited_seconds

LOOK_SECONDS = 0.2
"""Between two looks, which take 0.4 ms. They are a thread's of their own: between steps, of which one takes 1.4 s for
`modern-portable` beside a busy process, two trainings that start together made 0.53 of what one makes alone; 0.95 so
(docs/log.md)."""
CROWDED, FREE = 0.10, 0.03
"""Processors' worth of waiting for a processor by all threads together. Alone on two cores it is under 0.01; beside one
busy process 0.3 to 0.7."""
WATCHER = "fabula-neighbours"
ENOUGH_FOR_THREADS = 1 << 17
"""Numbers that torch shares out to all threads; from 32,768 on it does."""


class Neighbours:
    """`crowded` tells whether other programs want the processor. What it does holds for the whole process, so one is
    enough: `watch_neighbours`."""

    def __init__(self) -> None:
        self.crowded = False
        self._looked, self._waited = time.perf_counter(), all_waited_seconds()
        self.pools: list[threading.Thread] = []
        """The threads that hold one."""
        self._release = threading.Event()

    def watch(self) -> None:
        """Look as long as the process lives, where the system says how long threads waited."""
        while self._waited is not None:
            time.sleep(LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Decide anew, from what happened since the last look."""
        now, waited = time.perf_counter(), all_waited_seconds() or 0.0
        share = (waited - (self._waited or 0.0)) / (now - self._looked)
        self._looked, self._waited = now, waited
        if share > CROWDED and not self.crowded:
            self.crowded = True
            self._hold_pools()
        elif 0 <= share < FREE and self.crowded:  # below 0: a thread has ended, and took its waiting with it
            self.crowded = False
            self._let_go()

    def _let_go(self) -> None:
        self._release.set()
        self.pools = []

    def _hold_pools(self) -> None:
        num_threads = torch.get_num_threads()
        if num_threads == 1:  # nobody waits for anybody
            return
        processors = len(os.sched_getaffinity(0))
        self._release = threading.Event()
        self.pools = [
            threading.Thread(target=_hold_pool, args=(self._release,), daemon=True)
            for _ in range((processors - num_threads) // (num_threads - 1) + 1)
        ]
        for pool in self.pools:
            pool.start()


def _hold_pool(release: threading.Event) -> None:
    """Own a pool of threads, asleep, until told to go."""
    torch.zeros(ENOUGH_FOR_THREADS).add_(1.0)
    release.wait()


def watch_neighbours() -> None:
    """Watch from now on, once a process."""
    if not any(thread.name == WATCHER for thread in threading.enumerate()):
        threading.Thread(target=Neighbours().watch, daemon=True, name=WATCHER).start()
