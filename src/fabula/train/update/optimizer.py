"""The optimizer of a recipe: AdamW, or Muon for the matrices inside layers and AdamW for the rest.

AdamW: Loshchilov and Hutter 2019. Muon: muon.py.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fabula.model.decoder import Decoder
from fabula.model.layers import Linear
from fabula.model.own import OwnModel
from fabula.recipe.schema import Optimizer
from fabula.train.update.muon import Muon

Groups = list[dict[str, Any]]
RATE = "rate_multiple"
"""What a parameter group multiplies the schedule's learning rate by."""
MOMENTS = {"adamw": (2, 2), "muon": (1, 2)}
"""Kind -> numbers kept of each weight in a matrix inside the layers, and of each other one."""


def make_optimizer(model: Decoder | OwnModel, settings: Optimizer, learning_rate: float) -> torch.optim.Optimizer:
    """The optimizer that `settings` describe, for all parameters of `model`.

    Rates go through `set_learning_rate`, so every group has its RATE where it is not 1: embeddings and an untied head
    may have rates of their own. AdamW alone decays tensors of two or more dimensions, as nanoGPT does; beside Muon
    nothing but Muon's matrices is decayed: rates of embeddings are then ten times as high, and so would be their decay.
    """
    match settings.kind:
        case "adamw":
            return _adamw(_groups(model, settings, settings.weight_decay), settings, learning_rate)
        case "muon":
            assert isinstance(model, Decoder), "the recipe refuses it for a model of the user's own"
            matrices = _layer_matrices(model)
            of_muon = [{"params": matrices, RATE: 1.0}]
            muon = Muon(of_muon, learning_rate, settings.momentum, settings.weight_decay, model.compute_dtype)
            rest = _groups(model, settings, decay=0.0, without=matrices)
            return Both(muon, _adamw(rest, settings, learning_rate))
    raise AssertionError(settings.kind)


def _adamw(groups: Groups, settings: Optimizer, learning_rate: float) -> torch.optim.Optimizer:
    betas = settings.beta1, settings.beta2
    return torch.optim.AdamW(groups, lr=learning_rate, betas=betas, eps=settings.epsilon, fused=True)


class Both(torch.optim.Optimizer):
    """Two optimizers as one, which share their groups and their state with it."""

    def __init__(self, first: torch.optim.Optimizer, second: torch.optim.Optimizer) -> None:
        super().__init__([*first.param_groups, *second.param_groups], {})
        self.both = first, second
        num_first = len(first.param_groups)
        first.param_groups, second.param_groups = self.param_groups[:num_first], self.param_groups[num_first:]
        first.state = second.state = self.state

    found_inf: Tensor | None = None
    """See Muon."""

    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        assert closure is None
        for each in self.both:
            each.found_inf = self.found_inf  # type: ignore[attr-defined]
            each.step()


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    for group in optimizer.param_groups:
        rate = learning_rate * group.get(RATE, 1.0)
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def read_on_device(optimizer: torch.optim.Optimizer, device: torch.device) -> None:
    """Have rates and counters read on the device when a step is made, not on the host when it is launched."""
    for group in optimizer.param_groups:
        group["lr"] = torch.zeros((), device=device)
        if "capturable" in group:
            group["capturable"] = device.type == "cuda"


def _layer_matrices(model: Decoder) -> list[Tensor]:
    return [module.weight for module in model.layers.modules() if isinstance(module, Linear)]


def _groups(model: Decoder | OwnModel, settings: Optimizer, decay: float, without: Sequence[Tensor] = ()) -> Groups:
    """Everything but `without`, by learning rate and decay (of tensors of two or more dimensions)."""
    embeddings = {module.weight for module in model.modules() if isinstance(module, nn.Embedding)}
    apart, groups = set(without), dict[tuple[float, float], list[Tensor]]()
    for parameter in model.parameters():
        if parameter in apart:
            continue
        rate = settings.embedding_rate if parameter in embeddings else 1.0
        rate = settings.head_rate if parameter is model.head else rate
        groups.setdefault((rate, decay if parameter.dim() >= 2 else 0.0), []).append(parameter)
    return [{"params": each, RATE: rate, "weight_decay": decay} for (rate, decay), each in groups.items()]
