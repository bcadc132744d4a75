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
from fabula.train.life.checkpoints.guard import Guard
from fabula.train.life.progress import Progress
from fabula.train.processes.tensors import hand_out_moments, hand_out_weights

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
    taken: state.Snapshot
    progress: Progress
    guard: Guard


def candidates(run: Path, wanted: From) -> list[int]:
    """Steps whose checkpoints may serve, the first choice first. Raises InputError where the one that was asked for is
    not there."""
    if wanted.best:
        return best_steps(run)
    if wanted.step is not None:
        read_checkpoint(run, wanted.step, only="nothing but its state")
        return [wanted.step]
    return checkpoint_steps(run)[::-1]


def first_sound(training: "Training", run: Path, steps: Sequence[int]) -> Found | None:
    """The first of the checkpoints at `steps` that is whole, finite and of this recipe; None where there is none at
    all, and where another process leads, which looks for all.

    Raises InputError, with what is wrong with the first one, when none of them is sound.
    """
    if not training.engine.together.leads:
        return None
    damaged: list[tuple[int, InputError]] = []
    for step in steps:
        try:
            before = tuple((step, error.problem) for step, error in damaged)
            return _read(training, read_checkpoint(run, step), before)
        except InputError as error:
            damaged.append((step, error))
    if not damaged:
        return None
    (_, first), *others = damaged
    more = f", and no other checkpoint ({', '.join(str(step) for step, _ in others)}) is sound" if others else ""
    raise InputError(f"{first.problem}{more}", "train again into another --out" if others else first.remedy)


def take_over(training: "Training", found: Found | None) -> bool:
    """Put what the first process has found into everybody's `training`. Whether it has found something."""
    together, engine = training.engine.together, training.engine
    words = together.said(None if found is None else {"progress": asdict(found.progress), "guard": asdict(found.guard)})
    if words is None:
        return False
    engine.reset()  # an optimizer without what came before
    training.progress, training.guard = Progress(**words["progress"]), Guard(**words["guard"])
    if together.several:
        hand_out_weights(engine.model, found.taken.weights if found else None)
        hand_out_moments(together, engine.model, engine.optimizer, found.taken.moments if found else None)
    elif found is not None:
        state.put(found.taken, engine.model, engine.optimizer)
    return True


def _read(training: "Training", checkpoint: Checkpoint, damaged: tuple[tuple[int, str], ...]) -> Found:
    if not {"progress", "offsets"} <= checkpoint.state.keys():
        raise InputError(
            f"{checkpoint.folder} was not written by a training, so no training can go on from it", "train anew"
        )
    try:
        progress = Progress(**checkpoint.state["progress"])
        guard = Guard(**checkpoint.state.get("guard", {}))
    except TypeError as error:
        raise InputError(f"{checkpoint.folder / 'state.json'} is of another version ({error})", "train anew") from error
    return Found(checkpoint, damaged, state.read(checkpoint, training.engine.model), progress, guard)


def tell_resumption(
    training: "Training", writer: RunWriter, step: int, damaged: Sequence[tuple[int, str]], aside: Sequence[int]
) -> None:
    """Record, and say, that the run goes on after `step`, what was passed over for it and what is lost."""
    for each, reason in damaged:
        writer.event(step, "checkpoint_damaged", checkpoint=each, reason=reason)
        training.observer.notice(f"{reason}; going on from the checkpoint of step {step:,}")
    for loss in writer.losses:
        writer.event(step, "record_incomplete", **{key: value for key, value in asdict(loss).items() if value})
        training.observer.notice(f"{loss.told}; the training goes on from the checkpoint of step {step:,}")
    if aside:
        steps = ", ".join(f"{each:,}" for each in aside)
        word = "checkpoint" if len(aside) == 1 else "checkpoints"
        training.observer.notice(
            f"set aside: the {word} of step {steps}, now in {writer.folder / 'checkpoints.discarded'}"
        )
    told = training.engine.together.event()
    writer.event(step, "resumed", **({"set_aside": list(aside)} if aside else {}), **told)
