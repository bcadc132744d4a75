"""The optimizer of a recipe."""

import torch
from torch import nn

from fabula.recipe.schema import Optimizer


def make_optimizer(model: nn.Module, settings: Optimizer, learning_rate: float) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter 2019); decay only on tensors of two or more dimensions, as nanoGPT does."""
    parameters = list(model.parameters())
    groups = [
        {"params": [each for each in parameters if each.dim() >= 2], "weight_decay": settings.weight_decay},
        {"params": [each for each in parameters if each.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        groups, lr=learning_rate, betas=(settings.beta1, settings.beta2), eps=settings.epsilon, fused=True
    )


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
