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
ONE_CYCLE_RISE = (0.15, 0.55)
"""OneCycleLR of PyTorch rises over 30 % of the run by default, fastai's over 25 %; both halves alike is 50 %."""
ENDS_BELOW = 0.02
BEGINS_AT = 0.02
"""It begins at a 25th of the peak by default, and ends at a ten-thousandth of that."""
HELD_AT_PEAK = 0.2
COSINE_FIT = 0.05


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
    lowest = highest = float(values[0])
    least = SAME * float(values.max())
    for place, value in enumerate(values.tolist()):
        if rising:
            if value > highest * (1.0 + SAME):
                high, highest = place, value
            elif value < highest * (1.0 - FALL):
                found.append((low, high))
                low, lowest, rising = place, value, False
        elif value <= lowest * (1.0 + SAME):
            low, lowest = place, value
        elif value >= max(CLIMB * lowest, least):
            high, highest, rising = place, value, True
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


def is_one_cycle(curve: Curve) -> bool:
    """Whether the rates are those of one cycle (Smith and Topin 2018): up from a share of the peak, or along half a
    cosine, over a fifth to a half of the run, then down at once to far below where they began. Its long rise is meant.
    """
    steps, values = curve.steps, curve.values
    peak, top = float(values.max()), int(np.argmax(values))
    rise = (steps[top] - steps[0]) / (steps[-1] - steps[0])
    if not ONE_CYCLE_RISE[0] <= rise <= ONE_CYCLE_RISE[1] or top < 5 or values[-1] > ENDS_BELOW * peak:
        return False
    up, down = np.diff(values[: top + 1]), np.diff(values[top:])
    slack = SAME * peak
    if (up < -slack).any() or (down > slack).any() or (values >= 0.98 * peak).mean() > HELD_AT_PEAK:
        return False
    along = (steps[: top + 1] - steps[0]) / (steps[top] - steps[0])
    shape = (values[: top + 1] - values[0]) / (peak - values[0])
    cosine = float(np.abs(shape - 0.5 * (1.0 - np.cos(np.pi * along))).max()) < COSINE_FIT
    a_step = (peak - values[0]) / (steps[top] - steps[0])
    start = values[0] - a_step * steps[0]  # a warmup from zero is one step's share high at its first step
    begins_high = start >= max(3.0 * a_step, BEGINS_AT * peak) and values[-1] <= 0.5 * start
    return cosine or bool(begins_high)
