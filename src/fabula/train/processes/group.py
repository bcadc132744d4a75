"""The processes of one run come together: torchrun has started them, or the first one starts the others here.

A group is as long-lived as its processes. Whoever leaves closes its connections, which the others notice at their next
word to each other.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing import get_context
from multiprocessing.process import BaseProcess

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import Store, TCPStore  # torch.distributed exports them to readers only
from torch.distributed.rendezvous import rendezvous

from fabula.data.prepare.parallel import deaf_children, end_with_parent, leave_signals_to_parent
from fabula.errors import InputError
from fabula.train.processes.following import follow
from fabula.train.processes.launch import torchrun_rank
from fabula.train.processes.lost import ProcessLost, loss_told
from fabula.train.processes.meeting import LOOK_SECONDS, fresh_part
from fabula.train.processes.together import ALONE, Together

MOST = 1024
PATIENCE = timedelta(minutes=30)
"""How long a word from another process is waited for: a slow evaluation is no failure, and whoever dies on this machine
is noticed at once."""
LEAVING_SECONDS = 10.0
"""How long a process may take to end once the run is over."""


@contextmanager
def gathered(processes: int | None, sharded: bool) -> Iterator[Together]:
    """The group of this run while the block lasts: of torchrun's processes, or of `processes` on this machine, of which
    this one is the first. Raises InputError where the numbers make no sense."""
    rank = torchrun_rank()
    if rank is not None and processes is not None:
        raise InputError("torchrun has started the processes of this run already; leave out --processes")
    if processes is not None and not 1 <= processes <= MOST:
        raise InputError(f"--processes {processes}: give a number from 1 to {MOST}")
    size = (processes or 1) if rank is None else int(os.environ["WORLD_SIZE"])
    if sharded and size == 1:
        raise InputError("--shard shares the model out among several processes; give --processes N too")
    if size == 1:
        yield ALONE
    elif rank is None:
        with started_here(size, sharded) as together:
            yield together
    else:
        here = int(os.environ.get("LOCAL_WORLD_SIZE") or size)
        together = Together(rank, size, here, sharded, by_torchrun=True)
        _join(together, int(os.environ["LOCAL_RANK"]), None)
        try:
            yield together
        finally:
            dist.destroy_process_group()


@contextmanager
def started_here(size: int, sharded: bool = False, life: Callable[[Together], int] = follow) -> Iterator[Together]:
    """A group of `size` processes on this machine, of which this one is the first; the others live their `life`."""
    if sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # the host's own name need not resolve to an address
    together = Together(0, size, size, sharded)
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=PATIENCE)
    context = get_context("spawn")  # a forked copy of torch's thread pool hangs
    others = [
        context.Process(target=_other, args=(rank, size, store.port, life), daemon=True) for rank in range(1, size)
    ]
    with deaf_children():
        for each in others:
            each.start()
    try:
        _await(store, others)
        _join(together, 0, store)
        yield together
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
        _end(others)


def _await(store: Store, others: Sequence[BaseProcess]) -> None:
    """Until the others have begun. Raises ProcessLost where one ends before that: torch would wait for it for all of
    PATIENCE, deaf to signals."""
    missing = dict(enumerate(others, start=1))
    while missing:
        for rank, process in list(missing.items()):
            if store.check([f"begun/{rank}"]):
                del missing[rank]
            elif not process.is_alive():
                raise ProcessLost(f"process {rank} ended with exit code {process.exitcode} before it had begun")
        time.sleep(LOOK_SECONDS)


def _other(rank: int, size: int, port: int, life: Callable[[Together], int]) -> None:
    """The life of a process that was started here."""
    leave_signals_to_parent()
    end_with_parent()
    store = TCPStore("127.0.0.1", port, is_master=False, timeout=PATIENCE)
    store.set(f"begun/{rank}", "")
    together = Together(rank, size, size)
    _join(together, rank, store)
    sys.exit(life(together))


def _join(together: Together, local_rank: int, store: Store | None) -> None:
    """Become a member of the group; `store` is where its members meet, by default the one that torchrun names."""
    backend = "gloo"
    if torch.cuda.is_available():
        # More processes than GPUs may meet; whether they may train on them is asked where the device is chosen.
        torch.cuda.set_device(local_rank % torch.cuda.device_count())
        backend = "cpu:gloo,cuda:nccl"
    with loss_told():
        if store is None:
            found, _, _ = next(rendezvous("env://", timeout=PATIENCE))
            store = fresh_part(found, together.rank, together.size, PATIENCE)
        dist.init_process_group(backend, store=store, rank=together.rank, world_size=together.size, timeout=PATIENCE)


def _end(others: Sequence[BaseProcess]) -> None:
    for each in others:
        each.join(LEAVING_SECONDS)
        if each.is_alive():
            each.kill()
            each.join()
