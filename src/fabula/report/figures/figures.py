"""The figures of a report: which there are, from which curves, and how they become pictures.

The same specification makes the static picture that is in the file (vl-convert) and the interactive one that replaces
it (Vega in the browser). Rows of data are {x, y, phase, seed, part}.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fabula.findings.kinds import marks_of
from fabula.record.wording import NONE, kind_words, number, slug
from fabula.report.figures.curves import curves_of, spark
from fabula.report.figures.library import png_of, svg_of
from fabula.report.figures.specs import curve_spec, effects_spec
from fabula.report.render.blocks import Figure, Size, rich
from fabula.study.health import FoundGroup
from fabula.study.inference.effects import Effect
from fabula.study.inference.statistics import mean_of
from fabula.study.views import PhaseView, TierView

NUM_COLOURS = 8
LEAST_BAND = 0.004
"""Share of the run that a mark is wide at least, so that a single step can be seen."""
LIGHT = {
    "--c0": "#8a8577",
    "--c1": "#3d7ea6",
    "--c2": "#c07f1d",
    "--c3": "#2f7d5b",
    "--c4": "#a3506f",
    "--c5": "#6a5fa8",
    "--c6": "#5d8a9b",
    "--c7": "#8c5a33",
    "--ink": "#22272b",
    "--quiet": "#6b6f70",
    "--line": "#e2ddd2",
    "--bad": "#b3412c",
    "--warn": "#b07a1e",
    "--paper": "#fcfbf7",
}
"""The page's colours in daylight, for pictures that leave the page (style.css holds the same)."""


def colours(tier: TierView) -> dict[str, str]:
    """Phase -> colour, in the ladder's order: the same on the whole page."""
    first = 0 if len(tier.phases) > 1 else 1  # the grey of a ladder's beginning is for ladders
    return {phase.name: f"var(--c{(first + index) % NUM_COLOURS})" for index, phase in enumerate(tier.phases)}


@dataclass(frozen=True)
class _Kind:
    """One figure that every tier may have: the curves it draws and how, and the curve that stands for it in text."""

    which: str
    title: str
    caption: str
    parts: dict[str, str]
    told_by: str
    """Name of the curve in `Facts`."""
    unit: str = ""
    log: bool = True
    size: Size = "narrow"
    bound: bool = False
    """Whether the caption tells of the stories' own entropy, where that is known."""
    of_a_log: str = ""
    """The caption for a log of another program, which does not say so much."""
    dashed: str = ""
    """What the caption says of a dashed line, where one is drawn."""


MARK_TONES = {"failure": "bad", "warning": "warn"}
KINDS = (
    _Kind(
        "val",
        "Validation loss",
        "On stories that the model never trains on, the same part of them each time.",
        {"val": "line", "held_train": "dashed"},
        "val_loss",
        unit="nats per token",
        size="wide",
        bound=True,
        of_a_log="The loss on held-out text as it was logged.",
        dashed=" Dashed: the loss on training text at the same steps, measured in the same way.",
    ),
    _Kind(
        "train",
        "Loss of the training batches",
        "Each step's own batch, so it jumps up and down. Thin: every step. Thick: the mean over the last 1 % of the "
        "run, ten steps at least.",
        {"raw_loss": "raw", "loss": "line"},
        "train_loss",
        unit="nats per token",
        of_a_log="Thin: every logged value. Thick: the mean over the last 1 % of them, ten at least.",
    ),
    _Kind(
        "norm",
        "Gradient norm",
        "Before clipping. Thin: every step. Thick: the median over the last 1 % of the run.",
        {"raw_norm": "raw", "norm": "line"},
        "grad_norm",
        of_a_log="As it was logged. Thin: every value. Thick: the median over the last 1 % of them.",
    ),
    _Kind("rate", "Learning rate", "As recorded.", {"rate": "line"}, "learning_rate", log=False),
)
BOUND = " Dotted: how unpredictable the stories themselves are (their entropy). No model gets far below it."


def figures(tier: TierView, groups: Iterable[FoundGroup], size: Size | None = None) -> tuple[Figure, ...]:
    """The figures of a tier, as far as its records hold what they show; `size`: all of them of one."""
    names = {name for view in tier.runs for name in curves_of(view)}
    found = list(groups)
    floor = mean_of([view.of("data", "entropy_floor") for view in tier.runs])
    return tuple(
        _figure(
            tier,
            replace(kind, size=size or kind.size, dashed=kind.dashed if _dashed(kind) & names else ""),
            finding_bands(tier, found, marks_of(kind.which)),
            floor if kind.unit else None,
        )
        for kind in KINDS
        if names & kind.parts.keys()
    )


