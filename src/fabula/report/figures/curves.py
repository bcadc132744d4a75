"""The curves a page draws, brought to a size that fits: no spike disappears.

A curve of 15,000 steps is cut into buckets, and each keeps its lowest and its highest value, so that every extreme
of the record is on the page. Smoothing averages the full record before it is
thinned.
"""

from itertools import pairwise
from typing import Any

import numpy as np

from fabula.findings.facts import Curve
from fabula.record.wording import sparkline
from fabula.study.views import RunView, TierView

RAW_BUCKETS = 240
"""Buckets of a raw curve, two values each: more than a page has pixels for."""
TIER_BUCKETS = 2_400
"""Buckets of all runs of a tier together: of more than ten runs, lines lie over lines, and each may be coarser."""
LEAST_BUCKETS = 50
SMOOTH_POINTS = 180
SMOOTHING_SHARE = 0.01
"""The trailing mean covers 1 % of the run's steps, and ten at least."""
SMOOTHING_LEAST = 10


def extremes(curve: Curve, buckets: int = RAW_BUCKETS) -> Curve:
    """At most 2 x buckets finite points: the lowest and the highest of each bucket, in their order, and both ends."""
    curve = curve.finite
    count = len(curve)
    if count <= 2 * buckets + 2:
        return curve
    edges = np.linspace(0, count, buckets + 1).astype(int)
    chosen = {0, count - 1}
    for start, stop in pairwise(edges):
        part = curve.values[start:stop]
        chosen.update((start + int(np.argmin(part)), start + int(np.argmax(part))))
    index = np.array(sorted(chosen))
    return Curve(curve.name, curve.steps[index], curve.values[index])


def smoothing_window(curve: Curve) -> int:
    """Values in the trailing mean."""
    return min(len(curve), max(SMOOTHING_LEAST, round(SMOOTHING_SHARE * len(curve))))


def smoothed(curve: Curve, points: int = SMOOTH_POINTS, robust: bool = False) -> Curve:
    """Trailing mean (`robust`: median) of the finite values, at `points` places; the first average over what there is.

    The places are dense at the start, where the loss falls fast: half of them lie in the first tenth.
    """
    curve = curve.finite
    if not len(curve):
        return curve
    window, last = smoothing_window(curve), len(curve) - 1
    places = np.concatenate([np.linspace(0, 0.1 * last, points // 2), np.linspace(0.1 * last, last, points // 2)])
    index = np.unique(places.round().astype(int))
    average = np.median if robust else np.mean
    values = [float(average(curve.values[max(0, end - window + 1) : end + 1])) for end in index]
    return Curve(curve.name, curve.steps[index], np.array(values))


def five_digits(value: float) -> float:
    """Enough for a picture, short in the file."""
    return float(f"{value:.5g}")


def columns(curve: Curve | None) -> dict[str, list[float]] | None:
    """{"x": steps, "y": values} of the finite values; None for no curve."""
    if curve is None or not len(curve.finite):
        return None
    curve = curve.finite
    return {"x": [int(step) for step in curve.steps], "y": [five_digits(float(value)) for value in curve.values]}


def curves_of(view: RunView, buckets: int = RAW_BUCKETS) -> dict[str, Any]:
    """Every curve of a run, by the name that the figures ask for."""
    facts = view.facts
    if facts is None:
        return {}
    points = min(SMOOTH_POINTS, buckets)
    made = {
        "val": columns(extremes(facts.val_loss, buckets)) if facts.val_loss else None,
        "held_train": columns(extremes(facts.held_train_loss, buckets)) if facts.held_train_loss else None,
        "raw_loss": columns(extremes(facts.train_loss, buckets)) if facts.train_loss else None,
        "loss": columns(smoothed(facts.train_loss, points)) if facts.train_loss else None,
        "raw_norm": columns(extremes(facts.grad_norm, buckets)) if facts.grad_norm else None,
        "norm": columns(smoothed(facts.grad_norm, points, robust=True)) if facts.grad_norm else None,
        "rate": columns(extremes(facts.learning_rate, 60)) if facts.learning_rate else None,
    }
    return {name: value for name, value in made.items() if value is not None}


def curves_of_tier(tier: TierView) -> list[dict[str, Any]]:
    """The runs of a tier with their curves, as the page's data."""
    there = [view for view in tier.runs if view.run]
    buckets = max(LEAST_BUCKETS, min(RAW_BUCKETS, TIER_BUCKETS // max(1, len(there))))
    return [{"phase": view.phase, "seed": f"seed {view.seed}", "curves": curves_of(view, buckets)} for view in there]


def spark(curve: Curve, log: bool, width: int = 24) -> str:
    """The curve as a line of block characters; empty where it has fewer than three points."""
    curve = curve.finite
    if len(curve) < 3:
        return ""
    places = np.linspace(curve.steps[0], curve.steps[-1], width)
    values = np.interp(places, curve.steps, curve.values)
    return sparkline((np.log(np.maximum(values, 1e-12)) if log else values).tolist(), width)
