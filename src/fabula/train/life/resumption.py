"""Which checkpoint a run goes on from: the one that was asked for, or the newest that is sound."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fabula.errors import InputError
from fabula.model.load import best_steps
from fabula.record.checkpoint import Checkpoint, checkpoint_steps, read_checkpoint
from fabula.record.writer import RunWriter
from fabula.train import state
from fabula.train.life.guard import Guard
from fabula.train.life.progress import Progress
from fabula.train.observer import Observer

if TYPE_CHECKING:
    from fabula.train.loop import Training


@dataclass(frozen=True)
class From:
    """Where to go on. Without either: at the latest checkpoint."""

    step: int | None = None
    best: bool = False

    @property
    def chosen(self) -> bool:
        return self.best or self.step is not None


LATEST = From()


@dataclass(frozen=True)
class Found:
    checkpoint: Checkpoint
    damaged: tuple[tuple[int, str], ...]
    """Steps of the checkpoints that would have been taken before it, and the problem of each."""


def candidates(run: Path, wanted: From) -> list[int]:
    """Steps whose checkpoints may serve, the first choice first. Raises InputError where the one that was asked for is
    not there."""
    if wanted.best:
        return best_steps(run)
    if wanted.step is not None:
        read_checkpoint(run, wanted.step, only="nothing but its state")
        return [wanted.step]
    return checkpoint_steps(run)[::-1]


def load_first_sound(training: "Training", run: Path, steps: Sequence[int]) -> Found | None:
    """Put the first of the checkpoints at `steps` that is whole, finite and of this recipe into `training`; None where
    there is none at all.

    Raises InputError, with what is wrong with the first one, when none of them is sound.
    """
    damaged: list[tuple[int, InputError]] = []
    for step in steps:
        try:
            checkpoint = read_checkpoint(run, step)
            _load(training, checkpoint)
        except InputError as error:
            damaged.append((step, error))
        else:
            return Found(checkpoint, tuple((step, error.problem) for step, error in damaged))
    if not damaged:
        return None
    (_, first), *others = damaged
    more = f", and no other checkpoint ({', '.join(str(step) for step, _ in others)}) is sound" if others else ""
    raise InputError(f"{first.problem}{more}", "train again into another --out" if others else first.remedy)


def _load(training: "Training", checkpoint: Checkpoint) -> None:
    if not {"progress", "offsets"} <= checkpoint.state.keys():
        raise InputError(
            f"{checkpoint.folder} was not written by a training, so no training can go on from it", "train anew"
        )
    try:
        progress = Progress(**checkpoint.state["progress"])
        guard = Guard(**checkpoint.state.get("guard", {}))
    except TypeError as error:
        raise InputError(f"{checkpoint.folder / 'state.json'} is of another version ({error})", "train anew") from error
    training.engine.reset()  # an optimizer without what a damaged checkpoint put into it
    state.load(checkpoint, training.engine.model, training.engine.optimizer)
    training.progress, training.guard = progress, guard


def tell_resumption(
    writer: RunWriter, observer: Observer, step: int, damaged: Sequence[tuple[int, str]], aside: Sequence[int]
) -> None:
    """Record, and say, that the run goes on after `step`, what was passed over for it and what is lost."""
    for each, reason in damaged:
        writer.event(step, "checkpoint_damaged", checkpoint=each, reason=reason)
        observer.notice(f"{reason}; going on from the checkpoint of step {step:,}")
    for loss in writer.losses:
        writer.event(step, "record_incomplete", **{key: value for key, value in asdict(loss).items() if value})
        observer.notice(f"{loss.told}; the training goes on from the checkpoint of step {step:,}")
    if aside:
        steps = ", ".join(f"{each:,}" for each in aside)
        word = "checkpoint" if len(aside) == 1 else "checkpoints"
        observer.notice(f"set aside: the {word} of step {steps}, now in {writer.folder / 'checkpoints.discarded'}")
    writer.event(step, "resumed", **({"set_aside": list(aside)} if aside else {}))
