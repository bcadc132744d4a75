"""Rules on what looks inside saw (`record.internals`): early signs, layer by layer."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fabula.findings.facts import Facts
from fabula.findings.rule import Outcome, Silent, number, rule, share
from fabula.record.finding import Finding
from fabula.record.foreign.lines.inside import WHOLE

IN_A_ROW = 3
"""One look sees one row of one batch: what three looks in a row show is no accident of it."""
DEAD_SHARE = 0.9
"""Trained ReLU layers are sparse, and a short row wakes only some units: only where nearly all sleep is it told."""
UNCHANGED_SHARE = 0.9
"""Six healthy float32 runs: 0.1 % at most, but for a last step at a rate of 0 (one look). bfloat16 at 1e-5: 98.6 %."""
VANISHED = 1e-3
"""In six healthy runs (of `demo`, `modern`, `basic`) the layers' norms were within a factor of 14 of each other."""
SATURATED_LOGIT = 100.0
"""Where the training of Kimi K2 clips attention logits (QK-Clip, Moonshot AI 2025)."""
LOGIT_GROWTH = 4.0
"""Of the first look: large logits that were there from the start are the recipe's ..."""
ENORMOUS_LOGIT = 1000.0
"""... up to here: in float32 the softmax is one token, and at a rate of 0.3 the first look was no safe one."""
USUAL_UPDATE = 1e-3
"""Updates are about a thousandth of the weights they move (Stanford's CS231n; Karpathy's lectures) ..."""
TOO_LARGE = 0.1
"""... and a hundred times that is too large: ten such updates could replace the weights."""
TOO_SMALL = 1e-5
"""... a hundredth of it too small, where three looks in a row show it, and half of all."""
TOO_SMALL_AT_FIRST = 5e-5
"""Of a model trained from scratch a twentieth: fine-tuning is meant to move little. Sound runs of `demo` (AdamW)
and `modern-portable` (Muon) had 6e-3 or more near their peak; a ten-thousandth of the rate 3e-5 or less."""
AT_PEAK = 0.5
"""Small updates are looked for where the rate is half of its peak or more: in a warmup and a decay they are meant."""
SETTLED = 0.1
"""Large ones after the first tenth of the run: new weights are small, and move by a greater part of themselves."""
Look = Mapping[str, Any]


@rule
def looks(facts: Facts) -> Outcome:
    if not facts.internals:
        return Silent("needs looks inside (train with `--set record.internals=20`)")
    found = (_unchanged(facts), _dead(facts), _vanishing(facts), _logits(facts), _too_small(facts), _too_large(facts))
    return [each for each in found if each is not None]


def _unchanged(facts: Facts) -> Finding | None:
    where = _first(
        facts, "unchanged", lambda value, look: value > UNCHANGED_SHARE and max(look.get("grad_norm") or [0.0]) > 0
    )
    if where is None:
        return None
    steps, layer, value = where
    return Finding(
        kind="weights_unchanged", scope="run", severity="warning", steps=steps,
        evidence={"layer": layer, "unchanged": value},
        sentence=f"From step {steps[0]:,} on, updates leave {share(value)} of the weights of {_called(layer)} exactly "
        "as they were, though there is a gradient.",
        alternatives=("the weights are stored in bfloat16, and the steps are rounded away",
                      "the learning rate is almost 0"),
        try_="`--set compute.weights=float32` with the same seed: compare `unchanged` in internals.jsonl",
    )  # fmt: skip


def _dead(facts: Facts) -> Finding | None:
    where = _first(facts, "dead_units", lambda value, _: value > DEAD_SHARE)
    if where is None:
        return None
    steps, layer, value = where
    return Finding(
        kind="dead_units", scope="run", severity="warning", steps=steps,
        evidence={"layer": layer, "dead_units": value},
        sentence=f"From step {steps[0]:,} on, {share(value)} of the feed-forward units of {_called(layer)} are silent "
        "wherever was looked: they take no part in what the model computes.",
        alternatives=("a step that was too large pushed them to where their activation is 0",
                      "the initial weights or biases keep them there"),
        try_="half of `schedule.peak` with the same seed: compare `dead_units` in internals.jsonl",
    )  # fmt: skip


def _vanishing(facts: Facts) -> Finding | None:
    where = _first(facts, "grad_norm", lambda value, look: value < VANISHED * max(look["grad_norm"]))
    if where is None:
        return None
    steps, layer, value = where
    return Finding(
        kind="vanishing_gradient", scope="run", severity="warning", steps=steps,
        evidence={"layer": layer, "grad_norm": value},
        sentence=f"From step {steps[0]:,} on, the gradient of {_called(layer)} ({number(value)}) is less than a "
        "thousandth of that of another layer: it hardly reaches this one.",
        alternatives=("the initial weights are too small for so many layers",
                      "the layer's units or attention are stuck"),
        try_="`--set initialization.std` at its default with the same seed: compare `grad_norm` in internals.jsonl",
    )  # fmt: skip


