"""`fabula report`: one page from the records of runs."""

from pathlib import Path
from typing import Annotated

import typer

from fabula.cli.named.of_logs import Accumulation, Clip, Columns, FromScratch, Vocabulary
from fabula.cli.screen.terminal import show


def report(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="[PATH]...",
            help="Run folders, a ladder, folders of runs, logs of other programs; default: the newest under runs/.",
        ),
    ] = [],  # noqa: B006
    out: Annotated[
        Path,
        typer.Option(
            help="The page, its Markdown twin beside it; or a folder for a web host, with the page as index.html."
        ),
    ] = Path("report.html"),
    to: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="A folder for a paper: figures as SVG and PDF, tables as LaTeX and CSV.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what the page says as one JSON document.")] = False,
    vocab: Vocabulary = None,
    clip: Clip = None,
    accumulation: Accumulation = None,
    from_scratch: FromScratch = False,
    columns: Columns = None,
) -> None:
    """Write what the runs show: tables, curves, completions, findings, effects with intervals.

    Reads records alone: no training stack, no network. The page is one file. Logs are those that `fabula diagnose`
    reads; their runs are shown and not ranked.
    """
    import json
    import shlex

    from fabula.api.comparing import report_with
    from fabula.api.paths import flags_of
    from fabula.cli.named.newest import named_or_newest

    flags = flags_of(vocab, clip, accumulation, from_scratch, columns)
    page = report_with(paths or [named_or_newest(None, ladders=True)], out, to, flags)
    parts = page.parts
    if as_json:
        files = {"parts": [str(part) for part in parts]} if parts else {}
        show(
            json.dumps(
                {"page": str(page.path), "twin": str(page.twin), **files, **page.values}, indent=2, allow_nan=False
            )
        )
        return
    show(page.path)
    if parts:
        show(f"{parts[0]} lists {len(parts) - 1} files of figures and tables")
    show(f"next: open {shlex.quote(str(page.path))} in a browser; or read {shlex.quote(str(page.twin))}")
