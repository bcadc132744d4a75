"""Making a ladder from its plan: what is missing is trained, what is there stays. No page, no screen."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from fabula.data.dataset import open_dataset
from fabula.ladder.brackets import choose_rates, rates_of
from fabula.ladder.execute import CarryOut, carry_out
from fabula.ladder.fleet.opening import check_place, opened
from fabula.ladder.fleet.place import Place
from fabula.ladder.fleet.sharing import share_out
from fabula.ladder.folder import describe, how_it_ended, open_folder, with_earlier
from fabula.recipe.ladder import Ladder, PlannedRun, plan_runs
from fabula.record.lock import only_writer
from fabula.record.reader import read_run
from fabula.train.machine.memory.fits import check_memory
from fabula.train.observer import Observer

Started = Callable[[int, PlannedRun, Sequence[PlannedRun]], None]
"""Called with the number of a run, the run, and all that are to be made: before it begins, or, with several workers,
when it has ended."""


@dataclass(frozen=True)
class Order:
    """What was asked for."""

    plan: Ladder
    planned: Sequence[PlannedRun]
    """The chosen part of the plan."""
    data: Path
    out: Path
    num_seeds: int
    scale: float
    workers: int
    command: str
    """As it was typed, for ladder.json."""
    until_told: Mapping[str, Any] | None = None
    """Of a ladder that grows: its rule and its looks, for ladder.json (study/inference/sequential.py)."""
    place: Place | None = None
    """Where its runs are made, if not by this process and its workers."""
    threads: int | None = None
    """Of each run, where `place` makes it; None: chosen there."""
    at_once: int | None = None
    """Runs side by side at most, where `place` makes them; None: as many as it has room for."""

    @property
    def num_tries(self) -> int:
        """Runs that choose a learning rate before the others."""
        return sum(len(phase.bracket) for phase in self.plan.phases) * len({run.tier for run in self.planned})

    def description(self) -> dict[str, Any]:
        """The content of ladder.json, together with what stands there. Raises InputError as with_earlier does."""
        new = describe(self.plan, self.planned, self.num_seeds, self.scale, self.command, self.workers)
        grows = {"until_told": self.until_told} if self.until_told else {}
        on = {"on": self.place.engine} if self.place else {}
        return with_earlier(self.out, new | grows | on, self.plan)

    def missing(self) -> list[PlannedRun]:
        """The runs that have no end yet. Raises InputError when one does not fit its plan or the data."""
        names = {run.recipe.tokenizer for run in self.planned}
        prepared = {tokenizer: open_dataset(self.data, tokenizer) for tokenizer in names}
        if not (self.out / "ladder.json").is_file():
            return list(self.planned)
        return [run for run in self.planned if how_it_ended(run, self.out, prepared[run.recipe.tokenizer]) is None]

    def failed(self) -> list[PlannedRun]:
        """The runs that failed, now or earlier, of a ladder that is made."""
        return [run for run in self.planned if read_run(self.out / run.folder).status == "failed"]

    def there(self, missing: Sequence[PlannedRun]) -> str:
        """How much of the plan has ended, in words; empty where nothing has."""
        ended = len(self.planned) - len(missing)
        return f"{ended} of {len(self.planned)} runs have ended already and are not repeated" if ended else ""


def check_order(order: Order, observer: Observer) -> None:
    """Find all that can be wrong before anything is written. Raises InputError, also where a recipe does not fit into
    memory, as many of them side by side as there are workers."""
    order.description()
    if not order.num_tries:
        order.missing()
    recipes = {run.recipe.name: run.recipe for run in order.planned}.values()
    words = {recipe.tokenizer: open_dataset(order.data, recipe.tokenizer).tokenizer.vocabulary for recipe in recipes}
    known = (
        each.with_values(**{"model.vocabulary": each.model.vocabulary or words[each.tokenizer]}) for each in recipes
    )
    if order.place is None:  # elsewhere, each run looks at the machine that it is on
        check_memory(known, observer.notice, workers=order.workers)
    else:
        check_place(order.place, order.threads)


def make_ladder(order: Order, observer: Observer, started: Started) -> Literal["finished", "failed", "interrupted"]:
    """Make every run that is missing. "failed": some runs failed, now or earlier; all others are made.

    Raises InputError, naming the process, while another one makes this ladder.
    """
    with only_writer(order.out):
        return _make(order, observer, started)


def _carrier(order: Order, observer: Observer) -> CarryOut:
    """What makes runs, where the order says."""
    if order.place is None:
        return lambda runs, started: carry_out(runs, order.data, order.out, observer, started, order.workers)
    place = order.place

    def elsewhere(runs: Sequence[PlannedRun], started: Callable[[int, PlannedRun], None]) -> dict[PlannedRun, str]:
        if not runs:
            return {}
        asked = (place, runs, order.data, order.out, order.threads, order.at_once, observer.notice)
        with opened(*asked) as engine:
            return share_out(engine, runs, order.data, order.out, observer, started)

    return elsewhere


def _make(order: Order, observer: Observer, started: Started) -> Literal["finished", "failed", "interrupted"]:
    carry = _carrier(order, observer)
    description = order.description()
    open_folder(order.out, description)
    if order.num_tries:
        there = [tier for tier in order.plan.tiers if Path(tier).stem in description["tiers"]]
        phases = [phase["name"] for phase in description["phases"]]
        choices = choose_rates(
            order.plan, there, phases, order.scale, order.data, order.out, observer, carry if order.place else None
        )
        if choices is None:
            return "interrupted"
        open_folder(order.out, {**description, "brackets": [choice.as_json() for choice in choices]})
        tiers = [tier for tier in there if Path(tier).stem in {run.tier for run in order.planned}]
        phases = list(dict.fromkeys(run.phase for run in order.planned))
        rates = rates_of(choices)
        wanted = {run.folder for run in order.planned}
        planned = plan_runs(order.plan, tiers, phases, order.num_seeds, order.scale, rates)
        order = replace(order, planned=[run for run in planned if run.folder in wanted])
    missing = order.missing()
    if there_already := order.there(missing):
        observer.notice(there_already)
    statuses = carry(missing, lambda number, run: started(number, run, missing))
    if len(statuses) < len(missing) or "interrupted" in statuses.values():
        return "interrupted"
    return "failed" if order.failed() else "finished"
