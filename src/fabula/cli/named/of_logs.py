"""Options that say of a log what it does not say itself, as `fabula report` and `fabula watch` have them."""

from typing import Annotated

import typer

OF_LOGS = "Of logs that do not say it:"

Vocabulary = Annotated[int | None, typer.Option(min=2, help=f"{OF_LOGS} size of the vocabulary.")]
Clip = Annotated[float | None, typer.Option(min=0.0, help=f"{OF_LOGS} gradient norm that was clipped to.")]
Accumulation = Annotated[int | None, typer.Option(min=1, help=f"{OF_LOGS} micro-steps to an update.")]
FromScratch = Annotated[bool, typer.Option("--from-scratch", help=f"{OF_LOGS} they begin with untrained models.")]
Columns = Annotated[str | None, typer.Option(metavar="NAME=COLUMN,...", help=f"{OF_LOGS} step=n,loss=y.")]
