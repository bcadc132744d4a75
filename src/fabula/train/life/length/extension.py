"""Making a run longer than its recipe was.

The rule: what is there stays a part of the longer run. So it goes on from the last checkpoint up to which both lengths
have the same learning rates. A constant rate goes on from the end. A warmdown goes on at its peak, from the checkpoint
before its decay, and decays at the new end: the result is the run that the longer recipe would have made (Hägele et al.
2024 extend runs so). A cosine knows its end from the warmup on, and none is extended. A schedule of the user's own is
asked for the rates of both lengths.
"""

from pathlib import Path

from fabula.errors import InputError
from fabula.recipe.schedule import learning_rate
from fabula.recipe.schema import Recipe
from fabula.record.wording import plural
from fabula.train.update.rates import same_rates_until


def with_more_steps(recipe: Recipe, steps: int, run: Path) -> Recipe:
    """The recipe of the longer run; warmup and evaluations stay where they are. Raises InputError where none is."""
    if steps < recipe.steps:
        raise InputError(
            f"{run} was planned for {plural(recipe.steps, 'step')}, and no run is made shorter; leave out --steps"
        )
    if steps > recipe.steps and recipe.schedule.kind == "cosine" and not recipe.own.schedule:
        raise InputError(
            f"{run} cannot be made longer: its cosine falls to the end of its {plural(recipe.steps, 'step')}, and a "
            f"longer one falls otherwise from the start; train {plural(steps, 'step')} into another --out "
            "(with schedule.kind=warmdown that run can be made longer)"
        )
    return recipe.with_values(steps=steps)


def last_shared_step(recipe: Recipe) -> int:
    """The last step whose learning rate, as those of all before it, is the same in any longer run. By the section
    `schedule`: of a function of the user's own that is known of one other length alone."""
    if recipe.schedule.kind == "constant":
        return recipe.steps
    if recipe.schedule.kind == "cosine":
        return 0
    # A warmup does not know the end either; what is counted in micro-steps, it reaches earlier.
    step = min(recipe.steps, max(int(recipe.steps * (1.0 - recipe.schedule.decay)) + 1, recipe.schedule.warmup))
    while step and _rate(recipe, step, recipe.steps) != _rate(recipe, step, 2 * recipe.steps):
        step -= 1
    return step


def shared(candidates: list[int], recipe: Recipe, longer: Recipe, run: Path) -> list[int]:
    """Those of the checkpoints at `candidates` from which the longer run can go on. Raises InputError where there is
    none."""
    last = same_rates_until(recipe, longer) if recipe.own.schedule else last_shared_step(recipe)
    found = [step for step in candidates if step <= last]
    if candidates and not found and recipe.own.schedule:
        raise InputError(
            f"{run} cannot be made longer: {recipe.own.schedule} has other rates for {plural(longer.steps, 'step')} "
            f"from step {last + 1:,} on, and no checkpoint is from before; train the longer one into another --out"
        )
    if candidates and not found:
        raise InputError(
            f"{run} has no checkpoint from before its learning rate began to fall, after step {last:,}, so it cannot "
            "be made longer; train the longer one into another --out"
        )
    return found


def _rate(recipe: Recipe, step: int, steps: int) -> float:
    return learning_rate(recipe.schedule, step, steps, recipe.batch.accumulation)
