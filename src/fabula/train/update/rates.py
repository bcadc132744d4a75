"""The learning rate of each update: by the recipe's schedule, or by a function of the user's own.

`own.schedule = "module:function"` is called as function(step, num_steps, recipe), of the updates 1 to `num_steps`. Its
rates depend on nothing else, so that a run that is resumed has those of one that was not.
"""

import math
import warnings
from collections.abc import Collection
from numbers import Real
from typing import Any

import numpy as np
from torch import Tensor

from fabula.errors import InputError
from fabula.model.own import function_named
from fabula.recipe.schedule import learning_rate, learning_rates, planned_steps
from fabula.recipe.schema import Recipe, Schedule
from fabula.record.wording import sparkline

MOST_ASKED = 10_000
"""A function of the user's own may take a millisecond: of more updates, so many rates are looked at before the first
one, and each of the others when it is made."""


def rate_of(recipe: Recipe, step: int) -> float:
    """Of update `step`. Raises InputError where a function of the user's own gives no rate."""
    if not recipe.own.schedule:
        return learning_rate(recipe.schedule, step, recipe.steps, recipe.batch.accumulation)
    given = function_named(recipe.own.schedule, "own.schedule")(step, recipe.steps, recipe)
    rate = given.item() if isinstance(given, Tensor | np.ndarray) and math.prod(given.shape) == 1 else given
    if isinstance(rate, bool) or not isinstance(rate, Real) or not math.isfinite(rate) or rate < 0:
        raise InputError(
            f"own.schedule: for step {step:,} of {recipe.steps:,}, {recipe.own.schedule} returns {_short(given)}; a "
            "learning rate is a finite number, 0 or more"
        )
    return float(rate)


def planned_rates(recipe: Recipe) -> dict[int, float]:
    """Update -> its rate, the last one among them; of a very long run not every update. Raises InputError where a
    function of the user's own gives none, or another one when it is asked again."""
    if not recipe.own.schedule:
        return dict(zip(planned_steps(recipe)[1:], learning_rates(recipe)[1:], strict=True))
    steps = [*range(1, recipe.steps, recipe.steps // MOST_ASKED + 1), recipe.steps]
    rates = {step: rate_of(recipe, step) for step in steps}
    again = {step: rate_of(recipe, step) for step in (steps[len(steps) // 2], steps[0])}
    for step, rate in again.items():
        if rate != rates[step]:
            raise InputError(
                f"own.schedule: for step {step:,}, {recipe.own.schedule} returned {rates[step]:g} and then {rate:g}; a "
                "rate may depend on nothing but (step, num_steps, recipe), or a resumed run would have others"
            )
    return rates


class _Section:
    """The recipe's section `schedule`, which remembers what it was asked for."""

    def __init__(self, section: Schedule) -> None:
        self._section, self.asked = section, set[str]()

    def __getattr__(self, name: str) -> Any:
        self.asked.add(name)
        return getattr(self._section, name)


def check_asked(recipe: Recipe, given: Collection[str]) -> None:
    """Raise InputError where one of the dotted keys that were `given` sets something of the schedule for which the
    user's own does not ask: it would change nothing."""
    of_schedule = {key.partition(".")[2] for key in given if key.startswith("schedule.")}
    if recipe.own.optimizer:
        of_schedule -= {"peak"}  # it is given that
    if not recipe.own.schedule or not of_schedule:
        return
    section = _Section(recipe.schedule)
    try:
        with warnings.catch_warnings(action="ignore"):  # of pydantic's, where it copies such a recipe
            planned_rates(recipe.model_copy(update={"schedule": section}))
    except Exception:  # noqa: BLE001 - it wants the section for more than its values, and may use any of them
        return
    for name in sorted(of_schedule - section.asked):
        raise InputError(
            f"schedule.{name} is set, and {recipe.own.schedule} does not ask for recipe.schedule.{name}, so that it "
            "changes nothing; leave it out"
        )


def rates_line(recipe: Recipe) -> str:
    """For a plan that is shown."""
    rates = [*planned_rates(recipe).values()]
    before = 0.0 if recipe.own.schedule else learning_rates(recipe)[0]  # without warmup the peak is that of step 0
    return f"learning rate {sparkline(rates, low=0.0)} peak {max(before, *rates):g}, last {rates[-1]:g}"


def same_rates_until(recipe: Recipe, longer: Recipe) -> int:
    """The last update whose rate, as those of all before it, is the same in both."""
    steps = range(1, recipe.steps + 1)
    return next((step - 1 for step in steps if rate_of(recipe, step) != rate_of(longer, step)), recipe.steps)


def _short(given: object) -> str:
    text = " ".join(repr(given).split())
    return text if len(text) <= 60 else f"{type(given).__name__} {text[:40]}..."
