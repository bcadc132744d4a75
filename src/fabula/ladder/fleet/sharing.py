"""Sharing out runs to an engine until each has its end in the ladder's folder, whatever dies on the way."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from fabula.data.dataset import open_dataset
from fabula.errors import InputError
from fabula.ladder.fleet.wishes import Wishes, forget_wishes, wish
from fabula.ladder.folder import how_it_ended
from fabula.recipe.ladder import PlannedRun
from fabula.record.checkpoint import checkpoint_steps
from fabula.record.wording import plural
from fabula.train.observer import Observer

MOST_DEATHS = 8
"""In a row, of what makes one run, without a checkpoint more: it is the run then, and not the machines. Machines that
die at random every few minutes, as those of a cluster that others may claim, kill a run eight times before its first
checkpoint once in a great while; eight tries of a run that needs too much memory cost minutes."""
TELL_SECONDS = 30.0
"""Between two lines on how many runs are being made."""
DIED = "what made it has died"


@dataclass(frozen=True)
class Left:
    """A run that the engine has done with: it was made, or what made it has died."""

    run: PlannedRun
    wrong: str = ""
    """What is wrong with what was asked: nobody else could make it either."""
    why: str = ""
    """What the engine says of a death."""
    cancelled: bool = False
    """Somebody ended it, who would not like to see it made again now."""


class Engine(Protocol):
    def submit(self, runs: Sequence[PlannedRun]) -> None:
        """Have them made, but those that it is making already, for an earlier call."""

    def left(self, seconds: float) -> list[Left]:
        """The runs that it has done with since the last call. Waits for one, so long at most."""

    def counts(self) -> tuple[int, int]:
        """How many runs are being made, and how many wait."""

    def goes_on_alone(self) -> str:
        """How runs go on without this process, in words; empty where they end with it."""


@dataclass(frozen=True)
class Try:
    """How far a run was when it was last taken up."""

    checkpoint: int = 0
    deaths: int = 0


def share_out(
    engine: Engine,
    planned: Sequence[PlannedRun],
    data: Path,
    out: Path,
    observer: Observer,
    started: Callable[[int, PlannedRun], None],
    poll_seconds: float = 1.0,
) -> dict[PlannedRun, str]:
    """Make every run of `planned`; `started(number, run)` is called when one has ended. Returns the statuses; runs that
    were left where they are because the user stopped are "interrupted".

    Raises InputError for what is wrong with a run, after those at work have stopped with a checkpoint.
    """
    prepared = {name: open_dataset(data, name) for name in {run.recipe.tokenizer for run in planned}}
    statuses: dict[PlannedRun, str] = {}
    tries = dict.fromkeys(planned, Try())
    wishes, wrong, told = Wishes(), "", -math.inf
    forget_wishes(out)
    try:
        engine.submit(planned)
        observer.shared_out()
        while len(statuses) < len(planned):
            for left in engine.left(poll_seconds):
                run = left.run
                ended = how_it_ended(run, out, prepared[run.recipe.tokenizer])
                wrong = wrong or (f"{run.folder}: {left.wrong}" if left.wrong else "")
                if ended is not None:
                    statuses[run] = ended
                    started(len(statuses), run)
                    if ended == "failed":
                        observer.notice(f"{run.folder} failed; its run.json says why")
                elif wishes.stop or wrong or left.cancelled:
                    statuses[run] = "interrupted"
                    if left.cancelled:
                        observer.notice(f"{run.folder} was cancelled; the same call makes it")
                else:
                    tries[run] = _after_death(run, out, tries[run])
                    if tries[run].deaths < MOST_DEATHS:
                        observer.notice(f"{run.folder}: {left.why or DIED}; it is taken up again")
                        engine.submit([run])
                    else:
                        statuses[run], wrong = "interrupted", _too_often(run, left.why)
            if time.monotonic() - told > TELL_SECONDS and not wishes.stop and len(statuses) < len(planned):
                told = time.monotonic()
                observer.notice(_counts_text(len(statuses), len(planned), *engine.counts()))
            if observer.checkpoint_asked():
                wishes = replace(wishes, checkpoints=wishes.checkpoints + 1)
                wish(out, wishes)
            if (observer.stopping() or wrong) and not wishes.stop:
                if alone := engine.goes_on_alone():
                    observer.notice(alone)
                    break
                wishes = replace(wishes, stop=True)
                wish(out, wishes)
    finally:
        forget_wishes(out)
    if wrong:
        raise InputError(wrong)
    return {run: statuses.get(run, "interrupted") for run in planned}


def _after_death(run: PlannedRun, out: Path, before: Try) -> Try:
    step = max(checkpoint_steps(out / run.folder), default=0)
    return Try(step, before.deaths + 1 if step <= before.checkpoint else 1)


def _too_often(run: PlannedRun, why: str) -> str:
    return (
        f"{run.folder}: {why or DIED}, {MOST_DEATHS} times without a checkpoint more, perhaps for want of memory; "
        "make it alone, without --on, to see what happens"
    )


def _counts_text(ended: int, total: int, at_work: int, waiting: int) -> str:
    return f"{ended} of {plural(total, 'run')} ended, {at_work} at work, {waiting} waiting"
