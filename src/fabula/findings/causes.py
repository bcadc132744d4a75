"""What the record itself shows where a loss jumps: a resume, another learning rate, other data."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from fabula.findings.curves.episodes import MIN_POINTS, MIN_RISE_NATS, MIN_RISE_SHARE
from fabula.findings.curves.noise import noise_of
from fabula.findings.curves.rates import CLIMB
from fabula.findings.facts import Change, Curve, Facts
from fabula.findings.rule import number

AROUND = 20
"""Values on each side of a change that show the level there."""
NEAR = 2
"""A rise begins within two values of where it is told from: a block that has both sides of it counts as quiet."""
SURE = 6.0
"""Standard errors between the two levels: with four, 5 of 150 healthy curves rose where a column happened to change."""
EXPERIMENT = (
    "resume from the last checkpoint before it with half the learning rate: if the loss stays low, the learning rate "
    "was the cause; if it rises again at the same step, look at the data there"
)


@dataclass(frozen=True)
class Shift:
    """A level that changes where the data does."""

    curve: str
    change: Change
    before: float
    after: float

    @property
    def rises(self) -> bool:
        return self.after > self.before


def shifts(facts: Facts, curve: Curve) -> list[Shift]:
    """The changes of the data at which the level of a curve is another one at once."""
    finite, found = curve.finite, []
    for change in facts.changes:
        at = int(np.searchsorted(finite.steps, change.step))
        before, after = finite.values[max(0, at - AROUND) : at], finite.values[at : at + AROUND]
        if min(len(before), len(after)) < 2:
            continue
        # A line through the values before, led on: a loss that falls steeply does not jump where the data changes.
        near = [float(np.median(part)) for part in (before[-3:], after[:3])]
        error = noise_of(np.concatenate([before, after])) * np.sqrt(
            1.0 / min(3, len(before)) + 1.0 / min(3, len(after))
        )
        fell = abs(float(np.median(np.diff(before)))) * 3.0 if len(before) > 2 else 0.0
        least = max(MIN_RISE_NATS, MIN_RISE_SHARE * abs(near[0]), SURE * error, fell)
        if abs(near[1] - near[0]) > least:
            found.append(Shift(curve.name, change, near[0], near[1]))
    return found


def between(curve: Curve, rising: list[Shift]) -> list[Curve]:
    """The parts of a curve between the changes at which its level rises: each is judged by itself."""
    edges = [-np.inf, *sorted({float(shift.change.step) for shift in rising}), np.inf]
    parts = [curve.part(first, np.nextafter(stop, -np.inf)) for first, stop in pairwise(edges)]
    return [part for part in parts if len(part.finite) >= MIN_POINTS]


def causes_of(facts: Facts, first: int, spacing: float) -> tuple[str, ...]:
    """Possible causes of a rise that begins at step `first`: what happened there comes before what might have been.

    `spacing`: steps from one value to the next, within which the rise began.
    """
    here = _happened(facts, first, spacing)
    causes = [*here, "the learning rate is too high for this stage of the run", "unusual data at these steps"]
    if facts.clip == 0:
        causes.append("gradients are not clipped")
    if facts.recipe is not None and facts.recipe.compute.precision == "bfloat16":
        causes.append("bfloat16 is not precise enough")
    return tuple(causes)


def experiment_of(facts: Facts, first: int, spacing: float) -> str:
    resume = _resume_at(facts, first, spacing)
    if resume is None:
        return EXPERIMENT
    return (
        f"resume from the checkpoint of step {resume:,} once more, and see that the optimizer's state, the learning "
        "rate and the place in the data are restored: if the loss does not jump, the resume was the cause"
    )


def _resume_at(facts: Facts, first: int, spacing: float) -> int | None:
    steps = [int(event["step"]) for event in facts.events if event.get("event") == "resumed"]
    return next((step for step in steps if first - NEAR * spacing - 1 <= step <= first), None)


def _happened(facts: Facts, first: int, spacing: float) -> list[str]:
    found = []
    resume = _resume_at(facts, first, spacing)
    if resume is not None:
        found.append(
            f"the run was resumed at step {resume:,}: the optimizer's state, the learning rate or the place in the "
            "data may not have been restored"
        )
    rate = facts.learning_rate.finite if facts.learning_rate is not None else None
    if rate is not None and len(rate) > 1:
        near = rate.part(first - NEAR * max(spacing, rate.spacing), first)
        jumps = np.flatnonzero(near.values[1:] > CLIMB * near.values[:-1])
        if len(jumps) and near.values[jumps[0]] > 0:
            old, new = float(near.values[jumps[0]]), float(near.values[jumps[0] + 1])
            found.append(
                f"the learning rate was raised from {number(old)} to {number(new)} at step "
                f"{int(near.steps[jumps[0] + 1]):,}"
            )
    found += [
        f"{change.told} at step {change.step:,}"
        for change in facts.changes
        if first - NEAR * spacing - 1 <= change.step <= first
    ]
    return found
