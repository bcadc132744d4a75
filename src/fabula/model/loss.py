"""The output head fused with its cross-entropy: loss and gradients chunk by chunk, never all logits.

Shapes: N tokens, C rows of a chunk, D width, V vocabulary.

For GPT-2's 50,257 words the logits of 2,048 tokens are 412 MB in float32; a chunk's are made, used and forgotten
while they are warm. Since the loss is a scalar, its gradients are known up to a factor while the chunk is at hand, so
the forward pass computes them too, and the backward pass only multiplies by that factor (as Liger Kernel does on
GPUs; Hsu et al. 2024).

With e = exp(l - max l) and s its sum over the row, softmax = e / s. The division is moved onto the N x D side of
both products, so each logit is touched once after its exponential:
  dx = (e / s) W - W[target]        dW = e' (x / s) - onehot' x
"""

import torch
from torch import Tensor

IGNORE = -100
"""Target value of positions that do not count."""

import os

CHUNK_ELEMENTS = int(os.environ.get("CE", "48")) * 2**20
"""Logits in a chunk, at most. Large chunks amortise the repacking of the head's weight that each product does: on two
cores 1,024 rows of 50,257 took 0.28 s for 2,048 tokens where 128 rows took over a second."""


def chunk_rows(num_rows: int, vocabulary: int) -> int:
    """Rows of one chunk: as many as CHUNK_ELEMENTS allows, in equal parts, at least one."""
    most = max(1, CHUNK_ELEMENTS // vocabulary)
    parts = -(-num_rows // most)
    return -(-num_rows // parts)


def _chunk(
    x_CD: Tensor, weight_VD: Tensor, bias_V: Tensor | None, targets_C: Tensor, cap: float
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """-log p (C), exp(logits - max) (C, V), its row sums (C), d logits / d raw logits ((C, V), None without a cap)."""
    logits_CV = (x_CD @ weight_VD.T).float()
    if bias_V is not None:
        logits_CV = logits_CV + bias_V
    slope_CV = None
    if cap:
        tanh_CV = torch.tanh(logits_CV / cap)
        logits_CV, slope_CV = cap * tanh_CV, 1.0 - tanh_CV.square()
    max_C = logits_CV.amax(-1)
    e_CV = torch.exp(logits_CV - max_C[:, None])
    sum_C = e_CV.sum(-1)
    loss_C = max_C + sum_C.log() - logits_CV.gather(1, targets_C[:, None])[:, 0]
    return loss_C, e_CV, sum_C, slope_CV


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x_ND, weight_VD, bias_V, targets_N, cap):  # type: ignore[no-untyped-def]
        weight, bias = weight_VD.to(x_ND.dtype), None if bias_V is None else bias_V.float()
        counts_N = targets_N != IGNORE
        targets_N = targets_N.clamp(min=0)
        total = torch.zeros((), device=x_ND.device)
        dx = torch.empty(x_ND.shape, dtype=torch.float32, device=x_ND.device)
        dweight = torch.zeros(weight_VD.shape, dtype=torch.float32, device=x_ND.device)
        dbias = None if bias is None else torch.zeros_like(bias)
        rows = chunk_rows(len(x_ND), len(weight))
        for start in range(0, len(x_ND), rows):
            part = slice(start, start + rows)
            x, targets, counts = x_ND[part], targets_N[part], counts_N[part].float()
            loss_C, e_CV, sum_C, slope_CV = _chunk(x, weight, bias, targets, cap)
            total = total + (loss_C * counts).sum()
            onehot_C = counts
            if slope_CV is not None:
                e_CV = e_CV * slope_CV
                onehot_C = counts * slope_CV.gather(1, targets[:, None])[:, 0]
            e_CV, scale_C = e_CV.to(x.dtype), counts / sum_C
            dx[part] = (e_CV @ weight).float() * scale_C[:, None] - weight[targets].float() * onehot_C[:, None]
            dweight += (e_CV.T @ (x * scale_C[:, None]).to(x.dtype)).float()
            dweight.index_add_(0, targets, x.float() * -onehot_C[:, None])
            if dbias is not None:
                dbias += (e_CV.T @ scale_C.to(x.dtype)).float()
                dbias.index_add_(0, targets, -onehot_C)
        ctx.save_for_backward(dx.to(x_ND.dtype), dweight.to(weight_VD.dtype), dbias)
        return total

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        dx, dweight, dbias = ctx.saved_tensors
        return dx * grad.to(dx.dtype), dweight * grad, None if dbias is None else dbias * grad, None, None


def linear_cross_entropy(
    x_ND: Tensor, weight_VD: Tensor, bias_V: Tensor | None, targets_N: Tensor, cap: float = 0.0
) -> Tensor:
    """Sum of -log softmax(x W' + b)[target] over all targets but IGNORE, in nats; a float32 scalar.

    `x_ND` sets the type of the products; gradients reach weight and bias in their own type, accumulated in float32.
    """
    if torch.is_grad_enabled():
        return _LinearCrossEntropy.apply(x_ND, weight_VD, bias_V, targets_N, cap)
    return token_losses(x_ND, weight_VD, bias_V, targets_N, cap).sum()


def token_losses(x_ND: Tensor, weight_VD: Tensor, bias_V: Tensor | None, targets_N: Tensor, cap: float = 0.0) -> Tensor:
    """-log p of each target (N), in nats, float32, without gradients; 0 where the target is IGNORE."""
    weight, bias = weight_VD.to(x_ND.dtype), None if bias_V is None else bias_V.float()
    rows = chunk_rows(len(x_ND), len(weight))
    parts = [
        _chunk(x, weight, bias, targets.clamp(min=0), cap)[0]
        for x, targets in zip(x_ND.split(rows), targets_N.split(rows), strict=True)
    ]
    return torch.cat(parts) * (targets_N != IGNORE)
