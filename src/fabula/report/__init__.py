"""The report: one HTML page and its Markdown twin, from records alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fabula.errors import InputError
from fabula.findings import Flags
from fabula.record.files import make_folder, write_text
from fabula.report.checking.origin import Origin, origin_of
from fabula.report.comparison import comparison_document
from fabula.report.document import make_document
from fabula.report.figures.curves import curves_of_tier
from fabula.report.figures.figures import figures, png, point_rows
from fabula.report.paper.writing import write_paper
from fabula.report.render.blocks import Document
from fabula.report.render.markdown import render_markdown
from fabula.report.render.page import render_page
from fabula.study.ladder import read_ladder
from fabula.study.referee.comparing import Comparison
from fabula.study.summary import summary


def write_report(paths: Sequence[Path], out: Path, flags: Flags | None = None) -> dict[str, Any]:
    """Read runs, ladders or logs of other programs at `paths`; write the page to `out` (.html) and its twin beside it
    (.md). `flags` are what such logs cannot say. Returns what the page says as values (`fabula.study.summary`).

    Raises InputError for a path that holds no record, and for an `out` that does not end in .html.
    """
    _refuse_ending(out)
    ladder = read_ladder(paths, flags)
    _write(make_document(ladder), out, origin_of(ladder, paths, out, flags))
    return summary(ladder)


def write_parts(paths: Sequence[Path], folder: Path, flags: Flags | None = None) -> list[Path]:
    """Write the figures (SVG, PDF) and tables (LaTeX, CSV) of the page of `paths` into `folder`, for a paper, with an
    index.md that says which is which. Returns the files, the index first.

    Raises InputError as write_report does, and for a folder that holds something else.
    """
    return write_paper(make_document(read_ladder(paths, flags)), folder)


def write_comparison(comparison: Comparison, out: Path) -> None:
    """The page of groups of runs against a base (`fabula.study.compare`), and its twin beside it."""
    _refuse_ending(out)
    _write(comparison_document(comparison), out)


def _refuse_ending(out: Path) -> None:
    if out.suffix != ".html":
        raise InputError(f"--out {out}: the page is an .html file; its Markdown twin is written beside it")


def _write(document: Document, out: Path, origin: Origin | None = None) -> None:
    page = render_page(document, origin.as_text() if origin else "")
    twin = render_markdown(document, origin.as_comment() if origin else "")
    make_folder(out.parent)
    write_text(out, page)
    write_text(out.with_suffix(".md"), twin)


def main_figure(paths: Sequence[Path], tier: str | None = None) -> bytes:
    """The picture of a tier's validation losses as PNG bytes; the first tier by default.

    Raises InputError when there is no such tier or nothing to draw.
    """
    for each in read_ladder(paths).tiers:
        if tier in (None, each.name):
            drawn = figures(each, ())
            if drawn:
                return png(drawn[0].spec, point_rows(curves_of_tier(each), drawn[0].parts))
    raise InputError(f"no tier {tier or ''} with curves to draw; give a run or a ladder that has begun")


__all__ = ["main_figure", "write_comparison", "write_parts", "write_report"]
