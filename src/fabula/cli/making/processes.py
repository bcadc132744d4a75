"""The processes of one training, as the command line gathers them."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fabula.recipe.schema import Recipe
    from fabula.train.processes.together import Together


def together_with(
    processes: int | None, shard: bool, recipe: "Recipe | None"
) -> "AbstractContextManager[Together | None]":
    """The processes of this run; None where this one is alone, and torch need not be loaded yet."""
    from fabula.errors import InputError
    from fabula.train.processes.launch import check_rows, torchrun_rank

    if recipe is not None:
        check_rows(recipe, processes or 1)
    if torchrun_rank() is None and processes in (None, 1):
        if shard:
            raise InputError("--shard shares the model out among several processes; give --processes N too")
        return nullcontext()
    return _gathered(processes, shard)


@contextmanager
def _gathered(processes: int | None, shard: bool) -> "Iterator[Together]":
    from fabula.errors import InputError
    from fabula.train.processes.group import gathered
    from fabula.train.processes.lost import ProcessLost

    try:
        with gathered(processes, shard) as together:
            yield together
    except ProcessLost as error:  # before the first step; later on it is the end of a run, which `_carry_out` tells
        raise InputError(f"{error} (what it said of it stands above)", "start the training again") from None


def follow_torchrun() -> int:
    """The life of a process that torchrun has started beside the first one."""
    from fabula.data.prepare.parallel import leave_signals_to_parent

    leave_signals_to_parent()  # torchrun sends them to all, and the first one answers
    from fabula.train.processes.following import follow
    from fabula.train.processes.group import gathered

    with gathered(None, sharded=False) as together:
        return follow(together)
