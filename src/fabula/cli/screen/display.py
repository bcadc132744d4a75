"""The live display of a training, on stderr: what is decided, how far it is, and how the stories grow."""

import datetime
import math
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from fabula.cli.screen.signals import StopRequest
from fabula.cli.screen.terminal import make_console
from fabula.recipe.schema import Recipe
from fabula.record.wording import duration_text, plural
from fabula.train.life.length.estimate import Estimate
from fabula.train.machine.choice import Choice
from fabula.train.observer import Observer

QUIET_SECONDS = 30
"""Without a terminal, a line of progress at most this often."""
SCORING_SECONDS = 10
"""... and while an evaluation goes on, this often: nothing else is seen then."""

RATE_WEIGHT = 0.1
"""Weight of the newest step in the speed that is shown: single steps jump."""


class Display(Observer):
    """Shows one training after another; a context manager that also turns Ctrl-C into an orderly stop."""

    def __init__(self, when_begun: Callable[[], None] = lambda: None) -> None:
        """`when_begun` is called as a training begins: all that could have refused it has not."""
        self._when_begun = when_begun
        self.title = ""
        """What stands before the name of the next recipe: which run of a ladder it is."""
        self.num_alike = 0
        """How many trainings of one length begin with the next one; the time for all of them is told once."""
        self.console = make_console(stderr=True)
        self._stop = StopRequest()
        self._progress: Progress | None = None
        self._task = TaskID(0)
        self._shown_choices: dict[str, Choice] = {}
        self._last_line = -math.inf
        self._told_scoring = -math.inf
        self._scoring = False
        self._val_loss = ""
        self._rate = 0.0
        self._num_steps = 0
        self._estimate = Estimate(0.0, 0.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        self._stop.restore()

    def close(self) -> None:
        """Take the bar away; what was printed stays."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def notice(self, text: str) -> None:
        self.console.print(Text(text, style="yellow"))

    def preparing(self, recipe: Recipe) -> None:
        """Before the model is built and a few steps are timed, which takes seconds."""
        self.console.print(Text(f"building {recipe.name} and timing a few steps ...", style="dim"))

    def planned(self, recipe: Recipe, choices: dict[str, Choice], estimate: Estimate) -> None:
        self.close()
        if choices != self._shown_choices:  # a ladder's runs make the same ones
            for name, choice in choices.items():
                self.console.print(Text(f"{name}: {choice}", style="dim"))
            self._shown_choices = dict(choices)
        self._num_steps, self._val_loss, self._rate, self._last_line = recipe.steps, "", 0.0, -math.inf
        text = Text(self.title)
        text.append(recipe.name, style="bold")
        steps = plural(recipe.steps, "step")
        text.append(f": {steps} of {recipe.positions_per_step:,} positions, about {duration_text(estimate.total)}")
        self.console.print(text)
        if self.num_alike > 1:
            self.console.print(
                f"{self.num_alike} runs like this one: about {duration_text(self.num_alike * estimate.total)} in all"
            )
            self.num_alike = 0
        self._estimate = estimate

    def shared_out(self) -> None:
        self._stop.install()

    def begun(self, step: int) -> None:
        self._stop.install()
        self._when_begun()
        self._told_scoring = -math.inf
        left = self._estimate.total * (1 - step / self._num_steps)
        finish = datetime.datetime.now() + datetime.timedelta(seconds=left)
        far = finish.date() > datetime.date.today()
        where = f"goes on after step {step:,}; " if step else ""
        self.console.print(
            f"{where}this run will be finished at about {finish:{'%A %H:%M' if far else '%H:%M'}}", style="dim"
        )
        if self.console.is_terminal and not self.console.is_dumb_terminal:
            self._progress = Progress(
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TextColumn("{task.description}"),
                TimeRemainingColumn(compact=True),
                console=self.console,
                transient=True,
            )
            self._task = self._progress.add_task("evaluating", total=self._num_steps, completed=step)
            self._progress.start()

    def planned_anew(self, steps: int) -> None:
        self._num_steps = steps
        self.notice(f"planned anew, to be done in time: {plural(steps, 'step')}")
        if self._progress is not None:
            self._progress.update(self._task, total=steps)

    def stepped(self, line: dict[str, Any]) -> None:
        rate = line["tokens_per_second"]
        self._rate = rate if not self._rate else (1 - RATE_WEIGHT) * self._rate + RATE_WEIGHT * rate
        text = f"loss {line['loss']:.3f}{self._val_loss}  {self._rate:,.0f} tokens/s"
        if self._progress is not None:
            self._progress.update(self._task, completed=line["step"], description=text)
        elif line["seconds"] - self._last_line > QUIET_SECONDS:
            self._last_line = line["seconds"]
            left = line["seconds"] / line["step"] * (self._num_steps - line["step"])
            self.console.print(f"step {line['step']:,}/{self._num_steps:,}  {text}  {duration_text(left)} left")

    def evaluating(self, done: int, total: int) -> None:
        now, text = time.monotonic(), f"evaluating: {done:,} of {total:,} stories"
        if not self._scoring:
            # The first one is told at once, for the run has shown nothing yet; later ones where they take long.
            self._scoring, self._told_scoring = True, now if self._told_scoring > -math.inf else -math.inf
        if self._progress is not None:
            self._progress.update(self._task, description=text)
        elif now - self._told_scoring > SCORING_SECONDS:
            self._told_scoring = now
            self.console.print(text)

    def evaluated(self, line: dict[str, Any]) -> None:
        self._scoring = False
        self._val_loss = f"  validation {line['val_loss_subset']:.3f}"
        text = Text.assemble((f"step {line['step']:,}", "bold"))
        whole = f", whole split {line['val_loss']:.4f}" if line["full"] else ""
        rest = f"  validation {line['val_loss_subset']:.4f}{whole}, training {line['train_loss']:.4f}"
        text.append(rest)
        self.console.print(text)
        if line["step"] == self._num_steps:
            self.close()

    def sampled(self, sample: dict[str, Any]) -> None:
        text = Text.assemble(("  " + printable(sample["prompt"]), "dim"), (printable(sample["completion"]), "italic"))
        self.console.print(text)

    def stopping(self) -> bool:
        return self._stop.requested

    def checkpoint_asked(self) -> bool:
        return self._stop.checkpoint_asked()


def printable(text: str) -> str:
    """`text` in one line, without what would steer the terminal: an untrained model writes any byte."""
    return "".join(
        each if each.isprintable() else " " if each.isspace() else "\N{REPLACEMENT CHARACTER}" for each in text
    )