def _figure(tier: TierView, kind: _Kind, bands: list[dict[str, Any]], floor: float | None) -> Figure:
    phases = ", ".join(phase.name for phase in tier.phases if phase.read)
    return Figure(
        anchor=slug("figure", tier.name, kind.which),
        title=kind.title,
        caption=rich(_caption(kind, tier.foreign, floor is not None)),
        group=slug(tier.name),
        spec=curve_spec(
            colours(tier), kind.parts, "" if tier.foreign else kind.unit, kind.log, kind.size, bands, floor
        ),
        parts=tuple(kind.parts),
        size=kind.size,
        log=kind.log,
        bands=tuple(bands),
        sparks=tuple(_spark(phase, kind) for phase in tier.phases if phase.read),
        summary=f"{kind.title} of {tier.name} over the steps, a line a run: {phases}.",
    )


def _dashed(kind: _Kind) -> set[str]:
    return {part for part, how in kind.parts.items() if how == "dashed"}


def _caption(kind: _Kind, of_a_log: bool, has_floor: bool) -> str:
    if of_a_log and kind.of_a_log:
        return kind.of_a_log + kind.dashed
    return kind.caption + kind.dashed + (BOUND if has_floor and kind.bound else "")


def _spark(phase: PhaseView, kind: _Kind) -> tuple[str, str, str]:
    """Phase, curve in block characters, and where it begins and ends; of the first seed."""
    view = phase.read[0]
    curve = getattr(view.facts, kind.told_by)
    if curve is None or not len(curve.finite):
        return phase.name, "", NONE
    ends = [number(float(curve.finite.values[place])) for place in (0, -1)]
    seed = "" if view.of("log_format") else f", seed {view.seed}"
    return phase.name, spark(curve, kind.log), f"{ends[0]} to {ends[1]}{seed}"


def finding_bands(tier: TierView, groups: Iterable[FoundGroup], kinds: Sequence[str]) -> list[dict[str, Any]]:
    """Where the figures mark a finding: step ranges with tone, anchor and a label for the first of each anchor."""
    last = max((view.facts.last_step for view in tier.runs if view.facts), default=0)
    bands = []
    named: dict[tuple[str, int], list[dict[str, Any]]] = {}  # kind and first step: names that would cover each other
    for group in groups:
        if group.tier != tier.name or group.kind not in kinds:
            continue
        for place, (view, finding) in enumerate(group.found):
            if finding.steps is None:
                continue
            first, end = finding.steps
            bands.append(
                {
                    "from": first,
                    "to": max(end, first + LEAST_BAND * last),
                    "phase": view.phase,
                    "seed": f"seed {view.seed}",
                    "tone": MARK_TONES.get(finding.severity, "note"),
                    "anchor": group.anchor,
                    "label": _label(tier, group) if _is_named(group, place) else "",
                }
            )
            if bands[-1]["label"]:
                named.setdefault((group.kind, first), []).append(bands[-1])
    for (kind, _), together in named.items():
        phases = {band["phase"] for band in together}
        for place, band in enumerate(together):
            if len(phases) > 1:
                band["label"] = "" if place else f"{kind_words(kind)}, {len(phases)} phases"
    return bands


def _is_named(group: FoundGroup, place: int) -> bool:
    """The first of its kind has its name at its mark, and in its run every failure; more would cover each other."""
    view, finding = group.found[place]
    if finding.severity not in MARK_TONES or view is not group.found[0][0]:
        return False
    return place == 0 or finding.severity == "failure"


def _label(tier: TierView, group: FoundGroup) -> str:
    name = kind_words(group.kind)
    return f"{name}, {group.phase}" if len(tier.phases) > 1 else name


def effects_figure(tier: TierView, effects: Sequence[Effect], which: str = "effects") -> Figure | None:
    """Each effect (or interaction) as its seeds' differences with mean and interval; every row has its own scale."""
    told = [each for each in effects if each.comparisons]
    if not told:
        return None
    rows = [row for each in told for row in _effect_rows(each)]
    return Figure(
        anchor=slug("figure", tier.name, which),
        title=which.capitalize(),
        caption=rich(_CAPTIONS[which] + " Points: seeds. Bar: mean and 95 % interval. Each row has its own scale."),
        group=slug(tier.name),
        spec=effects_spec([_effect_label(each) for each in told]),
        size="wide",
        switchable=False,
        rows=tuple(rows),
        summary=f"{which.capitalize()} on the final loss of {tier.name}; the table beside it holds the numbers.",
    )


