"""`fabula verify`: each number of a report recomputed from its records."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fabula.cli.screen.terminal import show

if TYPE_CHECKING:
    from fabula.report.checking.differences import Difference
    from fabula.report.checking.verify import Verified

MOST_SHOWN = 20
"""Differences and records that are told one by one; --json has all."""


def verify(
    page: Annotated[Path, typer.Argument(metavar="REPORT", help="A page of fabula report: report.html or report.md.")],
    records: Annotated[
        list[Path] | None,
        typer.Option(help="Where its records are now, if they moved; once for each PATH that the page was made from."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Recompute each number of a report from its records, and name any that differ.

    The page says where its records are, so both may be moved together. Exit code 1: something differs.
    """
    import json

    from fabula.cli.screen.terminal import tell
    from fabula.report.checking.verify import verify_report

    told = verify_report(page, records or [])
    if as_json:
        show(json.dumps(told.as_json(), indent=2, allow_nan=False))
    else:
        for line in _lines(told):
            tell(line, indent="  ")
    if not told.holds:
        raise typer.Exit(1)


def _lines(told: "Verified") -> list[str]:
    import shlex

    from fabula.record.wording import plural

    checked = f"{plural(told.compared.num_numbers, 'number')} in {plural(told.compared.num_places, 'place')}"
    lines = [f"note: {note}" for note in told.notes]
    lines += _some([f"record {state}: {name}" for name, state in told.unlike.items()], "record")
    if told.holds:
        lines += [f"{told.page} says what its records say: {checked} recomputed, none differs", "next: nothing to do"]
        return lines
    if told.compared.differences:
        lines += _some([_difference(each) for each in told.compared.differences], "difference")
        where = plural(len(told.compared.differences), "place")
        lines.append(f"{told.page} differs from its records in {where}; {checked} were recomputed")
    else:
        lines.append(f"{told.page}: {checked} recomputed, none differs; but its records are not what they were")
    lines.append(f"next: make it anew from the records: fabula report PATH --out {shlex.quote(str(told.page))}")
    return lines


def _difference(each: "Difference") -> str:
    if not each.page:
        return f"{each.where}: the page lacks {each.records}"
    if not each.records:
        return f"{each.where}: the page says {each.page}, the records say nothing of it"
    return f"{each.where}: the page says {each.page}, its records say {each.records}"


def _some(lines: list[str], what: str) -> list[str]:
    from fabula.record.wording import plural

    more = len(lines) - MOST_SHOWN
    return lines[:MOST_SHOWN] + ([f"and {plural(more, f'more {what}')} (--json has all)"] if more > 0 else [])
