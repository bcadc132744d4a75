"""Muon: a step of the nearest orthogonal matrix to the momentum (Jordan et al. 2024).

torch.optim.Muon makes the same steps, but multiplies in bfloat16 wherever it runs. Without native bfloat16 products,
which few processors have, that is up to a hundred times slower than float32: here the type is a choice.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.775, 2.0315)
"""Of the quintic x -> a x + b x^3 + c x^5, whose steepness at zero brings all singular values near 1 within a few
iterations, without settling there (Jordan et al.)."""
NUM_ITERATIONS = 5
EPSILON = 1e-7


class Muon(torch.optim.Optimizer):
    """For matrices. A step is multiplied by sqrt(max(1, rows / columns)), so that it changes a layer's output by about
    what the learning rate says; the decay is decoupled. `dtype` is the type of the products."""

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        learning_rate: float,
        momentum: float,
        weight_decay: float,
        dtype: torch.dtype,
    ) -> None:
        super().__init__(groups, {"lr": learning_rate, "momentum": momentum, "weight_decay": weight_decay})
        self.dtype = dtype

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        assert closure is None
        for group in self.param_groups:
            rate, momentum = group["lr"], group["momentum"]
            for weight_OI in group["params"]:
                grad_OI = weight_OI.grad
                if grad_OI is None:
                    continue
                kept = self.state[weight_OI]
                average_OI = kept.setdefault("momentum_buffer", torch.zeros_like(grad_OI))
                average_OI.lerp_(grad_OI, 1 - momentum)
                ahead_OI = grad_OI.lerp(average_OI, momentum)  # Nesterov's look ahead
                rows, columns = weight_OI.shape
                weight_OI.mul_(1 - rate * group["weight_decay"])
                update_OI = orthogonalized(ahead_OI, self.dtype)
                weight_OI.add_(update_OI, alpha=-rate * math.sqrt(max(1, rows / columns)))


def orthogonalized(x_OI: Tensor, dtype: torch.dtype) -> Tensor:
    """About U V' of x = U S V', by Newton-Schulz iterations; its singular values end between 0.5 and 1.5."""
    a, b, c = COEFFICIENTS
    rows, columns = x_OI.shape
    x = x_OI.to(dtype)
    x = x.T if rows > columns else x  # the smaller Gram matrix
    x = x / x.norm().clamp(min=EPSILON)  # no singular value is above 1
    for _ in range(NUM_ITERATIONS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if rows > columns else x
