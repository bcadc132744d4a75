"""`fabula report`: one page from the records of runs."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Run folders, a ladder, or folders of runs.")],
    out: Annotated[Path, typer.Option(help="The page; its Markdown twin is written beside it.")] = Path("report.html"),
    as_json: Annotated[bool, typer.Option("--json", help="Print what the page says as one JSON document.")] = False,
) -> None:
    """Write what the runs show: tables, curves, completions, findings, effects with intervals.

    Reads records alone: no training stack, no network. The page is one file.
    """
    import json
    import shlex

    from fabula.report import summary, write_report

    write_report(paths, out)
    if as_json:
        print(json.dumps({"page": str(out), "twin": str(out.with_suffix(".md")), **summary(paths)}, indent=2))
        return
    print(out)
    print(f"next: open {shlex.quote(str(out))} in a browser; or read {shlex.quote(str(out.with_suffix('.md')))}")
