"""On how many threads a processor computes, and why."""

import math
import os
from pathlib import Path

import torch

from fabula.errors import InputError
from fabula.record.wording import plural
from fabula.train.machine.choice import Choice

QUOTAS = (Path("/sys/fs/cgroup/cpu.max"), Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"))
"""What a container may use: of cgroup version 2 ("QUOTA PERIOD", in microseconds), and of 1, the period beside it."""
MOST = 1024


def processors_of_quota() -> float | None:
    """Processors' worth of time that this container may use; None without a limit."""
    try:
        quota, period = QUOTAS[0].read_text(encoding="ascii").split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        pass
    try:
        quota = QUOTAS[1].read_text(encoding="ascii")
        period = QUOTAS[1].with_name("cpu.cfs_period_us").read_text(encoding="ascii")
        return int(quota) / int(period) if int(quota) > 0 else None
    except (OSError, ValueError):
        return None


def choose_threads(wanted: int | None = None, earlier: int | None = None, processes: int = 1) -> Choice:
    """The number of threads: `wanted`, or what OMP_NUM_THREADS says, or one for each core that this process may use, of
    which a run that goes on takes no more than `earlier`, the number that it began with: sums of another number of
    threads end in other digits. Of several `processes` of one run each takes its part.

    Cores that are busy with something else count as well: beside one busy process two threads on two cores trained
    `modern-portable` at 0.50 of their speed alone, one thread at 0.48; and a neighbour may leave. Raises InputError for
    a number that makes no sense.
    """
    if wanted is not None:
        if not 1 <= wanted <= MOST:
            raise InputError(f"--threads {wanted}: give a number from 1 to {MOST}")
        return Choice(str(wanted), "--threads says so")
    if processes > 1:
        return Choice(str(max(1, torch.get_num_threads() // processes)), f"the part of one of {processes} processes")
    if "OMP_NUM_THREADS" in os.environ:
        return Choice(str(torch.get_num_threads()), "OMP_NUM_THREADS says so")
    cores, quota = torch.get_num_threads(), processors_of_quota()
    if quota is not None and math.ceil(quota) < cores:
        return Choice(str(math.ceil(quota)), f"this container may use {quota:.2g} of {cores} cores")
    if earlier is not None and earlier < cores:
        return Choice(str(earlier), "as many as the run began with")
    return Choice(str(cores), f"{plural(cores, 'core')} here; --threads N takes another number")


_chosen: list[Choice] = []
"""What `use_threads` chose last, in this process."""


def use_threads(wanted: int | None = None, earlier: int | None = None, processes: int = 1) -> None:
    """Choose the number of threads, and let torch use it from now on."""
    _chosen[:] = [choose_threads(wanted, earlier, processes)]
    torch.set_num_threads(int(_chosen[0].value))


def chosen_threads() -> Choice:
    """The number of threads that torch uses now, and why."""
    now = str(torch.get_num_threads())
    known = [choice for choice in _chosen if choice.value == now]
    return known[0] if known else Choice(now, "as torch was told before")
