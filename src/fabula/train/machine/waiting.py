"""How long this process was ready to compute and had to wait: the sign of neighbours on the machine."""

import os
import time
from collections.abc import Callable
from pathlib import Path

TASKS = Path("/proc/self/task")
SCHEDULER = Path("/proc/thread-self/schedstat")
"""Linux: nanoseconds on a processor, nanoseconds ready and waiting for one, times it was scheduled."""


def waited_seconds() -> float | None:
    """Seconds that this thread has waited for a processor since it began; None where the system does not say."""
    try:
        return int(SCHEDULER.read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return None


def all_waited_seconds() -> float | None:
    """Seconds that the threads of this process, those that live, were ready and waited; None where the system does not
    say."""
    total = 0
    try:
        for task in os.listdir(TASKS):
            try:
                total += int((TASKS / task / "schedstat").read_text(encoding="ascii").split()[1])
            except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
                continue
    except (OSError, IndexError, ValueError):
        return None
    return total / 1e9


def waited_share(work: Callable[[], None]) -> float | None:
    """Processors' worth of waiting of all threads together while `work` is done; None where the system does not say."""
    started, before = time.perf_counter(), all_waited_seconds()
    work()
    after = all_waited_seconds()
    if before is None or after is None:
        return None
    return (after - before) / (time.perf_counter() - started)
