"""A gradient norm that rises slowly in the midst of a run, and falls again."""

from dataclasses import dataclass

import numpy as np

from fabula.findings.curves.episodes import block_medians
from fabula.findings.curves.rates import climbs
from fabula.findings.facts import Curve, Facts
from fabula.findings.rule import Outcome, Silent, number, rule
from fabula.findings.rules.gradient import norms_of
from fabula.record.finding import Finding

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


@rule
def hump(facts: Facts) -> Outcome:
    curve = norms_of(facts)
    if isinstance(curve, Silent):
        return curve
    found = hump_of(curve, _warmed_up(facts))
    return [] if found is None else [_finding(facts, found)]


def _warmed_up(facts: Facts) -> float:
    """The step at which a recorded learning rate has reached its first peak; 0 where there is none."""
    rate = facts.learning_rate.finite if facts.learning_rate is not None else None
    if rate is None or not len(rate):
        return 0.0
    return float(rate.steps[int(np.argmax(rate.values >= 0.99 * rate.values.max()))])


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


def _finding(facts: Facts, hump: Hump) -> Finding:
    rate = facts.learning_rate.finite if facts.learning_rate is not None else None
    raised = [
        f"the learning rate was raised from {number(each.low)} to {number(each.high)} by step {each.end:,}"
        for each in (climbs(rate) if rate is not None and len(rate) else [])
        if each.start < hump.top_step and each.end > hump.from_step - 0.1 * (hump.top_step - hump.from_step)
    ]
    return Finding(
        kind="gradient_hump",
        scope="run",
        severity="note",
        steps=(hump.from_step, hump.back_step),
        evidence={
            "from": hump.low,
            "from_step": hump.from_step,
            "top": hump.top,
            "top_step": hump.top_step,
            "back_step": hump.back_step,
            "end": hump.end,
            "factor": round(hump.top / max(hump.low, 1e-12), 3),
        },
        sentence=f"After its first fall the gradient norm rose again, from {number(hump.low)} at step "
        f"{hump.from_step:,} to {number(hump.top)} at step {hump.top_step:,} ({number(hump.top / hump.low)} times as "
        f"much), and was down again by step {hump.back_step:,}; it ended at {number(hump.end)}.",
        alternatives=(
            *raised,
            "the learning rate was too high for this stage, and the loss surface became steeper",
            "the model was learning something new in these steps",
            "other data in these steps",
        ),
        try_="repeat these steps with half the learning rate and the same seed: if the norm stays low, the rate was "
        "the cause",
    )
