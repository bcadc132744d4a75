"""Rules on what looks inside saw (`record.internals`): early signs, layer by layer."""

from collections.abc import Callable, Mapping
from typing import Any

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
"""Of the first look: large logits that were there from the start are the recipe's."""
Look = Mapping[str, Any]


@rule
def looks(facts: Facts) -> Outcome:
    if not facts.internals:
        return Silent("needs looks inside (train with `--set record.internals=20`)")
    found = (_unchanged(facts), _dead(facts), _vanishing(facts), _logits(facts))
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


def _logits(facts: Facts) -> Finding | None:
    first = [value for value in facts.internals[0].get("attention_logit") or [] if value is not None]
    least = max(SATURATED_LOGIT, LOGIT_GROWTH * max(first, default=0.0))
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
    facts: Facts, name: str, shows: Callable[[float, Look], bool]
) -> tuple[tuple[int, int], Layer, float] | None:
    """Where `IN_A_ROW` looks in a row show it in the same layer for the first time: their steps, the layer and the
    value of the first of them. A look that lacks a number ends the row; a foreign log may lack a whole quantity."""
    rows: dict[int, list[tuple[int, float]]] = {}
    for look in facts.internals:
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
