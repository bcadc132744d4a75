"""Choosing a phase's learning rate before its runs: seed 0, scored on `tune`, so that `validation` stays unread.

A phase that changes what a good learning rate is (another optimizer, another initialisation) would otherwise be
compared at a rate that suits only one side.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fabula.data.dataset import open_dataset
from fabula.errors import InputError
from fabula.ladder.execute import CarryOut, carry_out
from fabula.ladder.folder import how_it_ended
from fabula.recipe.ladder import Ladder, PlannedRun
from fabula.record.reader import read_run
from fabula.train.observer import Observer
from fabula.train.update.rates import planned_rates

SEED = 0


@dataclass(frozen=True)
class BracketRun(PlannedRun):
    """One multiple of one bracket."""

    multiple: float

    @property
    def folder(self) -> Path:
        return Path("brackets", self.tier, self.phase, f"times-{self.multiple:g}")


@dataclass(frozen=True)
class RateChoice:
    """What was tried for one phase of one tier, and what was taken."""

    tier: str
    phase: str
    multiples: tuple[float, ...]
    peaks: tuple[float, ...]
    losses: tuple[float, ...]
    """Final loss on `tune`, protocol `stream`; infinite where a run's loss did not stay finite."""

    @property
    def taken(self) -> float:
        """The multiple with the lowest loss, the smaller one of equals."""
        return min(zip(self.losses, self.multiples, strict=True))[1]

    def as_json(self) -> dict[str, Any]:
        return {
            "tier": self.tier,
            "phase": self.phase,
            "split": "tune",
            "seed": SEED,
            "multiples": list(self.multiples),
            "peaks": list(self.peaks),
            "losses": [loss if math.isfinite(loss) else None for loss in self.losses],
            "taken": self.taken,
        }


def bracket_runs(ladder: Ladder, tier: str, phase: str, scale: float, rates: dict[str, float]) -> list[BracketRun]:
    """The runs that a phase's bracket asks for, after the choices of earlier phases."""
    (asked,) = (each for each in ladder.phases if each.name == phase)
    quiet = {"evaluation.split": "tune", "evaluation.sample_tokens": 0}
    return [
        BracketRun(
            Path(tier).stem,
            phase,
            SEED,
            ladder.recipe(tier, phase, scale, {**rates, phase: multiple}).with_values(**quiet),
            multiple,
        )
        for multiple in sorted(asked.bracket)
    ]


def choose_rates(
    ladder: Ladder,
    tiers: Sequence[str],
    phases: Sequence[str],
    scale: float,
    data: Path,
    out: Path,
    observer: Observer,
    carry: CarryOut | None = None,
) -> list[RateChoice] | None:
    """Try every bracket that the wanted phases stand on, in order; runs that are there are not repeated. `carry` makes
    those of one bracket, one after the other in this process where it is not given.

    None when the user stopped. Raises InputError when no rate of a bracket kept its loss finite.
    """
    here: CarryOut = lambda runs, started: carry_out(runs, data, out, observer, started)  # noqa: E731
    wanted = [index for index, phase in enumerate(ladder.phases) if phase.name in phases]
    choices: list[RateChoice] = []
    for tier in tiers:
        rates: dict[str, float] = {}
        for phase in ladder.phases[: max(wanted, default=-1) + 1]:
            if not phase.bracket:
                continue
            runs = bracket_runs(ladder, tier, phase.name, scale, rates)
            _check_rates_differ(runs)
            losses = _losses_of(runs, data, out, observer, carry or here)
            if losses is None:
                return None
            if not any(map(math.isfinite, losses)):
                raise InputError(
                    f"no learning rate in the bracket of {phase.name} stays finite; give smaller multiples"
                )
            choice = RateChoice(
                Path(tier).stem,
                phase.name,
                tuple(run.multiple for run in runs),
                tuple(_peak(run) for run in runs),
                tuple(losses),
            )
            rates[phase.name] = choice.taken
            choices.append(choice)
    return choices


def _check_rates_differ(runs: Sequence[BracketRun]) -> None:
    """A bracket multiplies schedule.peak, which a schedule of the user's own need not ask for."""
    name = runs[0].recipe.own.schedule
    if name and len({tuple(planned_rates(run.recipe).values()) for run in runs}) < len(runs):
        raise InputError(
            f"the bracket of {runs[0].phase} multiplies schedule.peak, and {name} has the same rates for two of its "
            "multiples; have it read recipe.schedule.peak, or leave out the bracket"
        )


def rates_of(choices: Sequence[RateChoice]) -> dict[str, dict[str, float]]:
    """Tier -> phase -> the multiple that was taken."""
    rates: dict[str, dict[str, float]] = {}
    for choice in choices:
        rates.setdefault(choice.tier, {})[choice.phase] = choice.taken
    return rates


def _peak(run: BracketRun) -> float:
    return run.recipe.schedule.peak


def _losses_of(
    runs: Sequence[BracketRun], data: Path, out: Path, observer: Observer, carry: CarryOut
) -> list[float] | None:
    """Make the runs that are missing. Infinite where one failed, None where the user stopped."""
    prepared = open_dataset(data, runs[0].recipe.tokenizer)

    def tell(number: int, run: PlannedRun) -> None:
        assert isinstance(run, BracketRun), "what was given is told of"
        observer.notice(f"learning rate of {run.recipe.name}: {run.multiple:g} x, peak {_peak(run):g}")

    ended: dict[PlannedRun, str] = {run: how_it_ended(run, out, prepared) or "" for run in runs}
    ended |= carry([run for run in runs if not ended[run]], tell)
    if not set(ended.values()) <= {"finished", "failed"}:
        return None
    return [_loss(out / run.folder) if ended[run] == "finished" else math.inf for run in runs]


def _loss(folder: Path) -> float:
    loss = float(read_run(folder).full_evals()["val_loss"][-1])
    return loss if math.isfinite(loss) else math.inf
