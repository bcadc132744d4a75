"""What looks inside saw, as small figures with a line a layer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fabula.findings.facts import Curve
from fabula.record.foreign.lines.inside import WHOLE
from fabula.record.wording import number, slug
from fabula.report.figures.curves import extremes, five_digits, spark
from fabula.report.figures.specs import curve_spec
from fabula.report.render.blocks import Figure, rich

MOST_LAYERS = 6
"""Lines that can be told apart in a small figure: of a deeper model the first, the last and some between."""
BUCKETS = 60
LEAST_LOOKS = 3
"""Fewer make no line."""
COLOURS = ("--c1", "--c2", "--c3", "--c4", "--c5", "--c6")

LOG_AXIS = {
    "values": [float(f"{step}e{power}") for power in range(-9, 9) for step in (1, 2, 5)],
    "labelExpr": "datum.value < 0.001 || datum.value > 10000 ? format(datum.value, '~e') : format(datum.value, '~g')",
    "format": None,
}
"""Gradients and updates are small: the axis of losses has no line below a thousandth."""
SHARE_AXIS = {"labelExpr": "format(datum.value, '~%')"}


@dataclass(frozen=True)
class _Seen:
    title: str
    caption: str
    log: bool = True
    least: float = 0.0
    """Below it everywhere there is nothing to see."""


SEEN = {
    "grad_norm": _Seen("Gradient norm, layer by layer", "Before clipping."),
    "update_ratio": _Seen(
        "Update per weight, layer by layer",
        "Length of a layer's update divided by the length of its weights; about a thousandth is usual.",
    ),
    "activation": _Seen("Scale of what each layer hands on", "Root mean square."),
    "attention_logit": _Seen(
        "Largest attention logit", "Before the softmax; where it grows, attention sees one token."
    ),
    "dead_units": _Seen(
        "Silent feed-forward units", "Share of the units that no token of the row wakes.", log=False, least=0.01
    ),
    "unchanged": _Seen(
        "Weights that an update left as they were", "Share of each layer's weights.", log=False, least=0.01
    ),
}


def inside_figures(tier: str, looks: Sequence[Mapping[str, Any]]) -> tuple[Figure, ...]:
    """A figure for each quantity that the looks of a run show, with the layers that `chosen_layers` names."""
    made = (_figure(tier, name, seen, curves_inside(looks, name)) for name, seen in SEEN.items())
    return tuple(figure for figure in made if figure is not None)


def curves_inside(looks: Sequence[Mapping[str, Any]], name: str) -> dict[str, Curve]:
    """Layer, in words, -> its values over the steps; of many layers some."""
    there = [look for look in looks if look.get(name)]
    if len(there) < LEAST_LOOKS or len({len(look[name]) for look in there}) != 1:
        return {}
    steps = np.array([look["step"] for look in there], dtype=np.float64)
    values_LN = np.array([[np.nan if each is None else each for each in look[name]] for look in there], float).T
    given = there[0].get("layers", {}).get(name) or [str(place + 1) for place in range(len(values_LN))]
    return {
        "the model" if given[place] == WHOLE else f"layer {given[place]}": Curve(name, steps, values_LN[place])
        for place in chosen_layers(len(values_LN))
    }


def chosen_layers(count: int) -> list[int]:
    """Places of the layers that are drawn.

    >>> chosen_layers(3), chosen_layers(26)
    ([0, 1, 2], [0, 5, 10, 15, 20, 25])
    """
    places = np.linspace(0, count - 1, min(count, MOST_LAYERS))
    return [int(place) for place in places.round()]


def _figure(tier: str, name: str, seen: _Seen, curves: Mapping[str, Curve]) -> Figure | None:
    shown = {layer: extremes(_drawable(curve, seen.log), BUCKETS) for layer, curve in curves.items()}
    shown = {layer: curve for layer, curve in shown.items() if len(curve) >= LEAST_LOOKS}
    if not shown or max(float(curve.values.max()) for curve in shown.values()) < seen.least:
        return None
    colour = {layer: f"var({each})" for layer, each in zip(shown, COLOURS, strict=False)}
    spec = curve_spec(colour, {"line": "line"}, "", seen.log, "narrow", [], None)
    spec["encoding"]["y"]["axis"] |= LOG_AXIS if seen.log else SHARE_AXIS
    if len(shown) > 1:
        legend = {"title": None, "orient": "bottom", "columns": 3, "labelColor": "var(--quiet)", "symbolType": "stroke"}
        spec["layer"][0]["encoding"]["color"]["legend"] = legend
    rows = tuple(
        {"x": int(step), "y": five_digits(float(value)), "phase": layer, "seed": "look inside", "part": "line"}
        for layer, curve in shown.items()
        for step, value in zip(curve.steps, curve.values, strict=True)
    )
    return Figure(
        anchor=slug("figure", tier, "inside", name),
        title=seen.title,
        caption=rich(seen.caption),
        group=slug(tier),
        spec=spec,
        parts=("line",),
        switchable=False,
        log=seen.log,
        rows=rows,
        sparks=tuple((layer, spark(curve, seen.log), _ends(curve)) for layer, curve in shown.items()),
        summary=f"{seen.title} over the steps, a line a layer: {', '.join(shown)}.",
    )


def _drawable(curve: Curve, log: bool) -> Curve:
    keep = np.isfinite(curve.values) & ((curve.values > 0) if log else True)
    return Curve(curve.name, curve.steps[keep], curve.values[keep])


def _ends(curve: Curve) -> str:
    return f"{number(float(curve.values[0]))} to {number(float(curve.values[-1]))}"
