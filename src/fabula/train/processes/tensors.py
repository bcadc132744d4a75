"""Weights and moments that lie in one process, in all of them, or a part in each.

Under FSDP a parameter is a DTensor: its shape is that of the whole, and each process holds some of its rows. A run of
one process meets none, and is spared the second that it takes to load them: they are known by what they can do.
"""

from collections.abc import Iterator, Mapping
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from fabula.model.decoder import Decoder
from fabula.train.processes.lost import loss_told
from fabula.train.processes.together import Together

Whole = TypeVar("Whole", bound=nn.Module)


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor, of which each process may hold a part; then all of them have to ask."""
    if not _is_shared_out(tensor):
        return tensor
    with loss_told():
        every: Tensor = tensor.full_tensor()  # type: ignore[attr-defined]
    return every


def held(tensor: Tensor) -> Tensor:
    """What this process holds of a tensor."""
    part: Tensor = tensor.to_local() if _is_shared_out(tensor) else tensor  # type: ignore[attr-defined]
    return part.detach()


def like(tensor: Tensor, every: Tensor) -> Tensor:
    """`every`, which all processes have, spread as `tensor` is."""
    if not _is_shared_out(tensor):
        return every
    from torch.distributed.tensor import distribute_tensor  # loaded already where it is met

    return distribute_tensor(every, tensor.device_mesh, tensor.placements, src_data_rank=None)  # type: ignore[attr-defined]


@torch.no_grad()
def hand_out(target: Tensor, content: Tensor | None) -> None:
    """Put the first process's `content`, a whole tensor, into everybody's `target`."""
    mine = held(target)
    every = torch.empty(target.shape, dtype=target.dtype, device=mine.device) if content is None else content
    every = every.detach().to(mine.device, target.dtype).contiguous()
    with loss_told():
        dist.broadcast(every, 0)
    mine.copy_(held(like(target, every)))


def hand_out_weights(model: nn.Module, weights: Mapping[str, Tensor] | None) -> None:
    """Put the first process's `weights` into everybody's model."""
    for name, parameter in model.named_parameters():
        hand_out(parameter, None if weights is None else weights[name])


def hand_out_moments(
    together: Together, model: nn.Module, optimizer: torch.optim.Optimizer, moments: Mapping[str, Tensor] | None
) -> None:
    """Put the first process's `moments`, named as in a checkpoint, into everybody's optimizer."""
    parameters = dict(model.named_parameters())
    described = {name: [list(each.shape), str(each.dtype)] for name, each in (moments or {}).items()}
    for full_name, (shape, dtype) in together.said(described).items():
        name, _, key = full_name.rpartition("/")
        parameter, kind = parameters[name], getattr(torch, dtype.removeprefix("torch."))
        if list(parameter.shape) == shape and shape:
            target = torch.zeros_like(parameter, dtype=kind).detach()
        else:  # a counter
            target = torch.zeros(shape, dtype=kind, device=parameter.device)
        hand_out(target, None if moments is None else moments[full_name])
        optimizer.state[parameter][key] = target


def named_moments(model: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[tuple[str, Tensor]]:
    """The optimizer's tensors by the names that a checkpoint has for them, in an order that all processes share."""
    for name, parameter in model.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            yield f"{name}/{key}", value


def whole_model(model: Whole, gradients: bool = False) -> Whole:
    """`model`, or where each process holds a part of it, another one with all of its weights, and gradients where they
    are asked for; then all processes have to ask."""
    if not any(map(_is_shared_out, model.parameters())):
        return model
    assert isinstance(model, Decoder), "several processes train no model of the user's own"
    with torch.device("meta"):
        twin = Decoder(model.shape, model.vocabulary, model.compute_dtype)
    twin.load_state_dict({name: whole(each.detach()) for name, each in model.named_parameters()}, assign=True)
    if gradients:
        for mine, theirs in zip(twin.parameters(), model.parameters(), strict=True):
            mine.grad = None if theirs.grad is None else whole(theirs.grad)
    return twin.train(model.training)  # type: ignore[return-value]


def _is_shared_out(tensor: Tensor) -> bool:
    return hasattr(tensor, "full_tensor")
