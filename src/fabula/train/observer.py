"""What the loop tells while it works. The roof shows it; the loop knows nothing of screens."""

from typing import Any

from fabula.recipe.schema import Recipe
from fabula.train.life.length.estimate import Estimate
from fabula.train.machine.choice import Choice


class Observer:
    """Override what you want to see; by default nothing is shown."""

    def notice(self, text: str) -> None:
        """Something the user should know now."""

    def planned(self, recipe: Recipe, choices: dict[str, Choice], estimate: Estimate) -> None:
        """Everything is decided, nothing has been trained yet."""

    def begun(self, step: int) -> None:
        """Training begins, or goes on, after `step` updates; from here on `stopping` is asked."""

    def planned_anew(self, steps: int) -> None:
        """The run will have `steps` steps, so that it is over when it was said to be."""

    def stepped(self, line: dict[str, Any]) -> None:
        """An update was made; `line` is its line of the record."""

    def evaluating(self, done: int, total: int) -> None:
        """An evaluation has scored `done` of its `total` stories; one that is scored twice counts twice."""

    def evaluated(self, line: dict[str, Any]) -> None:
        """An evaluation was made; `line` is its line of the record."""

    def sampled(self, sample: dict[str, Any]) -> None:
        """A prompt was completed."""

    def stopping(self) -> bool:
        """Whether to stop after this step, with a checkpoint, as interrupted."""
        return False

    def shared_out(self) -> None:
        """Runs are about to be made side by side, by other processes, which tell nothing."""

    def checkpoint_asked(self) -> bool:
        """Whether to write a checkpoint after this step beside those that the recipe asks for, and go on."""
        return False
