"""What a ladder will cost, from probes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fabula.data.dataset import open_dataset
from fabula.recipe.ladder import PlannedRun
from fabula.recipe.schema import Recipe
from fabula.score.rulers import Rulers
from fabula.train.life.length.estimate import estimate
from fabula.train.life.run import set_up_training
from fabula.train.observer import Observer


@dataclass(frozen=True)
class PhaseCost:
    """One phase of one tier."""

    run: PlannedRun
    """One of its runs, whose schedule is shown; the others differ in their seed only."""
    num_runs: int
    seconds: float
    """Of one run, evaluations included."""

    @property
    def positions(self) -> int:
        """Of one run."""
        return self.run.recipe.steps * self.run.recipe.positions_per_step


def probe_phases(planned: Sequence[PlannedRun], data: Path, observer: Observer) -> list[PhaseCost]:
    """Run a few steps of each kind of step that the plan has, and multiply. Nothing is written.

    Phases of one model and one arithmetic cost the same for each position, so they share a probe.
    """
    probes: dict[str, tuple[Rulers, float]] = {}  # and the seconds of a position
    costs = []
    for tier, phase in dict.fromkeys((run.tier, run.phase) for run in planned):
        runs = [run for run in planned if (run.tier, run.phase) == (tier, phase)]
        recipe = runs[0].recipe
        if (kind := _kind_of_step(recipe)) not in probes:
            training = set_up_training(recipe, open_dataset(data, recipe.tokenizer), 0, observer)
            probes[kind] = training.rulers, training.engine.step_seconds / recipe.positions_per_step
        rulers, position_seconds = probes[kind]
        seconds = estimate(recipe, rulers, position_seconds * recipe.positions_per_step).total
        costs.append(PhaseCost(runs[0], len(runs), seconds))
    return costs


def _kind_of_step(recipe: Recipe) -> str:
    return repr((recipe.model, recipe.compute, recipe.tokenizer, recipe.batch.rows, recipe.own))
