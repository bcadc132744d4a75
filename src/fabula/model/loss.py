"""The output head fused with its cross-entropy: loss and gradients chunk by chunk, never all logits.

Shapes: N tokens, C rows of a chunk, D width, V vocabulary.

For GPT-2's 50,257 words the logits of 2,048 tokens are 412 MB in float32; a chunk's are made, used and forgotten
while they are warm. Since the loss is a scalar, its gradients are known up to a factor while the chunk is at hand, so
the forward pass computes them too, and the backward pass only multiplies by that factor (as Liger Kernel does on
GPUs; Hsu et al. 2024).

With e = exp(l - max l) and s its sum over the row, softmax - onehot = (e - s onehot) / s. The division is moved onto
the N x D side of both products, so each logit is touched once after its exponential:
  dx = (e - s onehot) W / s        dW = (e - s onehot)' (x / s)
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from fabula.model.kernels.constant import constant
from fabula.model.kernels.head import exponentials, fuses, in_columns

IGNORE = -100
"""Target value of positions that do not count."""

CHUNK_ELEMENTS = 52 * 2**20
"""Logits in a chunk, at most: 1,024 rows of GPT-2's words. Fewer rows repack the head's weight more often (128 rows
took 209 ms for 2,048 tokens, 1,024 rows 168 ms)."""

COLUMN_MULTIPLE = 512
"""The head is filled up to a multiple of this many words. With 50,257 columns every row of logits is misaligned: on two
cores the product for the weight's gradient made 374 GFLOP/s, with 50,304 (64 times 786) 680, with 50,688 (512 times 99)
720, and loss and gradients of 2,048 tokens took 198, 165 and 161 ms."""


COLUMNS_OF_A_PRODUCT = 8
"""The fewest that a GPU's matrix units take at full speed in bfloat16."""

CHUNK_SHARE = 0.05
"""Of a GPU's memory, for the logits of a chunk and what is made of them: about CHUNK_BYTES each."""
CHUNK_BYTES = 8


@constant
def chunk_elements(device: str) -> int:
    """Logits in a chunk, at most. A GPU with 80 GB takes those of 10,000 rows of GPT-2's words: each chunk reads and
    writes the whole gradient of the head."""
    if device != "cuda":
        return CHUNK_ELEMENTS
    memory = torch.cuda.get_device_properties().total_memory
    return max(CHUNK_ELEMENTS, int(CHUNK_SHARE * memory / CHUNK_BYTES))


