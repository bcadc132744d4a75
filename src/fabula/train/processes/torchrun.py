"""What torchrun, or a launcher like it, says to the processes that it starts. Needs no torch."""

import os
from collections.abc import Mapping

SAID = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


def torchrun_rank(environment: Mapping[str, str] = os.environ) -> int | None:
    """This process's place among those that were started together; None where none were."""
    return int(environment["RANK"]) if all(environment.get(name) for name in SAID) else None


def torchrun_restarts(environment: Mapping[str, str] = os.environ) -> tuple[int, int]:
    """How often this run has been started again, and how often it may be."""
    count, most = "TORCHELASTIC_RESTART_COUNT", "TORCHELASTIC_MAX_RESTARTS"
    return int(environment.get(count) or 0), int(environment.get(most) or 0)
