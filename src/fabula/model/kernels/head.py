"""The parts of a training step that are compiled C, for bfloat16 on a processor that multiplies it (AVX512-BF16): here
what is between the products of the output head (head.c), in attention.py attention (attention.c).

torch.compile makes the former, too, but passes over memory once for the largest logit, once for the exponentials,
which it stores in float32 twice, and once for their rounding. Of 1,024 rows of GPT-2's words on two cores that took
38 ms, and 8 ms here.

Shapes: C rows of a chunk, V words, P parts of a chunk.
"""

import ctypes
from ctypes import c_int64, c_void_p
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from fabula.model.kernels.build import Native, load_native
from fabula.model.kernels.constant import constant

ROWS_OF_A_PART = 32
"""The bias's gradient is added up over so many rows, then over the parts, however many threads share them."""


@cache
def find_fused() -> Native:
    """The compiled functions, or why there are none."""
    folder = Path(__file__).parent
    native = load_native(folder / "head.c", folder / "attention.c", threads=True)
    if native.library is not None:
        size, pointer = c_int64, c_void_p
        for name, arguments, result in (
            ("exponentials", (size, size, size, size, size, *(pointer,) * 6), None),
            ("in_columns", (size, size, size, pointer, pointer), None),
            ("attention", (pointer, pointer), None),
            ("attention_gradient", (pointer, pointer), None),
            ("attention_memory", (size, size), size),
        ):
            function = getattr(native.library, name)
            function.argtypes, function.restype = arguments, result
    return native


@constant
def fuses(device: str, dtype: torch.dtype) -> bool:
    """Whether products of this type on this device have these functions between them."""
    return device == "cpu" and dtype == torch.bfloat16 and find_fused().library is not None


def library() -> ctypes.CDLL:
    """The compiled functions, where `fuses`."""
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
    library().exponentials(
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
    library().in_columns(torch.get_num_threads(), rows, columns, _address(weight_VD), _address(columns_DV))
    return columns_DV


@in_columns.register_fake
def _(weight_VD: Tensor) -> Tensor:
    return weight_VD.new_empty(weight_VD.shape[1], weight_VD.shape[0])
