"""Matrix products with a weight that stays the same over many calls: the layout that makes each call short.

Shapes: B rows, I inputs, O outputs.

On CPUs the usual (O, I) layout is a poor one for few rows. On one core of an AVX-512 machine, in float32, a head of
50,257 x 128: one row 2.1 ms, transposed 0.64 ms; 16 rows 3.7 ms, packed by oneDNN 1.6 ms. A layout costs a copy, which
a small weight does not earn back within a hundred tokens.
"""

from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

Product = Callable[[Tensor], Tensor]
"""(B, I) -> (B, O)."""

TRANSPOSED_FROM = 2**21
"""Elements of a weight from which a transposed copy is worth its making, for one row."""
PACKED_FROM = 2**16
"""Elements of a weight from which oneDNN's packing repays its 10 microseconds a call, for more rows."""
FEW_ROWS = 4
"""Up to here packing helps the large weights only."""


def lay_out_product(weight_OI: Tensor, bias_O: Tensor | None, num_rows: int) -> Product:
    """x W' + b as a function of x, for about `num_rows` rows, in the type of `weight_OI`.

    The weight must not change afterwards: it may have been copied, or not.
    """
    size = weight_OI.numel()
    if weight_OI.device.type != "cpu":
        return lambda x: F.linear(x, weight_OI, bias_O)
    exact = weight_OI.dtype == torch.float32
    few = exact and num_rows <= FEW_ROWS
    if size >= (TRANSPOSED_FROM if few else PACKED_FROM) and not (exact and num_rows == 1):
        packed = _packed(weight_OI, bias_O, num_rows)
        if packed is not None:
            return packed
    if not exact:
        return lambda x: F.linear(x, weight_OI, bias_O)
    weight_IO = weight_OI.T
    if num_rows == 1 and size >= TRANSPOSED_FROM:
        weight_IO = weight_IO.contiguous()
    # mm spares the microsecond that F.linear takes to find out what it is given.
    if bias_O is None:
        return lambda x: torch.mm(x, weight_IO)
    return lambda x: torch.addmm(bias_O, x, weight_IO)


def _packed(weight_OI: Tensor, bias_O: Tensor | None, num_rows: int) -> Product | None:
    if not packing_works(weight_OI.dtype):
        return None
    blocks = torch.ops.mkldnn._reorder_linear_weight(weight_OI.contiguous(), num_rows)
    multiply = torch.ops.mkldnn._linear_pointwise.default
    return lambda x: multiply(x, blocks, bias_O, "none", [], "")


@cache
def packing_works(dtype: torch.dtype) -> bool:
    """Whether this torch packs weights by oneDNN. The functions are those that torch.compile calls, not public ones, so
    they are tried on a small product before they are used."""
    try:
        weight = torch.linspace(-1, 1, 64 * 32, dtype=torch.float32).view(64, 32).to(dtype)
        x = torch.linspace(-2, 1, 4 * 32, dtype=torch.float32).view(4, 32).to(dtype)
        packed = torch.ops.mkldnn._reorder_linear_weight(weight, 4)
        y = torch.ops.mkldnn._linear_pointwise.default(x, packed, None, "none", [], "")
    except (AttributeError, NotImplementedError, RuntimeError):
        return False
    return bool(torch.allclose(y.float(), F.linear(x, weight).float(), rtol=1e-2, atol=1e-2))
