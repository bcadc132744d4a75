"""What a ladder will cost, from a probe of each tier."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fabula.recipe.ladder import PlannedRun
from fabula.text.prepared import open_prepared
from fabula.train.loop import prepare_training
from fabula.train.observer import Observer
from fabula.train.plan import estimate


@dataclass(frozen=True)
class TierCost:
    tier: str
    num_runs: int
    steps: int
    """Of one run."""
    positions: int
    """Of one run."""
    seconds: float
    """Of all runs of the tier, evaluations included."""
    phases: tuple[PlannedRun, ...]
    """One run of each phase, whose schedule is shown."""


def probe_tiers(planned: Sequence[PlannedRun], data: Path, observer: Observer) -> list[TierCost]:
    """Run a few steps of each tier's last phase and multiply. Nothing is written."""
    costs = []
    for tier in dict.fromkeys(run.tier for run in planned):
        runs = [run for run in planned if run.tier == tier]
        phases = {run.phase: run for run in runs}
        recipe = runs[-1].recipe
        training = prepare_training(recipe, open_prepared(data, recipe.tokenizer), 0, observer)
        seconds = estimate(training.recipe, training.rulers, training.engine.step_seconds).total
        positions = recipe.steps * recipe.positions_per_step
        costs.append(TierCost(tier, len(runs), recipe.steps, positions, seconds * len(runs), tuple(phases.values())))
    return costs
