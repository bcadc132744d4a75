"""Pictures as Vega-Lite specifications, written as plain dictionaries, without data.

Colours are CSS variables of the page ("var(--c0)"), so that one drawing serves light and dark.
"""

from typing import Any

from fabula.report.figures.library import vega_of
from fabula.report.render.blocks import Size

SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
"""Names the language; nothing is loaded from there."""
STATIC_WIDTH: dict[Size, int] = {"wide": 1000, "beside": 620, "narrow": 320}
HEIGHT: dict[Size, int] = {"wide": 330, "beside": 250, "narrow": 210}
LOG_TICKS = [round(step * 10.0**power, 6) for power in range(-3, 4) for step in (1, 1.5, 2, 3, 4, 5, 7)]
"""Where a logarithmic axis may have a line; those outside of its range are not drawn."""
_LEAST, _SPAN = "domain('y')[0]", "(domain('y')[1] - domain('y')[0])"
_UNIT = f"pow(10, floor(log({_SPAN} / 2) / LN10))"
_STEP = f"({_UNIT} * ({_SPAN} / 2 / {_UNIT} < 2 ? 1 : {_SPAN} / 2 / {_UNIT} < 5 ? 2 : 5))"
TICKS = f"{_SPAN} > {_LEAST} ? {LOG_TICKS} : sequence(ceil({_LEAST} / {_STEP}) * {_STEP}, domain('y')[1], {_STEP})"
"""Over less than a factor of two the lines are at even distances, of 1, 2 or 5 in their first digit: from 5.5 to 6.7 it
would have none."""


def curve_spec(
    colour: dict[str, str],
    parts: dict[str, str],
    unit: str,
    log: bool,
    size: Size,
    bands: list[dict[str, Any]],
    floor: float | None,
) -> dict[str, Any]:
    """Lines over steps. `parts` maps a curve's name to how it is drawn: line, dashed or raw.

    Data: "points" with rows {x, y, phase, seed, part}. Parameters for the page's switches: `hidden`, the names of
    phases and seeds that are switched off, and `from`, the first step shown.
    """
    shown = "indexof(hidden, datum.phase) < 0 && indexof(hidden, datum.seed) < 0"
    style: dict[str, dict[str, Any]] = {
        "raw": {"strokeWidth": 0.7, "strokeOpacity": 0.32},
        "line": {"strokeWidth": 1.8, "strokeOpacity": 0.95},
        "dashed": {"strokeWidth": 1.2, "strokeDash": [4, 3], "strokeOpacity": 0.8},
    }
    colour_scale = {"domain": list(colour), "range": list(colour.values())}
    layers: list[dict[str, Any]] = []
    if bands:
        layers += _band_layers(bands, shown, labelled=size != "narrow")
    layers += [
        {
            "transform": [{"filter": f"datum.part == '{part}'"}],
            "mark": {"type": "line", "clip": True, "strokeJoin": "round", **style[how]},
            "encoding": {
                "color": {"field": "phase", "type": "nominal", "scale": colour_scale, "legend": None},
                "detail": {"field": "seed", "type": "nominal"},
            },
        }
        for part, how in parts.items()
    ]
    if floor is not None:
        layers += _floor_layers(floor)
    y_axis: dict[str, Any] = {"title": None, "gridOpacity": 0.8, "labelOverlap": "greedy"}
    y_axis |= (
        {"values": {"expr": TICKS}, "format": "~g"}
        if log
        else {"tickCount": 4, "labelExpr": "datum.value == 0 ? '0' : format(datum.value, '~e')"}
    )
    return {
        "$schema": SCHEMA,
        "background": None,
        "width": STATIC_WIDTH[size],
        "height": HEIGHT[size],
        "autosize": {"type": "fit-x", "contains": "padding"},
        "params": [{"name": "hidden", "value": []}, {"name": "from", "value": 0}],
        "data": {"name": "points"},
        "transform": [{"filter": f"{shown} && datum.x >= from"}],
        "encoding": {
            "x": {
                "field": "x",
                "type": "quantitative",
                "scale": {"nice": False, "zero": False},
                "axis": {"title": "step", "grid": False, "tickCount": 4 if size == "narrow" else 6, "format": ",d"},
            },
            "y": {
                "field": "y",
                "type": "quantitative",
                "axis": y_axis,
                "scale": {"type": "log" if log else "linear", "zero": False, "nice": not log},
            },
        },
        "layer": layers,
        "usermeta": {"unit": unit, "hover": next(part for part, how in parts.items() if how == "line")},
        "config": CONFIG,
    }


def _band_layers(bands: list[dict[str, Any]], shown: str, labelled: bool) -> list[dict[str, Any]]:
    """Marks of findings behind the lines; with their names where there is room."""
    tone = {
        "condition": [
            {"test": "datum.tone == 'bad'", "value": "var(--bad)"},
            {"test": "datum.tone == 'note'", "value": "var(--quiet)"},
        ],
        "value": "var(--warn)",
    }
    x = {"field": "first", "type": "quantitative"}
    common = {
        "data": {"values": bands},
        "transform": [
            {"filter": f"{shown} && datum.to >= from"},
            {"calculate": "max(datum['from'], from)", "as": "first"},
        ],
    }
    rect = {
        **common,
        "mark": {"type": "rect", "opacity": 0.16, "stroke": None},
        "encoding": {"x": x, "x2": {"field": "to"}, "y": {"value": 0}, "y2": {"value": "height"}, "color": tone},
    }
    # At step 0 the curves are at the top, and the room is at the bottom.
    texts = [
        {
            **common,
            "transform": [*common["transform"], {"filter": place}],
            "mark": {"type": "text", "align": "left", "baseline": edge, "dx": 4, "dy": dy, "fontSize": 11},
            "encoding": {"x": x, "y": {"value": y}, "text": {"field": "label"}, "color": tone},
        }
        for place, edge, dy, y in (("datum['from'] > 0", "top", 4, 0), ("datum['from'] == 0", "bottom", -4, "height"))
    ]
    return [rect, *texts] if labelled else [rect]


