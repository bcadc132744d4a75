"""The parts of a training step between its matrix products that are compiled C (fused.c): bfloat16, on a processor.

torch.compile makes them, too, but passes over memory once for the largest logit, once for the exponentials, which it
stores in float32 twice, and once for their rounding. Of 1,024 rows of GPT-2's words on two cores that took 38 ms, and
15 ms here; the softmax of 96 heads of 256 tokens and its gradient 9.4 ms, and 3.1 ms here.

Shapes: C rows of a chunk, V words, P parts of a chunk, T tokens.
"""

import ctypes
from ctypes import c_float, c_int64, c_void_p
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from fabula.model.native import Native, load_native

ROWS_OF_A_PART = 32
"""The bias's gradient is added up over so many rows, then over the parts, however many threads share them."""


@cache
def find_fused() -> Native:
    """The compiled functions, or why there are none."""
    native = load_native(Path(__file__).with_suffix(".c"), threads=True)
    if native.library is not None:
        size, pointer = c_int64, c_void_p
        for name, arguments in {
            "exponentials": (size, size, size, size, size, *(pointer,) * 6),
            "in_columns": (size, size, size, pointer, pointer),
            "causal_softmax": (size, size, size, c_float, pointer),
            "causal_softmax_gradient": (size, size, size, c_float, pointer, pointer),
        }.items():
            function = getattr(native.library, name)
            function.argtypes, function.restype = arguments, None
    return native


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def fuses(device: str, dtype: torch.dtype) -> bool:
    """Whether products of this type on this device have these functions between them."""
    return device == "cpu" and dtype == torch.bfloat16 and find_fused().library is not None


def _library() -> ctypes.CDLL:
    library = find_fused().library
    assert library is not None
    return library


def _address(tensor: Tensor | None) -> int | None:
    if tensor is None:
        return None
    assert tensor.is_contiguous()
    return tensor.data_ptr()


@torch.library.custom_op("fabula::exponentials", mutates_args=("logits_CW",))
def exponentials(
    logits_CW: Tensor, bias_V: Tensor | None, targets_C: Tensor, words: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Turn logits, whose first `words` of W columns count, into e = exp(logit + bias - max), the target's less the sum.

    Returns -log p of the targets (C), what each row has to be multiplied by to become the gradient of its logits (C),
    and the bias's gradient in parts (P, V), none of them without a bias. Both are 0 in rows with a negative target.
    """
    rows, columns = logits_CW.shape
    loss_C, scale_C = torch.empty(rows, dtype=torch.float32), torch.empty(rows, dtype=torch.float32)
    parts = 0 if bias_V is None else -(-rows // ROWS_OF_A_PART)
    parts_PV = torch.empty(parts, words, dtype=torch.float32)
    _library().exponentials(
        torch.get_num_threads(), rows, words, columns, ROWS_OF_A_PART, _address(logits_CW), _address(bias_V),
        _address(targets_C), _address(loss_C), _address(scale_C), _address(parts_PV) if parts else None,
    )  # fmt: skip
    return loss_C, scale_C, parts_PV


@exponentials.register_fake
def _(logits_CW: Tensor, bias_V: Tensor | None, targets_C: Tensor, words: int) -> tuple[Tensor, Tensor, Tensor]:
    rows = len(logits_CW)
    parts = 0 if bias_V is None else -(-rows // ROWS_OF_A_PART)
    new = logits_CW.new_empty
    return new(rows, dtype=torch.float32), new(rows, dtype=torch.float32), new(parts, words, dtype=torch.float32)


@torch.library.custom_op("fabula::in_columns", mutates_args=())
def in_columns(weight_VD: Tensor) -> Tensor:
    """The transpose (D, V), laid out in its own order.

    A product that sums over V reads the weight by columns: with them in order, e W of 1,024 rows of GPT-2's words and a
    width of 384 made 814 instead of 701 GFLOP/s. (Said as weight.T.contiguous(), the compiler leaves the copy out.)
    """
    rows, columns = weight_VD.shape
    columns_DV = weight_VD.new_empty(columns, rows)
    _library().in_columns(torch.get_num_threads(), rows, columns, _address(weight_VD), _address(columns_DV))
    return columns_DV


@in_columns.register_fake
def _(weight_VD: Tensor) -> Tensor:
    return weight_VD.new_empty(weight_VD.shape[1], weight_VD.shape[0])


@torch.library.custom_op("fabula::causal_softmax", mutates_args=("scores_TT",))
def causal_softmax(scores_TT: Tensor, scale: float) -> None:
    """Turn scores (..., T, T) into the softmax of scale x score over the keys that each query sees."""
    size = scores_TT.shape[-1]
    matrices = scores_TT.numel() // size**2
    _library().causal_softmax(torch.get_num_threads(), matrices, size, scale, _address(scores_TT))


@torch.library.custom_op("fabula::causal_softmax_gradient", mutates_args=("gradient_TT",))
def causal_softmax_gradient(p_TT: Tensor, gradient_TT: Tensor, scale: float) -> None:
    """Turn the gradient of what `causal_softmax` made into that of the scores it was made of."""
    size = p_TT.shape[-1]
    matrices = p_TT.numel() // size**2
    _library().causal_softmax_gradient(
        torch.get_num_threads(), matrices, size, scale, _address(p_TT), _address(gradient_TT)
    )


class _CausalAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, q, k, v, scale):  # type: ignore[no-untyped-def]
        p_TT = q @ k.transpose(-1, -2)
        causal_softmax(p_TT, scale)
        ctx.save_for_backward(q, k, v, p_TT)
        ctx.scale = scale
        return p_TT @ v

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        q, k, v, p_TT = ctx.saved_tensors
        gradient_TT = grad @ v.transpose(-1, -2)
        causal_softmax_gradient(p_TT, gradient_TT, ctx.scale)
        return gradient_TT @ k, gradient_TT.transpose(-1, -2) @ q, p_TT.transpose(-1, -2) @ grad, None


def causal_attention(q_TE: Tensor, k_TE: Tensor, v_TE: Tensor, scale: float) -> Tensor:
    """softmax(scale q k') v over the last two dimensions, each query seeing the keys up to its own."""
    attended: Tensor = _CausalAttention.apply(q_TE, k_TE, v_TE, scale)
    return attended
