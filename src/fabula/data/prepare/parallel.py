"""One function over many items, in order, on all cores, with a bounded number of items in memory."""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from typing import Protocol, TypeVar

from fabula.record.machine import num_cores

Item = TypeVar("Item")
Result = TypeVar("Result")

# A process costs about half a second to start and 100 MB; threads share both but also Python's lock, which bounds
# them at about four cores' worth of this work. Eight processes keep preparation under 1 GB.
SECONDS_WORTH_PROCESSES = 4.0
MOST_PROCESSES = 8
MOST_THREADS = 4


class OrderedMap(Protocol):
    def __call__(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]: ...


def leave_signals_to_parent() -> None:
    """What ends a command, or asks for a checkpoint, reaches all processes of a terminal or a job; the first one
    answers, for all."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


@contextmanager
def deaf_children() -> Iterator[None]:
    """Processes started in this block hear no SIGUSR1, from their first instruction on: sent to a whole job while they
    load their libraries, it would end them."""
    if not hasattr(signal, "SIGUSR1"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_parent(before: Callable[[], None] = lambda: None) -> None:
    """Let this process end when the one that started it is gone, after `before()`: a pool's worker would wait for ever
    for its next item, since its brothers hold the other end of the queue as well."""
    parent = parent_process()
    assert parent is not None, "only a process that multiprocessing has started has a parent"

    def watch() -> None:
        parent.join()
        before()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _start_worker() -> None:
    leave_signals_to_parent()
    end_with_parent()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one core a process


@contextmanager
def ordered_workers(seconds: float) -> Iterator[OrderedMap]:
    """A map over items that keeps their order: threads for about `seconds` of one core's work if few, else processes.

    The function and its items must be picklable values; workers start afresh (spawn), so the code is safe on every
    system and beside threads.
    """
    cores = num_cores()
    executor: Executor
    if seconds < SECONDS_WORTH_PROCESSES or cores == 1:
        num_workers = min(cores, MOST_THREADS)
        executor = ThreadPoolExecutor(num_workers)
    else:
        num_workers = min(cores, MOST_PROCESSES)
        executor = ProcessPoolExecutor(num_workers, get_context("spawn"), initializer=_start_worker)

    def run(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        waiting: deque[Future[Result]] = deque()
        for item in items:
            waiting.append(executor.submit(function, item))
            if len(waiting) > 2 * num_workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    try:
        yield run
    finally:
        executor.shutdown(cancel_futures=True)
