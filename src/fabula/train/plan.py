"""What a training will cost, told before it starts."""

from dataclasses import dataclass

from fabula.errors import InputError
from fabula.recipe.presets import with_steps
from fabula.recipe.schema import Recipe
from fabula.score.rulers import Rulers

FORWARD_SHARE = 1 / 3
"""A step is one forward and two products of the same size backward, so scoring costs a third of training a position."""


@dataclass(frozen=True)
class Estimate:
    """Seconds, predicted from a probe of a few steps."""

    training: float
    evaluation: float

    @property
    def total(self) -> float:
        return self.training + self.evaluation


def evaluation_positions(recipe: Recipe, rulers: Rulers) -> int:
    """Positions scored in a whole run: two full evaluations, and the subset and the training sample each time."""
    full = rulers.stream.counts.num_targets + rulers.story.counts.num_stories * rulers.story.context
    if rulers.stream_at_128.context != rulers.stream.context:
        full += rulers.stream.counts.num_targets + rulers.story.counts.num_stories * rulers.story_at_128.context
    part = rulers.stream_subset.counts.num_targets + rulers.train_sample.counts.num_targets
    return 2 * full + part * (2 + (recipe.steps - 1) // recipe.evaluation.every)


def estimate(recipe: Recipe, rulers: Rulers, step_seconds: float) -> Estimate:
    """The cost of `recipe` where one step takes `step_seconds`."""
    position_seconds = step_seconds / recipe.positions_per_step
    evaluation = FORWARD_SHARE * position_seconds * evaluation_positions(recipe, rulers)
    return Estimate(recipe.steps * step_seconds, evaluation)


def recipe_for_minutes(
    recipe: Recipe, rulers: Rulers, step_seconds: float, minutes: float, keep: frozenset[str]
) -> Recipe:
    """The recipe with as many steps as fit into `minutes`, evaluations included.

    Raises InputError when not even one step does.
    """
    steps = int(minutes * 60 / step_seconds)
    for _ in range(3):  # evaluations take time of their own, which depends on the steps: a fixed point
        candidate = with_steps(recipe, max(1, steps), keep)
        steps = int((minutes * 60 - estimate(candidate, rulers, step_seconds).evaluation) / step_seconds)
    if steps < 1:
        needed = estimate(with_steps(recipe, 1, keep), rulers, step_seconds).total / 60
        raise InputError(
            f"{minutes:g} minutes are too few: one step with its evaluations takes about {needed:.2g}; "
            "give more --minutes"
        )
    return with_steps(recipe, steps, keep)
