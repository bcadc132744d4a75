"""Muon: a step of the nearest orthogonal matrix to the momentum (Jordan et al. 2024).

torch.optim.Muon makes the same steps, but multiplies in bfloat16 wherever it runs. Without native bfloat16 products,
which few processors have, that is up to a hundred times slower than float32: here the type is a choice.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from fabula.train.processes.tensors import like, whole

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
        self.found_inf: Tensor | None = None
        """1 where a step is to change nothing, as torch's fused optimizers have it: then the device decides."""

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        assert closure is None
        for group in self.param_groups:
            if self.found_inf is not None:
                with_gradient = [each for each in group["params"] if each.grad is not None]
                for _, alike in groupby(sorted(with_gradient, key=_shape), key=_shape):
                    self._select(list(alike), group, self.found_inf > 0)
                continue
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
                update_OI = orthogonalized(whole(ahead_OI), self.dtype)  # of parts of a matrix it is another one
                weight_OI.add_(like(weight_OI, update_OI), alpha=-rate * math.sqrt(max(1, rows / columns)))

    def _select(self, weights: Sequence[Tensor], group: dict[str, Any], unchanged: Tensor) -> None:
        """A step of N matrices of one shape at once, which the device takes or leaves. One by one, small matrices leave
        a GPU idle: `modern-large` has 24 and makes 15 products of each."""
        momentum, (rows, columns) = group["momentum"], weights[0].shape
        states = [self.state[each].setdefault("momentum_buffer", torch.zeros_like(each)) for each in weights]
        grad_NOI = torch.stack([each.grad for each in weights if each.grad is not None])
        before_NOI = torch.stack(states)
        average_NOI = before_NOI.lerp(grad_NOI, 1 - momentum)
        update_NOI = orthogonalized(grad_NOI.lerp(average_NOI, momentum), self.dtype)
        rate = group["lr"] * math.sqrt(max(1, rows / columns))
        for weight_OI, average_OI, new_OI, update_OI in zip(weights, states, average_NOI, update_NOI, strict=True):
            changed_OI = weight_OI * (1 - group["lr"] * group["weight_decay"]) - rate * update_OI
            weight_OI.copy_(torch.where(unchanged, weight_OI, changed_OI.to(weight_OI.dtype)))
            average_OI.copy_(torch.where(unchanged, average_OI, new_OI))


def _shape(weight: Tensor) -> tuple[int, ...]:
    return tuple(weight.shape)


def orthogonalized(x_OI: Tensor, dtype: torch.dtype) -> Tensor:
    """About U V' of x = U S V', by Newton-Schulz iterations; its singular values end between 0.5 and 1.5.

    Of one matrix, or of each in a batch of them.
    """
    a, b, c = COEFFICIENTS
    rows, columns = x_OI.shape[-2:]
    add_product = torch.addmm if x_OI.dim() == 2 else torch.baddbmm
    x = x_OI.to(dtype)
    x = x.mT if rows > columns else x  # the smaller Gram matrix
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp(min=EPSILON)  # no singular value is above 1
    for _ in range(NUM_ITERATIONS):
        gram = x @ x.mT
        x = add_product(x, add_product(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if rows > columns else x
