"""`fabula unseal`: the losses on the test stories, computed once."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fabula.cli.screen.terminal import show

if TYPE_CHECKING:
    from fabula.record.ladders.unsealed import Unsealed


def unseal(
    ladder: Annotated[Path, typer.Argument(metavar="LADDER", help="The folder of a ladder, all of whose runs ended.")],
    data: Annotated[Path | None, typer.Option(help="The prepared stories, if they are not where the runs say.")] = None,
) -> None:
    """Score every run's last checkpoint on the test stories, once, and write the report anew.

    `fabula prepare --test FRACTION` sets them aside. Nothing else reads them; a second call shows what is kept.
    """
    import shlex

    from fabula.cli.named.defaults import need_torch
    from fabula.cli.screen.typed import as_called
    from fabula.errors import InputError
    from fabula.record.ladders.unsealed import read_unsealed
    from fabula.report import write_report

    earlier = read_unsealed(ladder) if ladder.is_dir() else None
    if earlier is not None and not earlier.problem:
        _show(earlier)
        raise InputError(
            f"{ladder} was unsealed at {earlier.when}, and its losses on the test stories are those above: they are "
            "computed once"
        )
    need_torch()
    from fabula.ladder.unseal import unseal as unseal_ladder

    _show(unseal_ladder(ladder, data, lambda line: show(line, stderr=True)))
    page = ladder / "report.html"
    write_report([ladder], page)
    show(as_called(f"next: open {shlex.quote(str(page))} in a browser, at the test stories"))


def _show(told: "Unsealed") -> None:
    from fabula.record.wording import loss_text

    show(f"unsealed at {told.when}; losses on the test stories, nats per token")
    for run, losses in told.losses.items():
        known = [f"{name} {loss_text(losses[name])}" for name in ("stream", "story") if name in losses]
        show(f"  {run}: {', '.join(known) or 'not finite'}")
