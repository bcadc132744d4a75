"""Carrying out the plan, in this process or shared out to several."""

import multiprocessing
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from pathlib import Path

import torch

from fabula.data.dataset import open_dataset
from fabula.data.prepare.parallel import deaf_children, end_with_parent, leave_signals_to_parent
from fabula.errors import InputError
from fabula.recipe.ladder import PlannedRun
from fabula.record.reader import is_run
from fabula.train.life.run import resume_run, set_up_training, start_run
from fabula.train.loop import TrainingFailed
from fabula.train.observer import Observer

CarryOut = Callable[[Sequence[PlannedRun], Callable[[int, PlannedRun], None]], dict[PlannedRun, str]]
"""Makes runs, and tells of each by its number: their statuses."""

POLL_SECONDS = 0.5
"""Between two looks at whether the user wants to stop, while workers work."""


def carry_out_run(planned: PlannedRun, data: Path, out: Path, observer: Observer) -> str:
    """Make one run, or continue it. Returns its status; a run that fails is "failed" and stops nothing else."""
    if observer.stopping():
        return "interrupted"
    prepared = open_dataset(data, planned.recipe.tokenizer)
    training = set_up_training(planned.recipe, prepared, planned.seed, observer)
    if observer.stopping():  # while it was compiled and probed
        return "interrupted"
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

    With several workers each gets its share of the threads and a process of its own, and `started` is called when a
    run has ended. Returns the statuses; a run that was left out because the user stopped is "interrupted" or has none.

    Raises InputError when a worker's process was killed.
    """
    if num_workers > 1:
        return _share_out(planned, data, out, observer, started, num_workers)
    statuses: dict[PlannedRun, str] = {}
    for number, run in enumerate(planned, start=1):
        if observer.stopping() or "interrupted" in statuses.values():
            break
        started(number, run)
        statuses[run] = carry_out_run(run, data, out, observer)
    return statuses


class _WorkerObserver(Observer):
    """What a worker's runs tell: nothing; they stop when the process that shares out the work says so, or is gone, and
    write a checkpoint when it asks for one."""

    stop: Event
    """Set once a worker, when it begins."""
    asked: "Synchronized[int]"
    """How many times a checkpoint was asked for: of all workers."""
    answered = 0
    orphaned = False

    def stopping(self) -> bool:
        return self.orphaned or self.stop.is_set()

    def checkpoint_asked(self) -> bool:
        before, _WorkerObserver.answered = self.answered, self.asked.value
        return self.answered > before


_at_work = threading.Lock()
"""Held while this worker makes a run."""


def _begin_worker(num_threads: int, stop: Event, asked: "Synchronized[int]") -> None:
    leave_signals_to_parent()  # which has all checkpoints made
    torch.set_num_threads(num_threads)
    _WorkerObserver.stop, _WorkerObserver.asked = stop, asked

    def stop_with_checkpoint() -> None:
        _WorkerObserver.orphaned = True
        _at_work.acquire()

    end_with_parent(stop_with_checkpoint)


def _work(planned: PlannedRun, data: Path, out: Path) -> str:
    with _at_work:
        return carry_out_run(planned, data, out, _WorkerObserver())


def _share_out(
    planned: Sequence[PlannedRun],
    data: Path,
    out: Path,
    observer: Observer,
    started: Callable[[int, PlannedRun], None],
    num_workers: int,
) -> dict[PlannedRun, str]:
    # What this process may use, which knows of OMP_NUM_THREADS and of cores that it is kept from.
    num_threads = max(1, torch.get_num_threads() // num_workers)
    statuses: dict[PlannedRun, str] = {}
    # Spawned, not forked: a forked copy of torch's thread pool hangs.
    context = multiprocessing.get_context("spawn")
    with deaf_children():
        stop, asked = context.Event(), context.Value("q", 0)
    with ProcessPoolExecutor(
        num_workers, mp_context=context, initializer=_begin_worker, initargs=(num_threads, stop, asked)
    ) as pool:
        with deaf_children():
            futures = {pool.submit(_work, run, data, out): run for run in planned}
        waiting = set(futures)
        observer.shared_out()
        try:
            while waiting:
                done, waiting = wait(waiting, timeout=POLL_SECONDS)
                for future in done:
                    run = futures[future]
                    statuses[run] = future.result()
                    started(len(statuses), run)
                    if statuses[run] == "failed":
                        observer.notice(f"{run.folder} failed; its run.json says why")
                if observer.checkpoint_asked():
                    asked.value += 1
                if observer.stopping():
                    stop.set()
                    waiting = {future for future in waiting if not future.cancel()}
        except BrokenProcessPool as error:
            raise InputError(
                "a worker's process was killed, perhaps for want of memory; the same call with fewer --workers goes on"
            ) from error
        finally:  # an error in one run ends the others after their step, with a checkpoint each, which is waited for
            stop.set()
            pool.shutdown(cancel_futures=True)
    return statuses
