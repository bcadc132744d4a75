"""Causal attention of a training step on a GPU: torch's own FlashAttention, which skips the blocks outside a window and
lets heads share keys without copies.

`scaled_dot_product_attention` takes a window only as a mask, and then computes all the blocks; torch's
`varlen_attn` is the same kernel with a window, and takes rows that are laid end to end.

Shapes: B rows, T tokens, H query heads, K key/value heads, E head width.
"""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from fabula.model.kernels.constant import constant

varlen: Any = None
if torch.backends.cuda.is_built():  # it loads the whole compiler, which a torch for processors only may not need
    try:
        from torch.nn.attention import varlen
    except ImportError:  # torch 2.9 and earlier
        varlen = None

ATTEND: Callable[..., Any] | None = getattr(varlen, "varlen_attn", None)
PARAMETERS = frozenset(inspect.signature(ATTEND).parameters) if ATTEND is not None else frozenset[str]()
WIDEST_HEAD = 256


@constant
def flashes(device: str, dtype: torch.dtype, head_width: int) -> bool:
    """Whether attention of this kind runs there."""
    suits = device == "cuda" and dtype == torch.bfloat16 and head_width % 8 == 0 and head_width <= WIDEST_HEAD
    return suits and "window_size" in PARAMETERS and torch.cuda.get_device_capability()[0] >= 8


def causal_attention(q_BHTE: Tensor, k_BKTE: Tensor, v_BKTE: Tensor, scale: float, window: int = 0) -> Tensor:
    """softmax(scale q k') v, each query seeing the keys up to its own, the last `window` of them if that is not 0."""
    assert ATTEND is not None
    B, H, T, E = q_BHTE.shape
    q, k, v = (x_BHTE.transpose(1, 2).reshape(B * T, -1, E) for x_BHTE in (q_BHTE, k_BKTE, v_BKTE))
    ends = torch.arange(0, (B + 1) * T, T, dtype=torch.int32, device=q_BHTE.device)
    window_size = (window - 1 if 0 < window < T else -1, 0)
    grouped = {"enable_gqa": True} if "enable_gqa" in PARAMETERS else {}  # torch 2.11 does it unasked
    y: Tensor = ATTEND(q, k, v, ends, ends, T, T, scale=scale, window_size=window_size, **grouped)
    return y.view(B, T, H, E).transpose(1, 2)
