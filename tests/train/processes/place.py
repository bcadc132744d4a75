"""A group of two processes that makes one training after another, so that a test waits for torch only once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from tests.train.tiny import data_in
from torch import Tensor

from fabula.recipe.schema import Recipe
from fabula.train.life.run import resume_run, set_up_training, start_run
from fabula.train.loop import Training
from fabula.train.observer import Observer
from fabula.train.processes.following import follow
from fabula.train.processes.group import started_here
from fabula.train.processes.lost import ProcessLost
from fabula.train.processes.together import ALONE, Together


def follow_all(together: Together) -> int:
    """Follow in each training, until the first process leaves."""
    try:
        while True:
            follow(together)
            together.said()
    except ProcessLost:
        return 0


@contextmanager
def group(size: int = 2) -> Iterator[Together]:
    with started_here(size, life=follow_all) as together:
        yield together


def made(
    data: Path,
    out: Path,
    recipe: Recipe,
    together: Together = ALONE,
    observer: Observer | None = None,
    sharded: bool = False,
    nan_at: Sequence[int] = (),
) -> Training:
    """A training into `out`, or on with what is there. The first process's own loss of the steps
    `nan_at` is no number, once."""
    torch.set_num_threads(1)  # as each of two has it
    together = replace(together, sharded=sharded)
    training = set_up_training(recipe, data_in(data), 0, observer or Observer(), together=together)
    plain, left = training.engine.loss_sum, list(nan_at)

    def loss_sum(inputs_BT: Tensor, targets_BT: Tensor) -> Tensor:
        bad = training.progress.step + 1 in left
        if bad:
            left.remove(training.progress.step + 1)
        return plain(inputs_BT, targets_BT) * (float("nan") if bad else 1.0)

    training.engine.loss_sum = loss_sum
    (resume_run if out.exists() else start_run)(training, out)
    if training.lost is None:
        together.said()
    return training
