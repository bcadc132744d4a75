"""`fabula prepare`: stories to tokens."""

from pathlib import Path
from types import TracebackType
from typing import Annotated

import typer


def prepare(
    source: Annotated[
        str,
        typer.Argument(
            help="`grammar` (the built-in stories), a file or folder of .txt, .jsonl, .jsonl.gz or .parquet, "
            "or the id of a data set on the Hugging Face hub."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The prepared folder to write.")],
    tokenizer: Annotated[
        str,
        typer.Option(
            help="gpt2, gpt2-compact (the part of it that these stories use), bpe:N (trained on them), or a file."
        ),
    ] = "gpt2",
    validation: Annotated[
        str | None, typer.Option(help="Where the validation stories come from: a source, or a fraction of the stories.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Take the first N stories only.")] = None,
) -> None:
    """Read stories, split them into train, tune and validation, and tokenize them.

    In .txt files <|endoftext|> separates the stories; a .txt without it is one story. The other formats need a string
    `text`. In a folder, files called validation or valid are the validation split; else it is 5 % of the stories.
    """
    import shlex

    from rich.table import Table

    from fabula.cli.terminal import make_console
    from fabula.text.prepare import prepare as prepare_folder

    with _Bar() as bar:
        made = prepare_folder(source, out, tokenizer=tokenizer, validation=validation, limit=limit, progress=bar)
    table = Table(title=f"{made.folder}: {made.tokenization.name}, {made.tokenization.vocabulary:,} tokens")
    for column in ("split", "stories", "tokens", "bytes"):
        table.add_column(column, justify="left" if column == "split" else "right")
    for name, facts in made.manifest.splits.items():
        num_tokens = made.tokenization.num_tokens[name]
        table.add_row(name, f"{facts.num_stories:,}", f"{num_tokens:,}", f"{facts.num_bytes:,}")
    console = make_console()
    console.print(table)
    removed = made.manifest.removed
    console.print(
        f"Near-duplicates removed: {removed.train_like_validation:,} from train that are like validation, "
        f"{removed.train_like_tune:,} from train that are like tune, "
        f"{removed.tune_like_validation:,} from tune that are like validation. Empty stories left out: "
        f"{removed.empty:,}.",
    )
    if made.manifest.gpt2_lengths != "recorded":
        console.print(f"GPT-2 token counts {made.manifest.gpt2_lengths}")
    num_bytes = sum(facts.num_bytes for facts in made.manifest.splits.values())
    console.print(f"{made.seconds:.1f} s, {num_bytes / 1e6 / made.seconds:.1f} MB/s.")
    recipe = recipe_arguments(made.tokenization.name)
    print(f"\nNext: fabula train {recipe} --data {shlex.quote(str(made.folder))} --out runs/first")


def recipe_arguments(tokenizer: str) -> str:
    """What to write behind `fabula train` where stories are tokenized so: a recipe, and a setting if it takes one."""
    import shlex

    from fabula.recipe.presets import FIRST_RECIPE, recipe_reading

    return recipe_reading(tokenizer) or f"{FIRST_RECIPE} --set {shlex.quote(f'tokenizer={tokenizer}')}"


class _Bar:
    """A progress bar on stderr, one line a pass."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

        from fabula.cli.terminal import make_console

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

    def _finish(self) -> None:
        """Fill the bar of the pass that is over: a weight is a share of a file, rounded."""
        if self._task is not None:
            self._progress.update(self._task, completed=self._progress.tasks[self._task].total)
