"""The engine that a place names, opened."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fabula.errors import InputError
from fabula.ladder.fleet.on_ray import check_answers, ray_engine
from fabula.ladder.fleet.on_slurm import SlurmEngine, check_slurm
from fabula.ladder.fleet.place import Place
from fabula.ladder.fleet.sharing import Engine
from fabula.recipe.ladder import PlannedRun
from fabula.record.machine import num_cores
from fabula.record.wording import plural

SLURM_THREADS = 4
"""Of each run, where nobody said how many: small models gain little from more, and wait longer for them."""


def check_place(place: Place, threads: int | None) -> None:
    """What can be known without an engine, before anything is written. Raises InputError where it cannot be had."""
    if place.engine == "slurm":
        check_slurm()
    elif place.address:
        check_answers(place.address)
    elif threads is not None and threads > num_cores():
        raise InputError(f"--threads {threads}: this machine has {plural(num_cores(), 'core')}; give so many at most")


@contextmanager
def opened(
    place: Place,
    planned: Sequence[PlannedRun],
    data: Path,
    out: Path,
    threads: int | None,
    at_once: int | None,
    notice: Callable[[str], None],
) -> Iterator[Engine]:
    """Raises InputError where there is no such engine, or where no machine of it has what a run needs."""
    if place.engine == "ray":
        with ray_engine(place, planned, data, out, threads, at_once, notice) as engine:
            yield engine
        return
    each = threads or SLURM_THREADS
    notice(
        f"slurm: {plural(each, 'thread')} for each run ({'--threads says so' if threads else '--threads changes it'})"
    )
    yield SlurmEngine(data, out, each, at_once)
