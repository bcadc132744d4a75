"""The loss of each process's own rows, whose gradients are added up over all of them.

The gradients are sums, not averages: each process divides by the targets of the whole step, so that rows count alike
however unevenly they are filled or shared out.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch._C._distributed_c10d import GradBucket  # torch.distributed exports it to readers only
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.nn.parallel import DistributedDataParallel

from fabula.model.decoder import Decoder
from fabula.train.processes.lost import loss_told

Losses = Callable[[Tensor, Tensor], Tensor]
"""(inputs_BT, targets_BT) -> their sum, or each of them."""


class Shared(Protocol):
    """A model that several processes train, and the losses of it."""

    def compute(self, loss_sum: Losses, token_losses: Losses) -> tuple[Losses, Losses]:
        """The two as they are to be called: with gradients that are added up, and with all weights at hand."""
        ...

    def communicating(self, last: bool) -> AbstractContextManager[None]:
        """Within it, gradients are added up over the processes only where this is the `last` micro-step."""
        ...


class Replicated:
    """DDP: all processes have all of the model; gradients are added up while the backward pass goes on."""

    def __init__(self, model: Decoder) -> None:
        self.losses = _Losses(model)
        self.module = DistributedDataParallel(self.losses, gradient_as_bucket_view=True)
        self.module.register_comm_hook(None, _added_up)

    def compute(self, loss_sum: Losses, token_losses: Losses) -> tuple[Losses, Losses]:
        self.losses.functions = loss_sum, token_losses
        return self.module, token_losses

    def communicating(self, last: bool) -> AbstractContextManager[None]:
        return nullcontext() if last else self.module.no_sync()


class Sharded:
    """FSDP2: each process keeps a part of the model, and has a layer whole only while it computes with it.

    torch.compile sees the layers one by one, since between them stands what brings their weights.
    """

    def __init__(self, model: Decoder, device: str, compiled: bool) -> None:
        self.model = model
        mesh = init_device_mesh(device, (dist.get_world_size(),))
        self.losses = _Losses(model)
        for each in (*model.stack, self.losses):
            if compiled and each is not self.losses:
                each.compile()
            self.module: FSDPModule = fully_shard(each, mesh=mesh)  # the last one is the root of all
            self.module.set_gradient_divide_factor(1.0)  # does not hold for the modules within
            self.module.set_force_sum_reduction_for_comms(True)  # gloo knows no average

    def compute(self, loss_sum: Losses, token_losses: Losses) -> tuple[Losses, Losses]:
        self.losses.functions = loss_sum, token_losses
        return self.losses, self._scored

    def communicating(self, last: bool) -> AbstractContextManager[None]:
        self.module.set_requires_gradient_sync(last)
        return nullcontext()

    def _scored(self, inputs_BT: Tensor, targets_BT: Tensor) -> Tensor:
        with loss_told():
            losses_BT: Tensor = self.losses(inputs_BT, targets_BT, each=True)
        self.module.reshard()  # weights that are put in later must not meet old copies of them
        return losses_BT


def share_out(model: Decoder, sharded: bool, device: str, compiled: bool) -> Shared:
    """`model`, whose weights do not matter yet, made ready for the processes of the group."""
    return Sharded(model, device, compiled) if sharded else Replicated(model)


class _Losses(nn.Module):
    """The losses as the forward pass of a module, which is what DDP and FSDP hold on to."""

    functions: tuple[Losses, Losses]

    def __init__(self, model: Decoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs_BT: Tensor, targets_BT: Tensor, each: bool = False) -> Tensor:
        loss_sum, token_losses = self.functions
        return (token_losses if each else loss_sum)(inputs_BT, targets_BT)


def _added_up(_: object, bucket: GradBucket) -> torch.futures.Future[Tensor]:
    future = dist.all_reduce(bucket.buffer(), async_op=True).get_future()
    return future.then(lambda done: done.value()[0])
