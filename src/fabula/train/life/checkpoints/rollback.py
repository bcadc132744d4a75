"""Back to the last good checkpoint, on other batches and with a lower learning rate for a while.

Chowdhery et al. 2022 (PaLM, section 5.1) went back about 100 steps before a spike and passed over 200 to 500 batches;
the spikes did not come again, though the same batches did no harm elsewhere. Here all batches since the checkpoint are
passed over, and the rate is cut beside it: a small run's rate is more often too high than its batches are bad.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fabula.record.checkpoint import checkpoint_steps, remove_checkpoint
from fabula.record.wording import number
from fabula.record.writer import RunWriter
from fabula.train.life.checkpoints.guard import SHORT, Guard
from fabula.train.life.checkpoints.resumption import first_sound, take_over
from fabula.train.life.progress import Progress

if TYPE_CHECKING:
    from fabula.train.loop import Training

MARGIN = 2 * SHORT
"""Steps before the trouble was seen whose checkpoints are not trusted: it may have begun before it was seen."""
APART = SHORT
"""Steps between two checkpoints that are kept for this: the run goes back by no more than MARGIN and these."""


def needed(steps: Sequence[int], step: int) -> set[int]:
    """Those of the checkpoints after `steps` that a rollback may need once update `step` is made: the last trusted one,
    and, so that there is one later on, the first of each APART steps since."""
    firsts = {each // APART: each for each in sorted(steps, reverse=True)}.values()
    trusted = max((each for each in firsts if each <= step - MARGIN), default=0)
    return {each for each in firsts if each >= trusted}


class Trouble(Exception):
    """What went wrong, where the recipe has the run go back for it."""


def roll_back(training: "Training", writer: RunWriter, reason: str) -> None:
    """Bring `training` back to the newest sound checkpoint before the trouble, or to its beginning.

    The record keeps the lines of the attempt that ends here; later ones carry the number of theirs. Checkpoints of
    the steps that are made again are removed.
    """
    before, guard, settings = training.progress, training.guard, training.recipe.guard
    step = before.step
    trusted = [each for each in checkpoint_steps(writer.folder)[::-1] if each <= step - MARGIN]
    if not take_over(training, first_sound(training, writer.folder, trusted)):
        training.engine.reset()
        training.progress, training.guard = Progress(), Guard()
    progress = training.progress
    progress.training_seconds, progress.evaluation_seconds = before.training_seconds, before.evaluation_seconds
    progress.skipped_in_a_row = 0
    length = max(1, round(settings.cut_share * training.recipe.steps))
    training.guard = guard.after_rollback(training.guard, step, progress.step, settings.cut, length)
    _, last, factor = training.guard.cuts[-1]
    writer.event(
        step,
        "rolled_back",
        reason=reason,
        to_step=progress.step,
        batches=[progress.step + 1 + guard.shift, step + guard.shift],
        rate_factor=factor,
        until_step=last,
    )
    writer.attempt = training.guard.attempt
    for each in checkpoint_steps(writer.folder):
        if each > progress.step and training.engine.together.leads:
            remove_checkpoint(writer.folder, each)
    place = f"the checkpoint of step {progress.step:,}" if progress.step else "the beginning"
    training.observer.notice(
        f"step {step:,}: {reason}; back to {place}, on other batches, with {number(factor)} of the learning rate until "
        f"step {last:,}"
    )
