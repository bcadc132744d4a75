"""The data of a page's figures, unpacked, as places: what its charts draw where scripts run."""

import base64
import gzip
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fabula.report.checking.places import Place

DIGITS = 10
"""Of a number that are compared: figure data hold more, whose last ones hang on the machine's arithmetic."""


def unpacked(packed: str) -> Any:
    """What `packed` in report.render.page made of it. Raises ValueError where that cannot be undone."""
    try:
        return json.loads(gzip.decompress(base64.b64decode(packed)))
    except (OSError, EOFError, zlib.error, RecursionError) as error:
        raise ValueError(str(error)) from error


def places_of_figures(data: Any, titles: Mapping[str, str]) -> list[Place]:
    """Every number and word. `titles`: anchor -> what a figure is called."""
    places: list[Place] = []
    if not isinstance(data, dict):
        return places
    for group, runs in _items(data.get("curves")):
        for number, run in enumerate(runs if isinstance(runs, list) else ()):
            who = f"{run.get('phase', number)}, {run.get('seed', '')}" if isinstance(run, dict) else str(number)
            where = f"figure data of {group}, {who}"
            for name, curve in _items(run.get("curves") if isinstance(run, dict) else None):
                places += _curve(f'{where}, curve "{name}"', curve)
            places += _leaves(where, {k: v for k, v in _items(run) if k != "curves"})
    for anchor, entry in _items(data.get("specs")):
        places += _leaves(f'figure "{titles.get(anchor, anchor)}", its data', entry)
    places.append(Place("the packed data of the figures", str(data.get("program")), "program"))
    return places


def _curve(where: str, curve: Any) -> Iterator[Place]:
    xs, ys = (curve.get(axis) if isinstance(curve, dict) else None for axis in "xy")
    if not isinstance(xs, list) or not isinstance(ys, list) or len(xs) != len(ys):
        yield from _leaves(where, curve)
        return
    for point, (x, y) in enumerate(zip(xs, ys, strict=True), start=1):
        yield Place(f"{where}, point {point}, its step", _text(x))
        yield Place(f"{where}, point {point} at step {x}", _text(y))


def _items(tree: Any) -> list[tuple[str, Any]]:
    return list(tree.items()) if isinstance(tree, dict) else []


def _leaves(where: str, tree: Any) -> Iterator[Place]:
    if isinstance(tree, dict):
        for name, value in tree.items():
            yield from _leaves(f"{where}, {name}", value)
    elif isinstance(tree, Sequence) and not isinstance(tree, str):
        for number, value in enumerate(tree, start=1):
            yield from _leaves(f"{where} {number}", value)
    else:
        yield Place(where, _text(tree))


def _text(value: Any) -> str:
    return f"{value:.{DIGITS}g}" if isinstance(value, float) else str(value)
