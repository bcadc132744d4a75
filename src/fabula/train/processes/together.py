"""What the processes of one run say to each other. A run of one process says it to nobody.

Words and numbers go over gloo from the processor's memory, gradients over NCCL where they lie on GPUs. Nothing is
pickled: words are JSON.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist
from torch import Tensor

from fabula.errors import InputError
from fabula.record.wording import plural
from fabula.train.machine.choice import Choice
from fabula.train.processes.lost import loss_told


@dataclass(frozen=True)
class Together:
    """The group that this process belongs to, and its place there."""

    rank: int = 0
    size: int = 1
    on_this_machine: int = 1
    """How many of them share this machine's memory."""
    sharded: bool = False
    """Whether each process keeps a part of the model (FSDP), or the whole of it (DDP)."""
    by_torchrun: bool = False
    """Who started the processes: torchrun, or the first of them."""

    @property
    def leads(self) -> bool:
        """Whether this is the process that decides, tells and writes."""
        return self.rank == 0

    @property
    def share(self) -> tuple[int, int]:
        return self.rank, self.size

    @property
    def sharing_threads(self) -> int:
        """Among how many processes the threads are divided; torchrun has said how many each may have."""
        return 1 if self.by_torchrun else self.size

    @property
    def several(self) -> bool:
        return self.size > 1

    def same(self, *numbers: float) -> list[float]:
        """The first process's numbers, for all."""
        if not self.several:
            return list(numbers)
        said = torch.tensor(numbers, dtype=torch.float64)
        with loss_told():
            dist.broadcast(said, 0)
        return [float(each) for each in said]

    def said(self, words: Any = None) -> Any:
        """What the first process says, for all: anything that JSON can hold."""
        if not self.several:
            return words
        content = json.dumps(words).encode() if self.leads else b""
        (length,) = self.same(len(content))
        buffer = torch.empty(int(length), dtype=torch.uint8)
        if self.leads:
            buffer.copy_(torch.from_numpy(np.frombuffer(content, np.uint8).copy()))
        with loss_told():
            dist.broadcast(buffer, 0)
        return json.loads(buffer.numpy().tobytes())

    def total(self, number: Tensor) -> Tensor:
        """The sum of everybody's `number`, on its device."""
        if self.several:
            with loss_told():
                dist.all_reduce(number)
        return number

    def norm(self, norm: Tensor) -> Tensor:
        """The norm of all gradients, from that of what this process holds."""
        return self.total(norm.square()).sqrt() if self.sharded else norm

    def added_up(self, numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The sum of everybody's `numbers`, one by one."""
        if self.several:
            with loss_told():
                dist.all_reduce(torch.from_numpy(numbers))
        return numbers

    def heard(self, *wishes: bool) -> list[bool]:
        """The first process's wishes, for all."""
        return [bool(each) for each in self.same(*wishes)]

    def any(self, here: bool) -> bool:
        """Whether it holds for one of them."""
        return bool(self.total(torch.tensor(float(here))) > 0)

    def choices(self) -> dict[str, Choice]:
        """What the record says of it, in place of what one process would choose; nothing of a run of one."""
        if not self.several:
            return {}
        kept = (
            Choice("FSDP", "--shard: each process keeps a part of weights, gradients and moments")
            if self.sharded
            else Choice("DDP", "each process keeps the whole model; --shard shares it out")
        )
        started = "torchrun started them" if self.by_torchrun else "--processes says so"
        return {
            "processes": Choice(str(self.size), started),
            "parallel": kept,
            "updates": Choice("host", "the processes agree on each"),
            "graph": Choice("off", "the processes talk to each other within an update"),
        }

    def event(self) -> dict[str, Any]:
        """What "started" and "resumed" say of it in the record."""
        return {"processes": self.size} if self.several else {}


ALONE = Together()


def check_device(together: Together, device: str) -> None:
    """Raise InputError where more processes would train on GPUs than there are."""
    if together.several and device == "cuda" and together.on_this_machine > (gpus := torch.cuda.device_count()):
        raise InputError(
            f"{together.on_this_machine} processes for {plural(gpus, 'GPU')}, and each needs one of its own; give "
            f"--processes {gpus}, or compute on the processor"
        )


def processes_of(info: Mapping[str, Any]) -> int:
    """On how many processes the run whose run.json holds `info` was made last."""
    try:
        return int(info["choices"]["processes"]["value"])
    except (KeyError, TypeError, ValueError):
        return 1
