"""A training that has to be over after some minutes, whatever else the machine does meanwhile.

The probe of a few steps cannot know how busy the machine will be. So the number of steps is planned anew while the
learning rate does not yet depend on it: the steps already made are then those that the new recipe would have made.
"""

import math
from dataclasses import dataclass

from fabula.recipe.schema import Recipe

LOOKS = 20
"""In the whole time; a look that finds the end nearer than WORTH of the time to where it should be changes nothing."""
WORTH = 0.02


@dataclass(frozen=True)
class Spent:
    """What a run has cost so far, and what is known of the rest. Seconds."""

    steps: int
    total: float
    step: float
    """One step, as they went lately."""
    evaluation: float
    """An evaluation on the way."""
    last_evaluation: float


def earliest_end(recipe: Recipe, steps_made: int) -> int | None:
    """The smallest number of steps for which the rates of the `steps_made` first updates stay what they were; None
    where another number would change them.

    `constant` does not know the end, `cosine` not during its warmup, `warmdown` not before its decay; a function of the
    user's own is told it from the first one on.
    """
    if recipe.own.schedule:
        return None
    schedule = recipe.schedule
    scale = recipe.batch.accumulation if schedule.unit == "micro_step" else 1
    if schedule.kind == "constant" or (steps_made + 1) * scale < schedule.warmup:
        return steps_made + 1
    if schedule.kind == "cosine":
        return None
    earliest = math.ceil(steps_made / (1 - schedule.decay)) if schedule.decay < 1 else recipe.steps + 1
    return max(earliest, steps_made + 1) if earliest <= recipe.steps else None


def planned_end(recipe: Recipe, spent: Spent, seconds: float) -> int | None:
    """The number of steps with which the run ends after `seconds`, or None where the present one does, or has to
    stay."""
    earliest = earliest_end(recipe, spent.steps)
    left = seconds - spent.total
    evaluations_left = (recipe.steps - 1) // recipe.evaluation.every - spent.steps // recipe.evaluation.every
    needed = (recipe.steps - spent.steps) * spent.step + evaluations_left * spent.evaluation + spent.last_evaluation
    if earliest is None or abs(needed - left) < WORTH * seconds:
        return None
    a_step = spent.step + spent.evaluation / recipe.evaluation.every
    steps = max(earliest, spent.steps + int((left - spent.last_evaluation) / a_step))
    return None if steps == recipe.steps else steps


class Clock:
    """Looks at the time while a run is made, and says with how many steps it will be over in time."""

    def __init__(self, seconds: float, first_evaluation: float, share: float) -> None:
        """`first_evaluation`: seconds of the full one at step 0, of which one on the way is the `share`."""
        self.seconds, self.last_evaluation, self.share = seconds, first_evaluation, share
        self._looks = 0
        self._step, self._training = 0, 0.0
        """Where the last look was."""

    def go_back(self, step: int, training: float) -> None:
        """The run stands after update `step` again, when `training` seconds have gone."""
        self._step, self._training = step, training

    def planned_end(self, recipe: Recipe, step: int, training: float, evaluation: float) -> int | None:
        """The number of steps to make in all where that changes: after update `step`, when `training` and `evaluation`
        seconds have gone."""
        total = training + evaluation
        looks = int(total / self.seconds * LOOKS)
        if looks <= self._looks or step >= recipe.steps:
            return None
        num_evaluations = step // recipe.evaluation.every
        spent = Spent(
            steps=step,
            total=total,
            step=(training - self._training) / (step - self._step),
            evaluation=(evaluation - self.last_evaluation) / num_evaluations
            if num_evaluations
            else self.share * self.last_evaluation,
            last_evaluation=self.last_evaluation,
        )
        self._looks, self._step, self._training = looks, step, training
        return planned_end(recipe, spent, self.seconds)
