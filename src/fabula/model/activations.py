"""A rectifier whose gradient is found from their result, which is kept anyway, for the product behind it.

PyTorch's own rule keeps beside it which numbers were positive, and what torch.compile makes for a processor writes and
reads these truths one by one: of a step of `quality` on two cores, 2.3 s, they took 0.35 s.
"""

from typing import Any

import torch
from torch import Tensor


class _Relu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = x.clamp(min=0)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        return grad * y.sign()


def relu(x: Tensor) -> Tensor:
    """max(x, 0), with a gradient of 0 at 0."""
    y: Tensor = _Relu.apply(x)
    return y
