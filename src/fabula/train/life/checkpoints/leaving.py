"""What one process keeps when another one of its run is lost."""

from typing import TYPE_CHECKING

from fabula.record.checkpoint import checkpoint_steps
from fabula.record.writer import RunWriter
from fabula.train.life.checkpoints.saving import save, settle_checkpoint
from fabula.train.processes.lost import ProcessLost

if TYPE_CHECKING:
    from fabula.train.loop import Training


def keep_what_there_is(training: "Training", writer: RunWriter, error: ProcessLost) -> None:
    """End the record as interrupted, with a checkpoint where this process has the whole model and the record all that
    was due behind its last update."""
    training.lost, step = str(error), training.progress.step
    writer.event(step, "process_lost", reason=error.detail)
    writer.event(step, "interrupted")
    settle_checkpoint(training, writer)
    whole = step == training.whole_until and not training.together.sharded
    if whole and step not in checkpoint_steps(writer.folder):
        save(training, writer)
        settle_checkpoint(training, writer)
