"""The live display of a training, on stderr: what is decided, how far it is, and how the stories grow."""

import datetime
import sys
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from fabula.cli.signals import StopRequest
from fabula.recipe.schema import Recipe
from fabula.train.choices import Choice
from fabula.train.observer import Observer
from fabula.train.plan import Estimate

QUIET_SECONDS = 30
"""Without a terminal, a line of progress at most this often."""


class Display(Observer):
    """Shows one training after another; a context manager that also turns Ctrl-C into an orderly stop."""

    def __init__(self, title: str = "") -> None:
        self.title = title
        self.console = Console(file=sys.stderr, highlight=False)
        self._stop = StopRequest()
        self._progress: Progress | None = None
        self._task = TaskID(0)
        self._last_line = 0.0
        self._val_loss = ""
        self._num_steps = 0

    def __enter__(self) -> Self:
        self._stop.install()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        self._stop.restore()

    def close(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def notice(self, text: str) -> None:
        self.console.print(Text(text, style="yellow"))

    def planned(self, recipe: Recipe, choices: dict[str, Choice], estimate: Estimate) -> None:
        for name, choice in choices.items():
            self.console.print(Text(f"{name}: {choice}", style="dim"))
        finish = datetime.datetime.now() + datetime.timedelta(seconds=estimate.total)
        self.console.print(
            f"{self.title}{recipe.name}: {recipe.steps:,} steps of {recipe.positions_per_step:,} positions, "
            f"about {duration(estimate.total)}, finished at about {finish:%H:%M}"
        )
        self.close()
        self._num_steps, self._val_loss = recipe.steps, ""
        if self.console.is_terminal:
            self._progress = Progress(
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.description}"),
                TimeRemainingColumn(),
                console=self.console,
            )
            self._task = self._progress.add_task("", total=recipe.steps)
            self._progress.start()

    def stepped(self, line: dict[str, Any]) -> None:
        text = f"loss {line['loss']:.3f}{self._val_loss}  {line['tokens_per_second']:,.0f} tokens/s"
        if self._progress is not None:
            self._progress.update(self._task, completed=line["step"], description=text)
            if line["step"] == self._num_steps:
                self.close()
        elif line["seconds"] - self._last_line > QUIET_SECONDS or line["step"] == 1:
            self._last_line = line["seconds"]
            left = line["seconds"] / line["step"] * (self._num_steps - line["step"])
            self.console.print(f"step {line['step']:,}/{self._num_steps:,}  {text}  {duration(left)} left")

    def evaluated(self, line: dict[str, Any]) -> None:
        self._val_loss = f"  validation {line['val_loss_subset']:.3f}"
        whole = f", whole split {line['val_loss']:.4f}" if line["full"] else ""
        self.console.print(
            f"[bold]step {line['step']:,}[/bold]  validation {line['val_loss_subset']:.4f}{whole}, training {line['train_loss']:.4f}"
        )

    def sampled(self, sample: dict[str, Any]) -> None:
        text = Text(f"  {sample['prompt']}", style="dim")
        text.append(" ".join(f"{sample['completion']}".splitlines()), style="italic")
        self.console.print(text)

    def stopping(self) -> bool:
        return self._stop.requested


def duration(seconds: float) -> str:
    """`1 h 5 min`, `12 min`, `40 s`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
