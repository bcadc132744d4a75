"""What a training will cost, told before it starts."""

import math
from dataclasses import dataclass

from fabula.data.dataset import Dataset, SplitName
from fabula.errors import InputError
from fabula.recipe.scaling import with_steps
from fabula.recipe.schema import Recipe
from fabula.score.rulers import Rulers

FORWARD_SHARE = 1 / 3
"""A step is one forward and two products of the same size backward, so scoring costs a third of training a position."""

MISTAKEN, LEAST_SHARE = 2.0, 0.2
"""A probe beside other programs may find steps and evaluations this many times too long (3.9 s a step, where 1.2 s were
measured half a minute later). What they take is known after the first evaluation, and the plan is made anew then."""


@dataclass(frozen=True)
class Estimate:
    """Seconds, predicted from a probe of a few steps."""

    training: float
    evaluation: float

    @property
    def total(self) -> float:
        return self.training + self.evaluation


def positions_scored(rulers: Rulers) -> tuple[int, int]:
    """Positions of an evaluation on the way, and of a full one."""
    part = rulers.stream_subset.counts.num_targets + rulers.train_sample.counts.num_targets
    full = part + rulers.stream.counts.num_targets + rulers.story.counts.num_stories * rulers.story.context
    if rulers.stream_at_128.context != rulers.stream.context:
        full += rulers.stream.counts.num_targets + rulers.story.counts.num_stories * rulers.story_at_128.context
    return part, full


def evaluation_positions(recipe: Recipe, rulers: Rulers) -> int:
    """Positions scored in a whole run: two full evaluations, and those on the way."""
    part, full = positions_scored(rulers)
    return 2 * full + part * ((recipe.steps - 1) // recipe.evaluation.every)


def estimate(recipe: Recipe, rulers: Rulers, step_seconds: float) -> Estimate:
    """The cost of `recipe` where one step takes `step_seconds`."""
    position_seconds = step_seconds / recipe.positions_per_step
    evaluation = FORWARD_SHARE * position_seconds * evaluation_positions(recipe, rulers)
    return Estimate(recipe.steps * step_seconds, evaluation)


def recipe_for_minutes(
    recipe: Recipe, rulers: Rulers, step_seconds: float, minutes: float, keep: frozenset[str]
) -> Recipe:
    """The recipe with the most steps that fit into `minutes`, evaluations included, which are scaled with the steps.

    Where by the probe not even one step fits, LEAST_SHARE of the time is planned for steps all the same. Raises
    InputError when not even one step fits into MISTAKEN times the minutes.
    """

    def cost(steps: int) -> Estimate:
        return estimate(with_steps(recipe, steps, keep), rulers, step_seconds)

    seconds = minutes * 60
    steps, too_many = 0, int(seconds / step_seconds) + 1
    while too_many - steps > 1:
        middle = (steps + too_many) // 2
        if cost(middle).total <= seconds:
            steps = middle
        else:
            too_many = middle
    if steps < 1:
        needed = cost(1)
        if needed.total > MISTAKEN * seconds:
            raise InputError(
                f"{minutes:g} min is too short: one step takes about {needed.training:.3g} s here, and the evaluations "
                f"before and after it about {needed.evaluation:,.0f} s; give at least "
                f"--minutes {enough_minutes(needed):g}"
            )
        steps = max(1, int(LEAST_SHARE * seconds / step_seconds))
    return with_steps(recipe, steps, keep)


def enough_minutes(one_step: Estimate) -> float:
    """Minutes in which as much time goes into training as into evaluation, to two digits."""
    minutes = 2 * one_step.total / 60
    digits = 1 - math.floor(math.log10(minutes))
    return math.ceil(minutes * 10**digits) / 10**digits


def check_fit(recipe: Recipe, data: Dataset) -> None:
    """Raise InputError when a split that the run needs is empty, or a prompt leaves no room to complete it."""
    splits: tuple[SplitName, ...] = ("train", recipe.evaluation.split)
    for name in splits:
        if not data.split(name).num_stories:
            raise InputError(f"{data.folder} has no {name} stories; prepare it again from more stories")
    if not recipe.evaluation.sample_tokens:
        return
    for prompt in recipe.evaluation.prompts:
        num_tokens = 1 + len(data.tokenizer.encode(prompt))
        if num_tokens >= recipe.model.context:
            raise InputError(
                f'evaluation.prompts: "{prompt}" is {num_tokens} tokens long with its end-of-text, but the context is '
                f"{recipe.model.context}; give shorter ones, or set evaluation.sample_tokens=0"
            )
