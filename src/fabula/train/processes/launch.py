"""What can be said of the processes of a run before torch is loaded."""

import os
from collections.abc import Mapping

from fabula.errors import InputError
from fabula.recipe.schema import Recipe

SAID_BY_TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
"""To each process that it, or a launcher like it, starts."""


def torchrun_rank(environment: Mapping[str, str] = os.environ) -> int | None:
    """This process's place among those that were started together; None where none were."""
    return int(environment["RANK"]) if all(environment.get(name) for name in SAID_BY_TORCHRUN) else None


def torchrun_restarts(environment: Mapping[str, str] = os.environ) -> tuple[int, int]:
    """How often this run has been started again, and how often it may be."""
    count, most = "TORCHELASTIC_RESTART_COUNT", "TORCHELASTIC_MAX_RESTARTS"
    return int(environment.get(count) or 0), int(environment.get(most) or 0)


def check_rows(recipe: Recipe, processes: int) -> None:
    """Raise InputError where a micro-step has fewer rows than there are processes."""
    if recipe.batch.rows < processes:
        raise InputError(
            f"batch.rows={recipe.batch.rows} are too few for {processes} processes, each of which needs one; give "
            f"--processes {recipe.batch.rows} at most, or more batch.rows and less batch.accumulation"
        )
