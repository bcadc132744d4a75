"""Whether a run was judged at all, for which a verdict needs a loss that the rules could look at; and whether it has
learned next to nothing."""

import math
from collections.abc import Iterable

import numpy as np

from fabula.findings.curves.episodes import MIN_POINTS
from fabula.findings.facts import Facts
from fabula.findings.rule import number, plural, share

LOOKED_AT_THE_LOSS = "stable"
"""Its rule speaks of every loss curve that is long enough. Other rules on the loss speak of fewer points, but only of
one side of it: five evaluations may agree with the training loss and rise all the same."""
LITTLE = 0.3
"""A run that is made to its end with something on record that ruins runs, and whose loss is still above 70 % of ln V,
has learned little. Real trainings of 200 to 300 steps: ruined ones ended at 71 % or more, sound ones at 50 to 80 %,
so that this alone accuses nobody."""
FEWEST_TOKENS = 256
"""With fewer tokens (DNA, moves of a game) a sound model may end near ln V: what they write has little order."""
AT_THE_END = 0.9
"""Of the planned steps; before, a loss may still fall."""
FEWEST_STEPS = 100
END_SHARE = 0.1


def unjudged(facts: Facts, silent: Iterable[str]) -> str:
    """Why nobody can say that this run went well, and what it would take: `6 points of loss; judged from 8 on`. Empty
    where its loss was looked at, and of a plan, which has none. `silent`: the kinds that were not checked."""
    if facts.planned or LOOKED_AT_THE_LOSS not in silent:
        return ""
    most = max((len(curve.finite) for curve in facts.loss_curves), default=0)
    if not most:
        return "the record holds no loss; log one"
    told = f"{plural(most, 'point')} of loss, and a loss is judged from {MIN_POINTS} on"
    return f"{told}; log it more often, or train longer"


def little_learned(facts: Facts) -> str:
    """A sentence that says so of a run from scratch that came to its end; empty where it learned more, or where the
    record does not say."""
    if facts.planned or facts.vocabulary is None or facts.from_scratch is False or not facts.loss_curves:
        return ""
    if facts.vocabulary < FEWEST_TOKENS:
        return ""
    untrained = math.log(facts.vocabulary)
    if facts.from_scratch is None and (facts.first_loss is None or facts.first_loss < 0.9 * untrained):
        return ""
    if facts.last_step < max(FEWEST_STEPS, AT_THE_END * (facts.num_steps or 0)):
        return ""
    curve = facts.loss_curves[0].finite
    if not len(curve):
        return ""
    end = curve.part((1.0 - END_SHARE) * facts.last_step, facts.last_step)
    level = float(np.median(end.values)) if len(end) else float(curve.values[-1])
    if not level > (1.0 - LITTLE) * untrained:
        return ""
    where = "above" if level >= untrained else f"only {share(1.0 - level / untrained)} below"
    return f" At its end the loss is {number(level)}, {where} the {untrained:.2f} of a model that knows nothing."


def worse_than_untrained(facts: Facts, loss: float) -> str:
    """A sentence that says so of a run whose validation loss ends at `loss`, above that of a model that knows nothing;
    else empty."""
    if facts.vocabulary is None or facts.from_scratch is False or loss <= math.log(facts.vocabulary):
        return ""
    return f" It ended above the {math.log(facts.vocabulary):.2f} of a model that knows nothing."
