"""How long this process was ready to compute and had to wait: the sign of neighbours on the machine."""

import os
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
    """Seconds that all threads of this process together were ready and waited; None where the system does not say, or
    a thread ended meanwhile."""
    try:
        tasks = os.listdir(TASKS)
        return sum(int((TASKS / each / "schedstat").read_text(encoding="ascii").split()[1]) for each in tasks) / 1e9
    except (OSError, IndexError, ValueError):
        return None
