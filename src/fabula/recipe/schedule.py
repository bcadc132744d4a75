"""Learning-rate schedules: pure functions of the step.

`learning_rate(schedule, step, ...)` is the rate of the update from step - 1 to step, steps counted from 1; at
step 0, which precedes all updates, it is the rate before the warmup. `constant` is the peak from the first step
on. `cosine` rises linearly for `warmup` steps and reaches the floor at the last one:
floor + (peak - floor) / 2 * (1 + cos(pi * progress)) (Loshchilov and Hutter 2017, equation 5). `warmdown` keeps the
peak after the warmup and falls in a line to the floor over the last share `decay` of the run (Zhai et al. 2022).
"""

import math

from fabula.recipe.schema import Recipe, Schedule


def warmup_multiplier(schedule: Schedule, position: float) -> float:
    """Share of the peak during the linear warmup; 1 after it. `position` counts the schedule's own unit."""
    if position >= schedule.warmup:
        return 1.0
    return schedule.warmup_start + (1.0 - schedule.warmup_start) * position / schedule.warmup


def learning_rate(schedule: Schedule, step: int, num_steps: int, accumulation: int = 1) -> float:
    """Learning rate of update `step` of `num_steps`.

    With `unit = "micro_step"` the schedule's clock runs `accumulation` times as fast, and ends with the run.
    """
    if schedule.kind == "constant":
        return schedule.peak
    scale = accumulation if schedule.unit == "micro_step" else 1
    position, end = step * scale, num_steps * scale
    if position < schedule.warmup:
        return schedule.peak * warmup_multiplier(schedule, position)
    if schedule.kind == "warmdown":
        remaining = min(1.0, max(0.0, end - position) / (schedule.decay * end))
        return schedule.floor + (schedule.peak - schedule.floor) * remaining
    progress = min(1.0, (position - schedule.warmup) / max(1, end - schedule.warmup))
    return schedule.floor + 0.5 * (schedule.peak - schedule.floor) * (1.0 + math.cos(math.pi * progress))


MOST_RATES = 1_000_000
"""A longer schedule is looked at in so many places at most: between two of them nothing happens."""


def planned_steps(recipe: Recipe) -> list[int]:
    """Every step from 0 to the last one; of a very long run every second, third, ..., and the last one."""
    steps = list(range(0, recipe.steps + 1, recipe.steps // MOST_RATES + 1))
    return steps if steps[-1] == recipe.steps else [*steps, recipe.steps]


def learning_rates(recipe: Recipe) -> list[float]:
    """The rates of the planned steps."""
    accumulation = recipe.batch.accumulation
    return [learning_rate(recipe.schedule, step, recipe.steps, accumulation) for step in planned_steps(recipe)]
