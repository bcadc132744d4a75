"""Carrying out the plan, in this process or shared out to several."""

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import torch

from fabula.recipe.ladder import PlannedRun
from fabula.record.reader import is_run
from fabula.text.prepared import open_prepared
from fabula.train.loop import TrainingFailed, prepare_training, resume_run, start_run
from fabula.train.observer import Observer


def carry_out_run(planned: PlannedRun, data: Path, out: Path, observer: Observer) -> str:
    """Make one run, or continue it. Returns its status; a run that fails is "failed" and stops nothing else."""
    prepared = open_prepared(data, planned.recipe.tokenizer)
    training = prepare_training(planned.recipe, prepared, planned.seed, observer)
    folder = out / planned.folder
    try:
        return resume_run(training, folder) if is_run(folder) else start_run(training, folder)
    except TrainingFailed as error:
        observer.notice(f"{planned.folder} failed: {error}")
        return "failed"


def carry_out(
    planned: Sequence[PlannedRun],
    data: Path,
    out: Path,
    observer: Observer,
    started: Callable[[int, PlannedRun], None],
    num_workers: int = 1,
) -> dict[PlannedRun, str]:
    """Make every run of `planned`, in order; `started(number, run)` is called before each.

    With several workers each gets its share of the cores and a process of its own, and `started` is called when a run
    has ended. Returns the statuses; an interruption leaves the rest of the runs out.
    """
    if num_workers > 1:
        return _share_out(planned, data, out, observer, started, num_workers)
    statuses = {}
    for number, run in enumerate(planned, start=1):
        started(number, run)
        statuses[run] = carry_out_run(run, data, out, observer)
        if statuses[run] == "interrupted":
            break
    return statuses


def _share_out(
    planned: Sequence[PlannedRun],
    data: Path,
    out: Path,
    observer: Observer,
    started: Callable[[int, PlannedRun], None],
    num_workers: int,
) -> dict[PlannedRun, str]:
    threads = max(1, (os.cpu_count() or 1) // num_workers)
    statuses = {}
    # Spawned, not forked: a forked copy of torch's thread pool hangs.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        num_workers, mp_context=context, initializer=torch.set_num_threads, initargs=(threads,)
    ) as pool:
        futures = {pool.submit(carry_out_run, run, data, out, Observer()): run for run in planned}
        for number, future in enumerate(as_completed(futures), start=1):
            run = futures[future]
            statuses[run] = future.result()
            started(number, run)
            if observer.stopping():
                pool.shutdown(cancel_futures=True)
                break
    return statuses
