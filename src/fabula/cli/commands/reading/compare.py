"""`fabula compare`: keep a change, drop it, or make more runs? Of groups of runs, fabula's or not."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fabula.cli.screen.terminal import show

if TYPE_CHECKING:
    from fabula.study.referee.comparing import Comparison

COLOURS = {"keep": "green", "discard": "red", "more_seeds": "yellow", "incomparable": "yellow"}


class Value(StrEnum):
    validation = "validation"
    training = "training"


class By(StrEnum):
    end = "end"
    tokens = "tokens"
    steps = "steps"
    seconds = "seconds"


def compare(
    groups: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME=PATHS...",
            help="Groups of runs, the base first. PATHS: a run folder, a log, a folder of them or a glob; several with "
            "commas between; FILE::NAMES for some of the runs in one file.",
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write a page, too; its Markdown twin is written beside it.")] = None,
    detect: Annotated[
        float | None, typer.Option(metavar="NATS", help="The smallest improvement that is wanted; less is discarded.")
    ] = None,
    look: Annotated[
        str, typer.Option(metavar="K/N", help="Look K of N planned ones, which share the error rate of 5 %.")
    ] = "1/2",
    most: Annotated[int, typer.Option(min=2, help="The most runs in a group that are ever asked for.")] = 8,
    value: Annotated[
        Value | None, typer.Option(help="The loss that is compared; default: validation where all runs log it.")
    ] = None,
    by: Annotated[
        By | None,
        typer.Option(help="Where it is compared; default: at the end if all went equally far, else at equal tokens."),
    ] = None,
    last: Annotated[int, typer.Option(min=1, help="Compare the mean of so many last evaluations.")] = 1,
    columns: Annotated[
        str | None,
        typer.Option(metavar="NAME=COLUMN,...", help="What the columns of logs are: step=n,val_loss=y."),
    ] = None,
) -> None:
    """Keep a change, discard it, or make more runs? Compares groups of runs with the first of them.

    Reads what `fabula diagnose` reads. The exit code is 0 for keep, 1 for discard, 3 for more seeds, 4 where nothing
    can be compared; of several groups, 0 if any is to be kept.
    """
    import json

    from fabula.api.comparing import compare as compare_groups

    compared = compare_groups(
        groups, out=out, detect=detect, look=look, most=most, last=last, columns=columns,
        value=value.value if value else None, by=by.value if by else None,
    )  # fmt: skip
    if as_json:
        show(json.dumps(compared.values, indent=1, allow_nan=False))
    else:
        _show(compared.comparison, compared.page)
    raise typer.Exit(compared.comparison.exit_code)


def _show(compared: "Comparison", out: Path | None) -> None:
    """The decision of each group, what it stands on, and what was compared."""
    import shlex
    import sys

    from fabula.cli.screen.terminal import tell, width_of, wrapped
    from fabula.cli.screen.typed import as_called, typed
    from fabula.study.referee.words import OF_DECISION, compared_words, reason, terms_words, value_words

    for each in compared.others:
        assert each.judged is not None, "every group but the base is judged"
        decision = OF_DECISION[each.judged.decision]
        typer.secho(decision, fg=COLOURS[each.judged.decision], bold=True, nl=False)
        line = f"{decision}: {reason(each, compared)}"
        show(wrapped(line, width_of(sys.stdout), "  ").removeprefix(decision))
    for each in compared.groups:
        tell(f"  {each.name}: {value_words(each)}", indent="    ")
        for why in each.group.unread:
            tell(f"not read: {why}", stderr=True)
    tell(f"  {compared_words(compared)}", indent="    ")
    tell(f"  {terms_words(compared.terms)}", indent="    ")
    if out is None:
        show(as_called(f"next: {typed()} --out compare.html"))
    else:
        show(out)
        show(f"next: open {shlex.quote(str(out))} in a browser; or read {shlex.quote(str(out.with_suffix('.md')))}")
