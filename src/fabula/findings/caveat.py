"""What stands beside the verdict: that a training went well does not make its model a good one."""

import math

from fabula.findings.facts import Facts
from fabula.findings.rule import number, plural, share
from fabula.findings.rules.settings.setup import FEW_STEPS
from fabula.recipe.presets.reached import made_for

EARLY = 0.5
"""A run with less than half of the steps that its recipe is made for is an early end of it."""
WEAK = 0.2
"""A loss that has fallen by less than a fifth: from 9.0, the chance of one word in 8,192, to 7.2. `modern-portable` cut
to two layers, on the built-in stories, had fallen from 8.0 to 4.3 after 20 steps."""


def caveat(facts: Facts) -> str:
    """Why the model of a run is no good one yet, to be put behind "healthy, but": `trained for only 40 steps`. Empty
    where nothing is known against it."""
    if facts.planned or facts.from_scratch is False or facts.info.get("steps_are_lines"):  # those are no updates
        return ""
    steps, own = facts.num_steps or facts.last_step, None if facts.recipe is None else made_for(facts.recipe)
    if own is not None and 0 < steps < EARLY * own:
        return f"trained for only {share(steps / own)} of the {plural(own, 'step')} that its recipe is made for"
    if 0 < steps < FEW_STEPS:
        return f"trained for only {plural(steps, 'step')}"
    curve = facts.val_loss or facts.train_loss
    if curve is None or facts.first_loss is None or not len(curve.finite):
        return ""
    first, last = facts.first_loss, float(curve.finite.values[-1])
    if math.isfinite(first) and last > (1.0 - WEAK) * first:
        return f"its loss is {number(last)}, and {number(first)} before training"
    return ""
