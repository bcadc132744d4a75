"""`fabula prepare`: stories to tokens."""

import itertools
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated

import typer

from fabula.cli.screen.signals import stopped_code
from fabula.cli.screen.terminal import show
from fabula.cli.screen.typed import as_called

if TYPE_CHECKING:
    from fabula.data.prepare.preparation import PreparationSummary

NOTHING = "nothing was written"
DEFAULT_TOKENIZER = "bpe:8192"
"""What the recommended recipe reads; made from the stories, without network."""


def prepare(
    source: Annotated[
        str,
        typer.Argument(
            help="`builtin` (stories that fabula tells itself), a file, a folder, `-` for what comes through a pipe, "
            "or a data set on the Hugging Face hub, such as roneneldan/TinyStories."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="The prepared folder to write.", show_default="data/ and the name of the source"),
    ] = None,
    tokenizer: Annotated[
        str,
        typer.Option(
            help="bpe:N (made from these stories, N tokens at most; the recommended recipe reads bpe:8192), gpt2, "
            "gpt2-compact (the part of it that these stories use), or a file."
        ),
    ] = DEFAULT_TOKENIZER,
    validation: Annotated[
        str | None, typer.Option(help="Where the validation stories come from: a source, or a fraction of the stories.")
    ] = None,
    test: Annotated[
        float | None,
        typer.Option(
            metavar="FRACTION", help="Set this share of the stories aside, sealed: `fabula unseal` scores them once."
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Take the first N stories only.")] = None,
    split_on: Annotated[
        str | None,
        typer.Option(
            help="What stands between two stories of a plain text: eot (<|endoftext|>), blank (blank lines; blank:2: "
            "two or more), line (one story a line), none (one long text), or any text, such as '###'.",
            show_default="found out",
        ),
    ] = None,
    text_key: Annotated[
        str | None,
        typer.Option(help="The key (JSON) or column (CSV, TSV, parquet) that holds the story.", show_default="text"),
    ] = None,
) -> None:
    """Read stories, split them into train, tune and validation, and turn them into tokens.

    Files may be .txt, .jsonl, .json, .csv, .tsv (each also with .gz behind it) or .parquet. In a folder, files called
    validation or valid are the validation split; else it is 5 % of the stories.
    """
    import shlex

    from fabula.cli.screen.terminal import tell
    from fabula.data.prepare.journal import unfinished
    from fabula.data.prepare.preparation import default_folder
    from fabula.data.prepare.preparation import prepare as prepare_folder

    try:
        with _Bar() as bar:
            made = prepare_folder(
                source,
                out,
                tokenizer=tokenizer,
                validation=validation,
                limit=limit,
                split_on=split_on,
                text_key=text_key,
                test=test,
                progress=bar,
            )
    except KeyboardInterrupt:
        kept = unfinished(default_folder(source) if out is None else out)
        rest = f"the same call goes on where it was; until then {kept} holds it" if kept.is_dir() else NOTHING
        show(f"\nstopped; {rest}", stderr=True)
        raise typer.Exit(stopped_code()) from None
    for line in _summary(made):
        tell(line, indent="  ")
    recipe = recipe_arguments(made.tokenization.name)
    show(as_called(f"\nNext: fabula train {recipe} --data {shlex.quote(str(made.folder))} --out {_free_run()}"))


def _summary(made: "PreparationSummary") -> list[str]:
    """What was made, in lines of at most 60 columns where a name is not long itself."""
    lines = [
        f"Prepared: {made.folder} ({made.seconds:.1f} s)",
        f"Tokenizer: {made.tokenization.name}, {made.tokenization.vocabulary:,} different tokens",
    ]
    rows = [
        (name, f"{facts.num_stories:,}", f"{made.tokenization.num_tokens[name]:,}", _size(facts.num_bytes))
        for name, facts in made.manifest.splits.items()
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for name, stories, tokens, size in rows:
        lines.append(
            f"  {name:{widths[0]}}  {stories:>{widths[1]}} stories  {tokens:>{widths[2]}} tokens  {size:>{widths[3]}}"
        )
    removed = made.manifest.removed
    reasons = (
        (removed.empty, "empty"),
        (removed.train_like_validation, "of train, nearly the same as one of validation"),
        (removed.train_like_tune, "of train, nearly the same as one of tune"),
        (removed.tune_like_validation, "of tune, nearly the same as one of validation"),
        (removed.like_test, "nearly the same as one of test, or of test and like a held-out one"),
    )
    left_out = [f"  {num:,} {reason}" for num, reason in reasons if num]
    lines += ["Stories left out:", *left_out] if left_out else ["No story was left out."]
    if made.manifest.test_rule is not None:
        lines.append("The test stories are sealed: nothing reads them until `fabula unseal LADDER` scores them, once.")
    if made.manifest.gpt2_lengths != "recorded":
        lines.append(
            "Nothing is missing for training. Losses are given per token of this tokenizer only, not per GPT-2 token "
            "as well: GPT-2's vocabulary is not on this machine."
        )
    return lines


def _free_run() -> Path:
    """A run folder that is not there yet."""
    names = itertools.chain(["first"], (f"run-{number}" for number in itertools.count(2)))
    return next(run for name in names if not (run := Path("runs", name)).exists())


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:,.1f} MB" if num_bytes >= 1e6 else f"{num_bytes / 1e3:,.1f} kB"


def recipe_arguments(tokenizer: str) -> str:
    """What to write behind `fabula train` where stories are tokenized so: a recipe, and a setting if it takes one."""
    import shlex

    from fabula.recipe.presets.by_name import FIRST_RECIPE, recipe_reading

    return recipe_reading(tokenizer) or f"{FIRST_RECIPE} --set {shlex.quote(f'tokenizer={tokenizer}')}"


class _Bar:
    """A progress bar on stderr, one line a pass."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

        from fabula.cli.screen.terminal import make_console

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            console=make_console(stderr=True),
        )
        self._task: TaskID | None = None

    def __enter__(self) -> "_Bar":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._finish()
        self._progress.stop()

    def begin(self, what: str, total: int) -> None:
        self._finish()
        self._task = self._progress.add_task(what, total=total)

    def advance(self, amount: int) -> None:
        if self._task is not None:
            self._progress.advance(self._task, amount)

    def notice(self, text: str) -> None:
        self._progress.console.print(text, markup=False)

    def _finish(self) -> None:
        """Fill the bar of the pass that is over: a weight is a share of a file, rounded."""
        if self._task is not None:
            self._progress.update(self._task, completed=self._progress.tasks[self._task].total)
