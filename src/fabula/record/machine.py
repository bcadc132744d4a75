"""Which machine this is, so that runs of unlike ones can be told apart: their speeds tell nothing of their recipes. And
how much of it this process may use."""

import os
import platform
import re
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PROCESSORS = Path("/proc/cpuinfo")
STATUS = Path("/proc/self/status")
NEAR = 0.8
"""The request that was refused is not among what was mapped."""


def num_cores() -> int:
    """Cores this process may use, which in a container are fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> dict[str, str | int]:
    """Its name, its processor in words and the number of its cores."""
    return {"host": socket.gethostname(), "processor": _processor(), "cores": os.cpu_count() or 1}


def machines_with(earlier: Any, here: dict[str, str | int]) -> list[Any]:
    """The machines of a run that goes on here, the first one first, each once."""
    before = list(earlier) if isinstance(earlier, Sequence) and not isinstance(earlier, str) else []
    return before if here in before else [*before, here]


if sys.platform == "win32":

    def most_addresses() -> int | None:
        """No limit of this kind is known there."""
        return None

else:
    import resource

    def most_addresses() -> int | None:
        """Bytes that this process may map at most (ulimit -v); None where there is no limit."""
        most = resource.getrlimit(resource.RLIMIT_AS)[0]
        return None if most == resource.RLIM_INFINITY else most


def has_met_its_limit() -> bool:
    """Whether this process has ever mapped more than NEAR of what it may map (Linux)."""
    most = most_addresses()
    if most is None or not STATUS.is_file():
        return False
    peak = re.search(r"^VmPeak:\s+(\d+) kB", STATUS.read_text(encoding="utf-8"), re.MULTILINE)
    return peak is not None and int(peak[1]) << 10 > NEAR * most


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", PROCESSORS.read_text(encoding="utf-8"), re.MULTILINE)
    except (OSError, ValueError):
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()
