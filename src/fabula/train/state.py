"""A training as bytes on disk, without pickle, and back.

Weights and optimizer moments are safetensors; counters are JSON. The data needs no state: which tokens form a step is
a function of the step.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from fabula.errors import InputError
from fabula.model.load import read_weights, weights_for
from fabula.record.checkpoint import Checkpoint, write_checkpoint
from fabula.train.processes.tensors import named_moments, whole


@dataclass(frozen=True)
class Snapshot:
    """A training as it stands: its tensors, copied, so that it may go on while they are written."""

    weights: dict[str, Tensor]
    moments: dict[str, Tensor]


def snapshot(model: nn.Module, optimizer: torch.optim.Optimizer, keep: bool = True) -> Snapshot:
    """Copy the weights and the optimizer's tensors into memory of the processor. Where several processes each hold a
    part of them, all have to ask; those that do not `keep` anything get none."""
    weights, moments = (
        {name: _copied(tensor) for name, each in named if (tensor := whole(each)) is not None and keep}
        for named in (model.state_dict().items(), named_moments(model, optimizer))
    )
    return Snapshot(weights, moments)


def save(run: Path, step: int, taken: Snapshot, state: Mapping[str, Any]) -> Path:
    """Write RUN/checkpoints/step-... with the tensors and `state`."""
    tensors: dict[str, Callable[[Path], None]] = {
        "model.safetensors": lambda path: save_file(taken.weights, path),
        "optimizer.safetensors": lambda path: save_file(taken.moments, path),
    }
    return write_checkpoint(run, step, tensors, state)


def _copied(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)


def read(checkpoint: Checkpoint, model: nn.Module) -> Snapshot:
    """A checkpoint's weights and moments.

    Raises InputError when names or shapes are not those of `model` (then it is a checkpoint of another recipe), and
    when a weight is not finite or a moment no number (then no step after it would be).
    """
    weights = weights_for(checkpoint.model, model)
    parameters = dict(model.named_parameters())
    # A parameter without tensors has none: of some an optimizer remembers nothing, and before its first step of all.
    moments = read_weights(checkpoint.optimizer)
    bad = [name for name, each in weights.items() if not bool(each.isfinite().all())]
    bad += [name for name, each in moments.items() if bool(each.isnan().any())]  # an infinite second moment is harmless
    if bad:
        raise InputError(f"{checkpoint.folder}: {bad[0]} is not finite", "go on from an earlier checkpoint")
    for full_name in moments:
        if full_name.rpartition("/")[0] not in parameters:
            raise InputError(f"{checkpoint.optimizer} holds {full_name}, unknown here", "it belongs to another recipe")
    return Snapshot(weights, moments)


def put(taken: Snapshot, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Put weights and moments into `model` and `optimizer`, in the types and on the device that it has."""
    model.load_state_dict(taken.weights)
    parameters = dict(model.named_parameters())
    for full_name, tensor in taken.moments.items():
        name, _, key = full_name.rpartition("/")
        optimizer.state[parameters[name]][key] = tensor.to(parameters[name].device, copy=True)
