"""A curve that rises slowly in the midst of a run, and falls again: a hump of the gradient norm."""

from dataclasses import dataclass

import numpy as np

from fabula.findings.curves.episodes import block_medians
from fabula.findings.facts import Curve

NUM_BLOCKS = 60
"""Blocks that a norm is looked at in: a rise over a twelfth of the run takes five of them."""
CALM = 0.1
"""Blocks that vary by more than 10 % are smoothed; in calmer ones that would fill a narrow valley at the start."""
FACTOR = 2.2
"""Healthy real runs rise up to threefold after their first fall, but stay there; where they fall again, it is by less
than a third."""
NOISE_FACTOR = 4.5
"""... and as many deviations of the noise between neighbours: of many noisy blocks the extreme ones are chosen."""
LEAST_RISE = 0.08
"""The rise takes 8 % of the run at least: shorter ones are spikes."""
EARLIEST_TOP = 0.18
"""A norm that is highest before 18 % of the run, or soon after the warmup, is the usual hump of a start."""
AFTER_WARMUP = 0.05
LEAST_WIDTH = 0.06
"""The upper half of the hump, in logarithms, takes 6 % of the run at least."""


@dataclass(frozen=True)
class Hump:
    """Its foot, its top, and where it is over; `end`: the norm at the end of the run."""

    from_step: int
    low: float
    top_step: int
    top: float
    back_step: int
    end: float


def hump_of(curve: Curve, warmed_up: float = 0.0) -> Hump | None:
    """The highest hump of a norm; `warmed_up`: the step at which the learning rate reached its peak."""
    points = block_medians(curve, NUM_BLOCKS)
    if len(points) < 15 or (points.values <= 0).any():
        return None
    steps, raw = points.steps, np.log(points.values)
    noise = 1.4826 * float(np.median(np.abs(np.diff(raw, n=2)))) / np.sqrt(6.0)
    logs = _smooth(raw) if noise > CALM else raw
    before, after = np.minimum.accumulate(logs), np.minimum.accumulate(logs[::-1])[::-1]
    heights = logs - np.maximum(before, after)
    length = float(curve.steps[-1] - curve.steps[0])
    earliest = max(EARLIEST_TOP * length, warmed_up - curve.steps[0] + AFTER_WARMUP * length)
    heights[steps - curve.steps[0] < earliest] = -np.inf
    top = int(np.argmax(heights))
    if heights[top] < max(np.log(FACTOR), NOISE_FACTOR * noise):
        return None
    foot = top - int(np.argmin(logs[top::-1]))
    if logs[foot : top + 1].max() > logs[top]:
        return None  # what falls here rose at the start
    rest = logs[top:]
    back = top + int(np.argmax(rest <= max(logs[foot], rest.min())))
    upper = logs[foot : back + 1] > 0.5 * (logs[top] + max(logs[foot], logs[back]))
    width = float(upper.sum()) / len(logs)
    if steps[top] - steps[foot] < LEAST_RISE * length or width < LEAST_WIDTH:
        return None
    return Hump(
        from_step=int(steps[foot]),
        low=float(np.exp(logs[foot])),
        top_step=int(steps[top]),
        top=float(np.exp(logs[top])),
        back_step=int(steps[back]),
        end=float(np.exp(logs[-1])),
    )


def _smooth(values: np.ndarray, width: int = 3) -> np.ndarray:
    """Medians of neighbours; at the ends of those that are there."""
    return np.array([np.median(values[max(0, at - width // 2) : at + width // 2 + 1]) for at in range(len(values))])