def _too_small(facts: Facts) -> Finding | None:
    looks = [look for look in facts.internals if _rate_share(facts, int(look["step"])) >= AT_PEAK]
    least = TOO_SMALL_AT_FIRST if facts.from_scratch else TOO_SMALL
    where = _first(facts, "update_ratio", lambda value, _: 0 < value < least, looks)
    if where is None or sum(_least_update(look) < least for look in looks) < 0.5 * len(looks):
        return None
    steps, layer, value = where
    return Finding(
        kind="updates_too_small", scope="run", severity="warning", steps=steps,
        evidence={"layer": layer, "update_ratio": value, "usual": USUAL_UPDATE},
        sentence=f"From step {steps[0]:,} on, an update moves {_called(layer)} by only {number(value)} of the length "
        "of its weights; about a thousandth is usual. At this pace it learns next to nothing.",
        alternatives=("the learning rate is too low, for example by a factor of 100 or 1,000",
                      "the optimizer has another rate for these weights"),
        try_="ten times the peak of the learning rate, with the same seed: compare the losses after a tenth of the "
        "steps",
    )  # fmt: skip


def _least_update(look: Look) -> float:
    return min((value for value in look.get("update_ratio") or [] if value), default=1.0)


def _too_large(facts: Facts) -> Finding | None:
    last = max(facts.last_step, int(facts.internals[-1]["step"]))
    looks = [look for look in facts.internals if look["step"] > SETTLED * last]
    where = _first(facts, "update_ratio", lambda value, _: value > TOO_LARGE, looks)
    if where is None:
        return None
    steps, layer, value = where
    return Finding(
        kind="updates_too_large", scope="run", severity="warning", steps=steps,
        evidence={"layer": layer, "update_ratio": value, "usual": USUAL_UPDATE},
        sentence=f"From step {steps[0]:,} on, each update moves {_called(layer)} by {share(value)} of the length of "
        "its weights; about a thousandth is usual. A few such updates replace what was learned.",
        alternatives=("the learning rate is too high", "the weights are very small, and stay so"),
        try_="a tenth of the peak of the learning rate with the same seed: compare the losses after a tenth of the "
        "steps",
    )  # fmt: skip


def _rate_share(facts: Facts, step: int) -> float:
    """The learning rate at a step, as a share of the highest; 1 where the record has none."""
    rate = facts.learning_rate.finite if facts.learning_rate is not None else None
    if rate is None or not len(rate) or rate.values.max() <= 0:
        return 1.0
    return float(np.interp(step, rate.steps, rate.values) / rate.values.max())


def _logits(facts: Facts) -> Finding | None:
    first = [value for value in facts.internals[0].get("attention_logit") or [] if value is not None]
    least = min(max(SATURATED_LOGIT, LOGIT_GROWTH * max(first, default=0.0)), ENORMOUS_LOGIT)
    where = _first(facts, "attention_logit", lambda value, _: value > least)
    if where is None:
        return None
    steps, layer, value = where
    return Finding(
        kind="attention_logits_growing", scope="run", severity="warning", steps=steps,
        evidence={"layer": layer, "attention_logit": value, "at_first": max(first, default=0.0)},
        sentence=f"From step {steps[0]:,} on, the largest attention logit of {_called(layer)} is above {number(least)} "
        f"({number(value)} at first sight; {number(max(first, default=0.0))} in the first look): attention sees almost "
        "only one token there, which often precedes an unstable loss.",
        alternatives=("the learning rate is too high for attention", "queries and keys are not normalised"),
        try_="`--set model.qk_norm=true` with the same seed: compare `attention_logit` in internals.jsonl",
    )  # fmt: skip


Layer = int | str
"""Counted from 1; of a foreign log as that counts them, WHOLE where it tells of the model alone."""


def _called(layer: Layer) -> str:
    return "the model" if layer == WHOLE else f"layer {layer}"


def _layer(look: Look, name: str, place: int) -> Layer:
    """Which layer the value at `place` (from 1) is of."""
    if (names := look.get("layers", {}).get(name)) is None:
        return place
    given = str(names[place - 1])
    return int(given) if given.isdecimal() else given


def _first(
    facts: Facts, name: str, shows: Callable[[float, Look], bool], among: Sequence[Look] | None = None
) -> tuple[tuple[int, int], Layer, float] | None:
    """Where `IN_A_ROW` looks in a row show it in the same layer for the first time: their steps, the layer and the
    value of the first of them. A look that lacks a number ends the row; a foreign log may lack a whole quantity."""
    rows: dict[int, list[tuple[int, float]]] = {}
    for look in facts.internals if among is None else among:
        values = look.get(name) or []
        complete = all(value is not None for value in [*values, *(look.get("grad_norm") or [0.0])])
        for layer, value in enumerate(values, start=1):
            row = rows.setdefault(layer, [])
            if not complete or not shows(value, look):
                row.clear()
                continue
            row.append((int(look["step"]), float(value)))
            if len(row) == IN_A_ROW:
                return (row[0][0], row[-1][0]), _layer(look, name, layer), row[0][1]
    return None
