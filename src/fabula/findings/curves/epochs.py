"""Where epochs end, and what a training loss does within each of them."""

from itertools import pairwise

import numpy as np

from fabula.findings.facts import Curve, Facts

MIN_EPOCHS = 2
PER_EPOCH = 10
"""Fewer values in an epoch do not show how the loss moves within it."""
OVER_RISE = 0.5
"""A stair drops by more than half of what an epoch rises, at the end of every epoch."""


def epoch_length(facts: Facts) -> float | None:
    """Updates to an epoch; None where the record does not say it. A foreign log tells the epochs that it holds."""
    epochs = (facts.info.get("layout") or {}).get("epochs")
    steps = facts.last_step if facts.info.get("log_format") else facts.num_steps
    # An epoch takes a step at least: what says otherwise counts something else.
    return steps / epochs if epochs and steps and steps / epochs >= 1.0 else None


def without_stairs(facts: Facts, curve: Curve) -> Curve:
    """A training loss without the rise that every epoch has: a model that remembers its stories starts an epoch with a
    drop, and forgets on the way to its end. What one epoch rises more than the others remains.
    """
    length, finite = epoch_length(facts), curve.finite
    if curve.name != "loss" or length is None or len(finite) < MIN_EPOCHS * PER_EPOCH:
        return curve
    place = (finite.steps - 1.0) / length
    within = place - np.floor(place)
    order = np.argsort(np.floor(place), kind="stable")
    firsts = np.unique(np.floor(place)[order], return_index=True)[1]
    parts = np.split(finite.values[order], firsts[1:])
    whole = [part for part in parts if len(part) >= PER_EPOCH]
    if len(whole) < MIN_EPOCHS:
        return curve
    rises = np.array([_end(part) - _start(part) for part in whole])
    drops = np.array([_end(before) - _start(after) for before, after in pairwise(whole)])
    usual = float(np.median(rises)) if len(rises) > MIN_EPOCHS else float(rises.min())
    if usual <= 0.0 or (drops <= OVER_RISE * usual).any():
        return curve
    return Curve(curve.name, finite.steps, finite.values - usual * within)


def _start(part: np.ndarray) -> float:
    return float(np.median(part[: max(3, len(part) // 10)]))


def _end(part: np.ndarray) -> float:
    return float(np.median(part[-max(3, len(part) // 10) :]))
