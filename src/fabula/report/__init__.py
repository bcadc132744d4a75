"""The report: one HTML page and its Markdown twin, from records alone."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fabula.errors import InputError
from fabula.record.files import write_text

if TYPE_CHECKING:
    from fabula.findings import Flags
    from fabula.study.views import LadderView


def write_report(paths: Sequence[Path], out: Path, flags: "Flags | None" = None) -> dict[str, Any]:
    """Read runs, ladders or logs of other programs at `paths`; write the page to `out` (.html) and its twin beside it
    (.md). `flags` are what such logs cannot say. Returns what the page says, as `summary` does.

    Raises InputError for a path that holds no record, and for an `out` that does not end in .html.
    """
    from fabula.report.document import make_document
    from fabula.report.render.markdown import render_markdown
    from fabula.report.render.page import render_page
    from fabula.study.ladder import read_ladder

    if out.suffix != ".html":
        raise InputError(f"--out {out}: the page is an .html file; its Markdown twin is written beside it")
    ladder = read_ladder(paths, flags)
    document = make_document(ladder)
    page, twin = render_page(document), render_markdown(document)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, page)
    write_text(out.with_suffix(".md"), twin)
    return _summary(ladder)


def summary(paths: Sequence[Path], flags: "Flags | None" = None) -> dict[str, Any]:
    """What the page says, as values: runs with verdict and findings, effects, and what came out of order."""
    from fabula.study.ladder import read_ladder

    return _summary(read_ladder(paths, flags))


def _summary(ladder: "LadderView") -> dict[str, Any]:
    from fabula.report.render.blocks import plain_text
    from fabula.report.sections.interpretation import out_of_order
    from fabula.study.effect_words import as_finding, roughness_finding

    runs = [
        {
            "path": str(view.path),
            "tier": view.tier,
            "phase": view.phase,
            "seed": view.seed,
            "status": view.run.status if view.run else "missing",
            "problem": view.problem,
            "final": view.final,
            **(view.diagnosis.as_json() if view.diagnosis else {"verdict": None, "findings": [], "silent": []}),
        }
        for view in ladder.runs
    ]
    return {
        "name": ladder.name,
        "runs": runs,
        "noise": [{"tier": tier.name, **asdict(floor)} for tier in ladder.tiers for floor in tier.noise],
        "effects": [as_finding(each).as_json() for each in ladder.effects],
        "roughness": [roughness_finding(each).as_json() for tier in ladder.tiers for each in tier.roughness],
        "out_of_order": [plain_text(line) for tier in ladder.tiers for line in out_of_order(tier, name_tier=True)],
    }


def main_figure(paths: Sequence[Path], tier: str | None = None) -> bytes:
    """The picture of a tier's validation losses as PNG bytes; the first tier by default.

    Raises InputError when there is no such tier or nothing to draw.
    """
    from fabula.report.figures.curves import curves_of_tier
    from fabula.report.figures.figures import figures, parts_of, png, point_rows
    from fabula.study.ladder import read_ladder

    for each in read_ladder(paths).tiers:
        if tier in (None, each.name):
            drawn = figures(each, ())
            if drawn:
                return png(drawn[0].spec, point_rows(curves_of_tier(each), parts_of(drawn[0].spec)))
    raise InputError(f"no tier {tier or ''} with curves to draw; give a run or a ladder that has begun")


__all__ = ["main_figure", "summary", "write_report"]
