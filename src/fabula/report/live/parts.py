"""A report in parts: each section with the element that it is, each figure with its picture's program and its data.

A reader of the page is sent the parts that have changed, so that what is unfolded, selected and in sight stays so.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from fabula.report.figures.specs import interactive
from fabula.report.render.blocks import Block, Document, Figure, Heading
from fabula.report.render.page import data_of, environment, figures_in


@dataclass(frozen=True)
class Parts:
    title: str
    html: dict[str, str]
    """Name -> element, in the order of the page."""
    curves: dict[str, str]
    """Group of figures -> its data as JSON."""
    specs: dict[str, str]
    """Anchor of a figure -> what draws it, as JSON."""


FIRST = ("start", "section-section-loss")
"""What moves while one looks at it comes before the stories: what precedes all sections, and the loss of a single run
(fabula.report.sections.single_run)."""


def parts_of(document: Document, added: Sequence[Block] = ()) -> Parts:
    """`added`: what only a page that is watched has."""
    figures = list(figures_in((document.opening, *document.blocks)))
    anchors = {figure.anchor for figure in figures}
    pictures = dict.fromkeys(anchors, "")  # the browser draws them
    html = {"head": _element("head", document=document), "opening": _element("opening", document=document)}
    html["contents"] = _element("contents", document=document)
    sections = list(_sections(document.blocks))
    sections.sort(key=lambda section: section[0] not in FIRST)
    begun = sum(name in FIRST for name, _ in sections)
    for name, blocks in (*sections[:begun], ("added", list(added)), *sections[begun:]):
        if blocks:
            html[name] = _element("section", name=name, drawn=blocks, pictures=pictures, parts=anchors)
    return Parts(
        document.title,
        html,
        {group: _json(curves) for group, curves in document.curves.items()},
        {figure.anchor: _spec(figure) for figure in figures},
    )


def _sections(blocks: Sequence[Block]) -> Iterator[tuple[str, list[Block]]]:
    """What stands below each heading of the page's contents; what comes before the first is a part, too."""
    name, found = "start", list[Block]()
    taken = {name}
    for block in blocks:
        if isinstance(block, Heading) and block.level == 2:
            yield name, found
            name, found = f"section-{block.anchor}", []
            while name in taken:
                name += "-"
            taken.add(name)
        found.append(block)
    yield name, found


def _element(kind: str, **values: Any) -> str:
    return environment().get_template("part.html.jinja").render(kind=kind, **values)


def _spec(figure: Figure) -> str:
    """As `entry_of` has it."""
    return f'{{"vega":{_compiled(_json(figure.spec))},{_json(data_of(figure))[1:]}'


@lru_cache(maxsize=256)
def _compiled(spec: str) -> str:
    """Most figures are drawn as before, with more points: compiling one takes as long as reading a run."""
    return _json(interactive(json.loads(spec)))


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
