"""Checkpoints of a training: written in the background from a snapshot, while it goes on."""

import errno
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from fabula.record.checkpoint import checkpoint_steps, remove_old_checkpoints
from fabula.record.writer import RunWriter
from fabula.train import state
from fabula.train.life.checkpoints.rollback import needed

if TYPE_CHECKING:
    from fabula.train.loop import Training

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""What the system says of a disk that is full, a quota that is used up, a file larger than it may be."""


def save(training: "Training", writer: RunWriter) -> None:
    """Have a checkpoint written that remembers where the record stood, and the older ones tidied up, while the training
    goes on; before that, one that is still being written is waited for."""
    settle_checkpoint(training, writer)
    engine, step, leads = training.engine, training.progress.step, training.together.leads
    taken = state.snapshot(engine.model, engine.optimizer, keep=leads)
    if not leads:
        return
    stored: dict[str, Any] = {
        "progress": asdict(training.progress),
        "offsets": writer.offsets(),
        "record_hashes": writer.digests(),
        "tokenizer_hash": training.data.tokenizer.hash,
    }
    policy = training.recipe.guard.policy
    if policy != "skip":
        stored["guard"] = asdict(training.guard)
    synchronize, keep = writer.synchronizer(), training.recipe.checkpoint.keep
    also = {training.progress.best_step, training.before_decay}

    def write() -> None:
        synchronize()
        state.save(writer.folder, step, taken, stored)
        for_rollback = needed(checkpoint_steps(writer.folder), step) if policy == "rollback" else set()
        remove_old_checkpoints(writer.folder, keep, also | for_rollback)

    training.background.start(step, write)


def settle_checkpoint(training: "Training", writer: RunWriter) -> None:
    """Wait for the checkpoint that is being written, if one is. Raises OSError where it could not be written; of a full
    disk it is only told."""
    error, step = training.background.wait(), training.background.step
    if error is None:
        return
    if not isinstance(error, OSError) or error.errno not in NO_ROOM or step == training.recipe.steps:
        raise error
    # The training costs more than the checkpoint: it goes on, and the older checkpoints stay.
    reason = f"{error.strerror}; free some space"
    writer.event(step, "checkpoint_failed", reason=reason)
    training.observer.notice(f"step {step:,}: no checkpoint could be written ({reason}); the training goes on")