def chunk_rows(num_rows: int, vocabulary: int, most_elements: int = CHUNK_ELEMENTS) -> int:
    """Rows of one chunk: as many as `most_elements` allow, in equal parts, at least one."""
    most = max(1, most_elements // vocabulary)
    parts = -(-num_rows // most)
    return -(-num_rows // parts)


def _filled_up(weight_VD: Tensor, bias_V: Tensor | None, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Weight in `dtype` and float32 bias, filled up with words that have no probability: their bias is -inf."""
    missing = -len(weight_VD) % COLUMN_MULTIPLE
    bias = weight_VD.new_zeros(len(weight_VD), dtype=torch.float32) if bias_V is None else bias_V.float()
    return F.pad(weight_VD.to(dtype), (0, 0, 0, missing)), F.pad(bias, (0, missing), value=float("-inf"))


def _chunk(
    x_CD: Tensor, weight_VD: Tensor, bias_V: Tensor, targets_C: Tensor, cap: float
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """-log p (C), exp(logits - max) (C, V), its row sums (C), d logits / d raw logits ((C, V), None without a cap)."""
    logits_CV = (x_CD @ weight_VD.T).float() + bias_V
    slope_CV = None
    if cap:
        tanh_CV = torch.tanh(logits_CV / cap)
        logits_CV, slope_CV = torch.where(bias_V.isneginf(), bias_V, cap * tanh_CV), 1.0 - tanh_CV.square()
    max_C = logits_CV.amax(-1)
    e_CV = torch.exp(logits_CV - max_C[:, None])
    sum_C = e_CV.sum(-1)
    loss_C = max_C + sum_C.log() - logits_CV.gather(1, targets_C[:, None])[:, 0]
    return loss_C, e_CV, sum_C, slope_CV


def _chunk_gradient(
    x_CD: Tensor, weight_WD: Tensor, bias_W: Tensor, bias_V: Tensor | None, targets_C: Tensor, words: int, cap: float
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """-log p (C), the gradient of its logits (C, W) but for a factor of each row (C), and that of the bias (V)."""
    if not cap and fuses(x_CD.device.type, x_CD.dtype):
        e_CW = x_CD @ weight_WD.T
        loss_C, scale_C, parts_PV = exponentials(e_CW, None if bias_V is None else bias_V.float(), targets_C, words)
        return loss_C, e_CW, scale_C, None if bias_V is None else parts_PV.sum(0)
    counts_C, targets_C = (targets_C != IGNORE).float(), targets_C.clamp(min=0)
    loss_C, e_CW, sum_C, slope_CW = _chunk(x_CD, weight_WD, bias_W, targets_C, cap)
    # The target's share: softmax - 1, times the row sum. Each row has one, so that nothing is added up in an order that
    # depends on threads.
    if e_CW.is_cuda:  # compared, not scattered: then one kernel makes it, which stores bfloat16 alone
        at_target_CW = torch.arange(e_CW.shape[1], device=e_CW.device) == targets_C[:, None]
        e_CW = torch.where(at_target_CW, e_CW - sum_C[:, None], e_CW)
    else:
        at_target_C1 = e_CW.gather(1, targets_C[:, None]) - sum_C[:, None]
        e_CW = e_CW.scatter(1, targets_C[:, None], at_target_C1)
    if slope_CW is not None:
        e_CW = e_CW * slope_CW
    e_CW, scale_C = e_CW.to(x_CD.dtype), counts_C / sum_C
    dbias_V = None if bias_V is None else _column_sums(e_CW, scale_C.to(x_CD.dtype)).float()[:words]
    return loss_C * counts_C, e_CW, scale_C, dbias_V


def _column_sums(e_CW: Tensor, scale_C: Tensor) -> Tensor:
    """e' scale (W)."""
    if not e_CW.is_cuda:
        return e_CW.T @ scale_C
    # As a product of matrices: that of a matrix and a vector took 0.46 of the 6.1 ms of a step of `quality` on an H100.
    return (e_CW.T @ F.pad(scale_C[:, None], (0, COLUMNS_OF_A_PRODUCT - 1)))[:, 0]


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x_ND, weight_VD, bias_V, targets_N, cap):  # type: ignore[no-untyped-def]
        weight, bias = _filled_up(weight_VD, bias_V, x_ND.dtype)
        columns = in_columns(weight).T if fuses(weight.device.type, weight.dtype) else weight
        total = torch.zeros((), device=x_ND.device)
        dx = torch.empty(x_ND.shape, dtype=torch.float32, device=x_ND.device)
        dweight = torch.zeros(weight.shape, dtype=torch.float32, device=x_ND.device)
        dbias = None if bias_V is None else torch.zeros(len(bias_V), dtype=torch.float32, device=x_ND.device)
        rows = chunk_rows(len(x_ND), len(weight), chunk_elements(x_ND.device.type))
        for start in range(0, len(x_ND), rows):
            part = slice(start, start + rows)
            x, targets = x_ND[part], targets_N[part]
            loss_C, e_CV, scale_C, dbias_V = _chunk_gradient(x, weight, bias, bias_V, targets, len(weight_VD), cap)
            total = total + loss_C.sum()
            dx[part] = (e_CV @ columns).float() * scale_C[:, None]
            dweight += (e_CV.T @ (x * scale_C[:, None]).to(x.dtype)).float()
            if dbias is not None and dbias_V is not None:
                dbias += dbias_V
        words = len(weight_VD)
        ctx.save_for_backward(dx.to(x_ND.dtype), dweight[:words].to(weight_VD.dtype), dbias)
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
    weight, bias = _filled_up(weight_VD, bias_V, x_ND.dtype)
    rows = chunk_rows(len(x_ND), len(weight), chunk_elements(x_ND.device.type))
    parts = [
        _chunk(x, weight, bias, targets.clamp(min=0), cap)[0]
        for x, targets in zip(x_ND.split(rows), targets_N.split(rows), strict=True)
    ]
    return torch.cat(parts) * (targets_N != IGNORE)
