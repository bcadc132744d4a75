"""Whether a run was judged at all: a verdict needs a loss that the rules could look at."""

from collections.abc import Iterable

from fabula.findings.episodes import MIN_POINTS
from fabula.findings.facts import Facts
from fabula.findings.rule import plural

LOOKED_AT_THE_LOSS = "stable"
"""Its rule speaks of every loss curve that is long enough. Other rules on the loss speak of fewer points, but only of
one side of it: five evaluations may agree with the training loss and rise all the same."""


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
