"""Looking words up, with a gradient that adds in one order.

Inductor turns the gradient of an embedding into atomic additions, in whichever order the threads arrive, so that two
runs of one recipe and seed would differ in their last digits. PyTorch's own kernel gives each thread its words, and is
called as an operator that the compiler does not look into.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@torch.library.custom_op("fabula::embedding_gradient", mutates_args=())
def embedding_gradient(grad: Tensor, tokens: Tensor, num_words: int) -> Tensor:
    """The rows of `grad` added up by word: (num_words, D)."""
    return torch.ops.aten.embedding_dense_backward(grad, tokens, num_words, -1, False)


@embedding_gradient.register_fake
def _(grad: Tensor, tokens: Tensor, num_words: int) -> Tensor:
    return grad.new_empty(num_words, grad.shape[-1])


class _Embed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tokens: Tensor, weight_VD: Tensor) -> Tensor:
        ctx.save_for_backward(tokens)
        ctx.num_words = len(weight_VD)
        return F.embedding(tokens, weight_VD)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor]:
        (tokens,) = ctx.saved_tensors
        return None, embedding_gradient(grad.contiguous(), tokens, ctx.num_words)


class Embedding(nn.Embedding):
    """A table of rows, one a word."""

    def forward(self, tokens: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            return F.embedding(tokens, self.weight)
        embedded: Tensor = _Embed.apply(tokens, self.weight)
        return embedded
