"""The course of a recorded learning rate: where it climbs, and whether at once or over several records."""

from dataclasses import dataclass

import numpy as np

from fabula.findings.facts import Curve

SAME = 1e-3
"""Rates that differ by less than 0.1 % are the same rate, written with few digits."""
FALL = 0.02
"""A climb is over where the rate has fallen by 2 % from its highest."""
CLIMB = 1.5
"""A rate that grows by half was raised; smaller changes are left to the rule on rising rates."""
AT_ONCE = 0.8
"""A climb is a jump where four fifths of it lie between two neighbouring records."""
HELD, HELD_SHARE = 3, 0.05
"""The rise that a record begins with is a warmup up to where a rate is held for three records, and for a twentieth of
all: warmups in stairs hold each of their rates for a shorter time."""


@dataclass(frozen=True)
class Climb:
    """A stretch of records in which the rate only rises, by half or more: of which step and rate, to which."""

    start: int
    low: float
    end: int
    high: float
    at_once: bool
    earlier_peak: float
    """The highest rate before it."""

    @property
    def times(self) -> float:
        """How many times higher it is at the end; infinity from a rate of zero."""
        return self.high / self.low if self.low > 0 else np.inf


def climbs(curve: Curve) -> list[Climb]:
    """Every climb but the one that the record begins with, which is a warmup. `curve`: finite rates."""
    values = curve.values
    swings = _swings(values)
    if swings and values[: swings[0][0] + 1].max() <= values[swings[0][0]] * (1.0 + SAME):
        swings = [*_after_a_warmup(values, swings[0][1]), *swings[1:]]
    return [_climb(curve, low, high) for low, high in swings]


def _swings(values: np.ndarray) -> list[tuple[int, int]]:
    """Where the rate rises by half or more: from the last place of the lowest to the first of the highest."""
    found = []
    low, high, rising = 0, 0, False
    least = SAME * float(values.max())
    for place, value in enumerate(values.tolist()):
        if rising:
            if value > values[high] * (1.0 + SAME):
                high = place
            elif value < values[high] * (1.0 - FALL):
                found.append((low, high))
                low, rising = place, False
        elif value <= values[low] * (1.0 + SAME):
            low = place
        elif value >= max(CLIMB * values[low], least):
            high, rising = place, True
    return [*found, (low, high)] if rising else found


def _after_a_warmup(values: np.ndarray, high: int) -> list[tuple[int, int]]:
    """The jump to the first peak from a rate that was held before it; without one the whole rise is a warmup."""
    long = max(HELD, round(HELD_SHARE * len(values)))
    for place in np.flatnonzero(values[1 : high + 1] >= CLIMB * values[:high]).tolist():
        before = values[max(0, place - long + 1) : place + 1]
        if len(before) == long and before.min() > 0 and before.max() <= before.min() * (1.0 + SAME):
            return [(place, high)]
    return []


def _climb(curve: Curve, low: int, high: int) -> Climb:
    values = curve.values
    largest = low + int(np.argmax(np.diff(values[low : high + 1])))
    at_once = bool(values[largest + 1] - values[largest] >= AT_ONCE * (values[high] - values[low]))
    if at_once:
        low, high = largest, largest + 1
    return Climb(
        start=int(curve.steps[low]),
        low=float(values[low]),
        end=int(curve.steps[high]),
        high=float(values[high]),
        at_once=at_once,
        earlier_peak=float(values[: low + 1].max()),
    )
