"""The page: one self-contained HTML file with its script, style, data and pictures."""

import base64
import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from importlib import resources
from typing import Any

import jinja2

import fabula
from fabula.record.wording import kind_title
from fabula.report.figures.figures import point_rows, svg
from fabula.report.figures.library import bundle_of
from fabula.report.figures.specs import interactive
from fabula.report.render.blocks import Details, Document, Figure, FigureGrid, Observed, told
from fabula.report.render.glossary import WORDS

TEMPLATES = resources.files("fabula.report.render") / "templates"
ENTRY = "window.vegaEmbed = vegaEmbed;"
"""What the page takes from the bundle. Its `vega` and `vegaLite` are null in vl-convert 1.9; vegaEmbed holds both."""


def render_page(document: Document, origin: str = "", version: str = fabula.__version__) -> str:
    """The whole file as text. `origin`: what it says of its own making (fabula.report.checking.origin)."""
    figures = list(figures_in((document.opening, *document.blocks)))
    rows = {figure.anchor: _rows(document, figure) for figure in figures}
    pictures = {
        figure.anchor: _with_own_clips(svg(figure.spec, rows[figure.anchor]), number)
        for number, figure in enumerate(figures, start=1)
    }
    specs = {figure.anchor: entry_of(figure) for figure in figures}
    return (
        environment()
        .get_template("page.html.jinja")
        .render(
            document=document,
            version=version,
            origin=origin,
            style=template("style.css"),
            script=template("page.js"),
            figures_script=template("figures.js"),
            unpack_script=template("unpack.js"),
            packed=_packed({"curves": document.curves, "specs": specs, "program": chart_program()}) if figures else "",
            pictures=pictures,
            parts=set(pictures),
        )
    )


_CLIP = re.compile(r"(?<=[\"#])clip\d+")


def _with_own_clips(picture: str, number: int) -> str:
    """What pictures are cut by has names that vl-convert counts through a process; here through a page, so that the
    same records make the same page."""
    names = {name: f"clip{number}-{place}" for place, name in enumerate(dict.fromkeys(_CLIP.findall(picture)), start=1)}
    return _CLIP.sub(lambda match: names[match[0]], picture)


def figures_in(part: Any) -> Iterator[Figure]:
    """Every figure, wherever it stands."""
    if isinstance(part, Figure):
        yield part
    elif isinstance(part, tuple):
        for each in part:
            yield from figures_in(each)
    elif isinstance(part, (FigureGrid, Observed, Details)):
        for each in fields(part):
            yield from figures_in(getattr(part, each.name))


def _rows(document: Document, figure: Figure) -> list[dict[str, Any]]:
    if figure.rows:
        return list(figure.rows)
    return point_rows(document.curves[figure.group], figure.parts)


def entry_of(figure: Figure) -> dict[str, Any]:
    """What page.js needs of a figure."""
    return {"vega": interactive(figure.spec), **data_of(figure)}


def data_of(figure: Figure) -> dict[str, Any]:
    """What is drawn; rows only where they do not come from the page's curves."""
    rows = {"rows": figure.rows} if figure.rows else {"parts": figure.parts}
    return {**rows, "bands": figure.bands}


def _packed(value: Any) -> str:
    """What the figures' script needs, compressed: 0.9 MB of chart library become 0.4 MB of base64, curves a third.

    A browser that cannot unpack it (DecompressionStream: since 2023 in all) keeps the static pictures.
    """
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()


@cache
def chart_program() -> str:
    """Vega with what embeds it, as the chart library's Python package ships them."""
    return bundle_of(ENTRY)


def template(name: str) -> str:
    """The text of a template, style or script."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


@cache
def environment() -> jinja2.Environment:
    made = jinja2.Environment(loader=jinja2.FunctionLoader(template), autoescape=True, undefined=jinja2.StrictUndefined)
    made.globals["words"] = WORDS
    made.filters["told"] = told
    made.filters["kind_title"] = kind_title
    made.filters["block_kind"] = lambda block: type(block).__name__
    return made