_CAPTIONS = {
    "effects": "Final loss, after minus before, in nats: left of zero is better.",
    "interactions": "Difference of two effects on the final loss, in nats: left of zero is better together.",
}


def _effect_label(each: Effect) -> str:
    return f"{each.before} → {each.after}" if each.contrast.design == "pair" else each.name


def _effect_rows(each: Effect) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for protocol, told in each.comparisons.items():
        common = {"effect": _effect_label(each), "protocol": protocol}
        rows += [{**common, "part": "seed", "x": value} for value in told.differences]
        estimate = told.estimate
        if estimate.low is not None:
            rows.append({**common, "part": "mean", "x": estimate.mean, "low": estimate.low, "high": estimate.high})
    return rows


def point_rows(runs: list[dict[str, Any]], parts: Iterable[str]) -> list[dict[str, Any]]:
    """Columns as rows {x, y, phase, seed, part}: what page.js does in the browser, for the static picture."""
    return [
        {"x": x, "y": y, "phase": run["phase"], "seed": run["seed"], "part": part}
        for run in runs
        for part in parts
        if part in run["curves"]
        for x, y in zip(run["curves"][part]["x"], run["curves"][part]["y"], strict=True)
        if y > 0 or part == "rate"
    ]


def with_rows(spec: dict[str, Any], rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    return {**spec, "datasets": {"points": list(rows)}}


def svg(spec: dict[str, Any], rows: Iterable[dict[str, Any]]) -> str:
    """The static picture, with the page's colours left as variables, as few characters as its look needs.

    A tenth of a pixel is fine enough for paths, and the way from point to point is shorter to write than the points
    (half of a page's pictures). The roles of single marks go: the picture has one label as a whole.
    """
    drawn = svg_of(with_rows(spec, rows))
    return PATH.sub(lambda match: f' d="{_from_point_to_point(match[1])}"', ROLES.sub("", drawn))


ROLES = re.compile(r' (?:role|aria-[a-z]+)="[^"]*"')
PATH = re.compile(r' d="([^"]*)"')
POINT = re.compile(r"([ML])(-?[\d.]+),(-?[\d.]+)")


def _from_point_to_point(path: str) -> str:
    """A path of straight lines in tenths of a pixel, each point told from the one before; others as they are."""
    if POINT.sub("", path):
        return path
    told, x, y, mark = "", 0, 0, ""
    for how, *at in POINT.findall(path):
        to_x, to_y = (round(10 * float(each)) for each in at)
        if how == "M":
            told += f"M{to_x / 10:g},{to_y / 10:g}"
            mark = "l"
        elif (to_x, to_y) != (x, y):
            told += f"{mark}{(to_x - x) / 10:g},{(to_y - y) / 10:g}"
            mark = " "
        x, y = to_x, to_y
    return told


def svg_for_paper(spec: dict[str, Any], rows: Iterable[dict[str, Any]]) -> str:
    """The picture by itself: in daylight colours, with the legend and the unit that the page tells beside it."""
    unit = spec.get("usermeta", {}).get("unit")
    text = json.dumps(with_rows(spec, rows)).replace('"legend": null', f'"legend": {json.dumps(LEGEND)}')
    drawn = json.loads(in_daylight(text))
    if unit:
        drawn["encoding"]["y"]["axis"]["title"] = unit
    return svg_of({**drawn, "background": "white", "padding": 6})


LEGEND = {"title": None, "orient": "top", "labelColor": LIGHT["--ink"], "labelLimit": 400}


def in_daylight(spec: str) -> str:
    for name, value in LIGHT.items():
        spec = spec.replace(f"var({name})", value)
    return spec


def png(spec: dict[str, Any], rows: Iterable[dict[str, Any]], scale: float = 2.0) -> bytes:
    """The picture in daylight colours, for places that show no page."""
    text = json.dumps({**with_rows(spec, rows), "background": LIGHT["--paper"], "padding": 16})
    return png_of(in_daylight(text), scale)
