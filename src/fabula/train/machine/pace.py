"""How fast this machine trains the families' sizes: measured where it matters, in between as a known machine does.

speeds.toml holds the seconds of a step of each size on one machine (docs/frontier.py). Another machine, or this one
beside other programs, is so many times as fast; how many, a probe of one size says, of two for what lies between.
"""

import math
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from fabula.recipe.presets.shapes import Size

TABLE = Path(__file__).with_name("speeds.toml")


@dataclass(frozen=True)
class Speed:
    """Seconds of a step, of `positions` positions in windows of `context`."""

    family: str
    layers: int
    width: int
    context: int
    positions: int
    seconds: float

    @property
    def size(self) -> Size:
        return Size(self.layers, self.width)


@cache
def known_speeds() -> tuple[Speed, ...]:
    with open(TABLE, "rb") as file:
        return tuple(Speed(**row) for row in tomllib.load(file)["speeds"])


def usual_seconds(family: str, context: int) -> dict[Size, float]:
    """Of a step of each size of the family that is known, the smallest first."""
    rows = [row for row in known_speeds() if row.family == family and row.context == context]
    return {row.size: row.seconds for row in sorted(rows, key=lambda row: row.seconds)}


@dataclass
class Pace:
    """`probe` trains a few steps of a size here and returns the seconds of one."""

    usual: Mapping[Size, float]
    probe: Callable[[Size], float]
    measured: dict[Size, float] = field(default_factory=dict)

    def measure(self, size: Size) -> None:
        self.measured[size] = self.probe(size)

    def of_others(self, usual: Mapping[Size, float]) -> "Pace":
        """The pace of another family's sizes, at which nothing is measured any more: each as many times slower or
        faster than on the known machine as the same size of this family is."""
        ratios = {size: seconds / self.usual[size] for size, seconds in self.measured.items()}
        return Pace(usual, self.probe, {size: usual[size] * ratio for size, ratio in ratios.items() if size in usual})

    def middle(self, sizes: Iterable[Size]) -> Size:
        """The size to measure first: its steps take the middle place among these."""
        ordered = sorted(sizes, key=self.usual.__getitem__)
        return ordered[len(ordered) // 2]

    def step_seconds(self, size: Size) -> float:
        """As measured, else as on the known machine, times what the nearest measured sizes take more than there: in
        between on a line over the logarithm of the usual seconds, outside as at the nearest."""
        if size in self.measured:
            return self.measured[size]
        assert self.measured, "a machine of which nothing was measured has no pace"
        ratios = sorted((math.log(self.usual[each]), self.measured[each] / self.usual[each]) for each in self.measured)
        place = math.log(self.usual[size])
        before = [each for each in ratios if each[0] <= place]
        after = [each for each in ratios if each[0] >= place]
        if not before or not after:
            return self.usual[size] * (before[-1] if before else after[0])[1]
        (low, slower), (high, faster) = before[-1], after[0]
        share = 0.0 if high == low else (place - low) / (high - low)
        return self.usual[size] * (slower + share * (faster - slower))