def _floor_layers(floor: float) -> list[dict[str, Any]]:
    """A line and its name. Data of their own: on the curves' data, both would be drawn once for every point."""
    at = {"y": {"field": "bound", "type": "quantitative"}, "x": None}
    once: dict[str, Any] = {"data": {"values": [{"bound": floor}]}}
    rule = {"type": "rule", "strokeDash": [1, 3], "strokeWidth": 1.4, "color": "var(--ink)"}
    return [
        {**once, "mark": rule, "encoding": at},
        {
            **once,
            "mark": {
                "type": "text",
                "align": "right",
                "baseline": "bottom",
                "dy": -3,
                "color": "var(--quiet)",
                "text": f"bound {floor:.3f}",
                "x": "width",
            },
            "encoding": at,
        },
    ]


FONT = "system-ui, sans-serif"
CONFIG: dict[str, Any] = {
    "font": FONT,
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--quiet)",
        "titleColor": "var(--quiet)",
        "titleFontWeight": "normal",
        "titleFontSize": 11.5,
        "labelFontSize": 11.5,
        "domain": False,
        "tickColor": "var(--line)",
        "gridColor": "var(--line)",
    },
    "axisY": {"ticks": False, "labelPadding": 8},
    "axisX": {"labelFlush": True, "domain": True, "domainColor": "var(--line)"},
    "text": {"font": FONT, "fontSize": 11.5},
}


def effects_spec(order: list[str]) -> dict[str, Any]:
    """Differences with mean and interval, a row an effect, each with a scale of its own.

    Data: "points" with rows {effect, protocol, part, x, low, high}; part is seed or mean.
    """
    return {
        "$schema": SCHEMA,
        "background": None,
        "data": {"name": "points"},
        "facet": {
            "row": {
                "field": "effect",
                "type": "nominal",
                "sort": order,
                "title": None,
                "header": {
                    "labelAngle": 0,
                    "labelAlign": "left",
                    "labelAnchor": "middle",
                    "labelColor": "var(--ink)",
                    "labelFontSize": 12.5,
                    "labelPadding": 14,
                },
            }
        },
        "spec": {
            "width": 620,
            "height": 46,
            "encoding": {
                "y": {
                    "field": "protocol",
                    "type": "nominal",
                    "sort": ["stream", "story"],
                    "axis": {"title": None, "grid": False, "domain": False},
                },
                "x": {
                    "type": "quantitative",
                    "scale": {"zero": True, "nice": True, "padding": 12},
                    "axis": {"title": None, "tickCount": 5, "grid": True},
                },
            },
            "layer": [
                {
                    "mark": {"type": "rule", "color": "var(--quiet)", "strokeWidth": 1},
                    "encoding": {"x": {"datum": 0}, "y": None},
                },
                {
                    "transform": [{"filter": "datum.part == 'mean'"}],
                    "mark": {"type": "rule", "strokeWidth": 2.4, "color": "var(--ink)", "opacity": 0.75},
                    "encoding": {"x": {"field": "low"}, "x2": {"field": "high"}},
                },
                {
                    "transform": [{"filter": "datum.part == 'seed'"}],
                    "mark": {"type": "point", "filled": True, "size": 34, "opacity": 0.75, "color": "var(--c1)"},
                    "encoding": {"x": {"field": "x"}},
                },
                {
                    "transform": [{"filter": "datum.part == 'mean'"}],
                    "mark": {"type": "tick", "thickness": 2.6, "size": 15, "color": "var(--ink)"},
                    "encoding": {"x": {"field": "x"}},
                },
            ],
        },
        "resolve": {"scale": {"x": "independent"}},
        "spacing": 14,
        "config": CONFIG,
    }


def interactive(spec: dict[str, Any]) -> dict[str, Any]:
    """The specification as Vega, which the page's script draws, with a point under the pointer.

    Compiled here, so that the browser only draws. The points are unseen until the pointer is nearest to one of them.
    """
    spec = {**spec, "datasets": {"points": []}}
    if "hover" in spec.get("usermeta", {}):
        lines = next(layer for layer in spec["layer"] if layer["mark"]["type"] == "line")
        near = {
            "transform": [{"filter": f"datum.part == '{spec['usermeta']['hover']}'"}],
            "params": [
                {
                    "name": "near",
                    "select": {"type": "point", "on": "pointermove", "nearest": True, "clear": "pointerout"},
                }
            ],
            "mark": {"type": "point", "filled": True, "size": 46, "clip": True},
            "encoding": {
                "color": lines["encoding"]["color"],
                "opacity": {"condition": {"param": "near", "empty": False, "value": 1}, "value": 0},
                "tooltip": {"field": "y"},
            },
        }
        spec["layer"] = [*spec["layer"], near]
    return vega_of(spec)
