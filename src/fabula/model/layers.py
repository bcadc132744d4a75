"""The parts of a decoder layer.

Shapes: B batch, T time, D width, F feed-forward width, H query heads, K key/value heads, E head width.
Weights are kept in their master type; a matrix product runs in the type of its input, and the residual stream
stays in float32, so that the only rounding of the bfloat16 path is that of the products themselves.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fabula.model.activations import relu
from fabula.model.kernels import attention as fused_attention
from fabula.model.kernels import flash
from fabula.model.kernels import head as fused
from fabula.recipe.schema import Model

Keep = Callable[[Tensor, Tensor], None]
"""Takes keys and values (B, K, T, E) of a layer."""


class Linear(nn.Linear):
    """A linear map computed in the type of its input, whatever type its weights are stored in."""

    def forward(self, x: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return F.linear(x, self.weight.to(x.dtype), bias)


class Norm(nn.Module):
    """LayerNorm (Ba et al. 2016) or RMSNorm (Zhang and Sennrich 2019) over the last dimension, in float32.

    `rmsnorm_plus_one` multiplies by 1 + weight with weights that start at zero (Gemma); `rmsnorm_bare` has no weight.
    """

    def __init__(self, kind: str, width: int, epsilon: float) -> None:
        super().__init__()
        self.kind, self.width, self.epsilon = kind, width, epsilon
        self.weight = nn.Parameter(torch.empty(width)) if kind != "rmsnorm_bare" else None
        self.bias = nn.Parameter(torch.empty(width)) if kind == "layernorm" else None
        self.reset()

    @torch.no_grad()
    def reset(self) -> None:
        """Make it the identity but for the normalisation."""
        if self.weight is not None:
            self.weight.fill_(0.0 if self.kind == "rmsnorm_plus_one" else 1.0)
        if self.bias is not None:
            self.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        dtype, x = x.dtype, x.float()
        if self.kind == "layernorm":
            assert self.weight is not None and self.bias is not None
            return F.layer_norm(x, x.shape[-1:], self.weight.float(), self.bias.float(), self.epsilon).to(dtype)
        x = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.epsilon)
        if self.weight is not None:
            x = x * (self.weight.float() + (1.0 if self.kind == "rmsnorm_plus_one" else 0.0))
        return x.to(dtype)


def rope_frequencies(head_width: int, base: float, device: torch.device) -> Tensor:
    """Angles between neighbours in rotary embeddings (Su et al. 2021), (head_width / 2), float32."""
    return base ** (-torch.arange(0, head_width, 2, dtype=torch.float32, device=device) / head_width)


def rope_tables(length: int, head_width: int, base: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosines and sines of rotary embeddings, each (length, head_width / 2), float32."""
    frequency = rope_frequencies(head_width, base, device)
    angle_TE = torch.arange(length, dtype=torch.float32, device=device)[:, None] * frequency
    return angle_TE.cos(), angle_TE.sin()


def rotate(x_BHTE: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Apply RoPE to the halves of each head (the layout of Hugging Face's Llama and Gemma)."""
    first, second = x_BHTE.float().chunk(2, dim=-1)
    rotated = torch.cat((first * cosine - second * sine, second * cosine + first * sine), dim=-1)
    return rotated.to(x_BHTE.dtype)


class Attention(nn.Module):
    """Causal self-attention with grouped keys, optional q/k norm, optional sliding window."""

    def __init__(self, shape: Model, layer: int) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_width = shape.heads, shape.num_kv_heads, shape.size_of_head
        self.scale = shape.query_scale or self.head_width**-0.5
        self.window = shape.sliding_window if shape.is_local(layer) else 0
        self.queries_width = self.heads * self.head_width
        self.keys_width = self.kv_heads * self.head_width
        self.qkv = Linear(shape.width, self.queries_width + 2 * self.keys_width, bias=shape.attention_bias)
        self.out = Linear(self.queries_width, shape.width, bias=shape.attention_output_bias)
        self.query_norm = self.key_norm = None
        if shape.qk_norm:
            kind = "rmsnorm" if shape.norm == "layernorm" else shape.norm
            self.query_norm = Norm(kind, self.head_width, shape.norm_epsilon)
            self.key_norm = Norm(kind, self.head_width, shape.norm_epsilon)

    def project(
        self, x_BTD: Tensor, rope: tuple[Tensor, Tensor] | None, values: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (B, H, T, E), keys and values (B, K, T, E), normalised and rotated; `values` (B, T, K E) join."""
        B, T, _ = x_BTD.shape
        q, k, v = self.qkv(x_BTD).split((self.queries_width, self.keys_width, self.keys_width), dim=-1)
        q_BHTE = q.view(B, T, self.heads, self.head_width).transpose(1, 2)
        k_BKTE = k.view(B, T, self.kv_heads, self.head_width).transpose(1, 2)
        if values is not None:
            v = (v.float() + values.float()).to(v.dtype)
        v_BKTE = v.view(B, T, self.kv_heads, self.head_width).transpose(1, 2)
        if self.query_norm is not None and self.key_norm is not None:
            q_BHTE, k_BKTE = self.query_norm(q_BHTE), self.key_norm(k_BKTE)
        if rope is not None:
            q_BHTE, k_BKTE = rotate(q_BHTE, *rope), rotate(k_BKTE, *rope)
        return q_BHTE, k_BKTE, v_BKTE

    def forward(
        self,
        x_BTD: Tensor,
        rope: tuple[Tensor, Tensor] | None,
        values: Tensor | None = None,
        keep: Keep | None = None,
    ) -> Tensor:
        """Attention over whole rows; `keep` is shown the keys and values (generation stores them)."""
        q_BHTE, k_BKTE, v_BKTE = self.project(x_BTD, rope, values)
        if keep is not None:
            keep(k_BKTE, v_BKTE)
        y_BHTE = causal_attention(q_BHTE, k_BKTE, v_BKTE, self.scale, self.window)
        return self.out(y_BHTE.transpose(1, 2).flatten(2))


def causal_attention(q_BHTE: Tensor, k_BKTE: Tensor, v_BKTE: Tensor, scale: float, window: int) -> Tensor:
    """Causal attention over whole rows; `window` > 0 lets each token see the last `window`, itself included.

    Each key/value head serves a group of query heads. A window that is not shorter than the row changes nothing and
    costs nothing.
    """
    if fused.fuses(q_BHTE.device.type, q_BHTE.dtype):
        return fused_attention.causal_attention(q_BHTE, k_BKTE, v_BKTE, scale, window)
    if flash.flashes(q_BHTE.device.type, q_BHTE.dtype, q_BHTE.shape[3]):
        return flash.causal_attention(q_BHTE, k_BKTE, v_BKTE, scale, window)
    T = q_BHTE.shape[2]
    groups = q_BHTE.shape[1] // k_BKTE.shape[1]
    if groups > 1:
        k_BKTE, v_BKTE = (x_BKTE.repeat_interleave(groups, dim=1) for x_BKTE in (k_BKTE, v_BKTE))
    if not 0 < window < T:
        return attention(q_BHTE, k_BKTE, v_BKTE, scale)
    if T <= 2 * window:
        # No more scores than blocks would make, and without their copies: 1.2 instead of 1.7 s, forward and backward of
        # 8 rows of 1,024 with a window of 512 and 4 heads of 256, on one core.
        time_T = torch.arange(T, device=q_BHTE.device)
        visible_TT = (time_T <= time_T[:, None]) & (time_T > time_T[:, None] - window)
        return attention(q_BHTE, k_BKTE, v_BKTE, scale, visible_TT)
    return windowed_attention(q_BHTE, k_BKTE, v_BKTE, scale, window)


def attention(q: Tensor, k: Tensor, v: Tensor, scale: float, visible: Tensor | None = None) -> Tensor:
    """Scaled dot-product attention over the last two dimensions; causal unless `visible` (queries, keys) says more."""
    return F.scaled_dot_product_attention(q, k, v, attn_mask=visible, is_causal=visible is None, scale=scale)


def windowed_attention(q_BHTE: Tensor, k_BHTE: Tensor, v_BHTE: Tensor, scale: float, window: int) -> Tensor:
    """Sliding-window attention in blocks of `window` queries, each against its own and the preceding block.

    Work and memory are O(T x 2 window) instead of O(T^2).
    """
    B, H, T, E = q_BHTE.shape
    blocks = math.ceil(T / window)
    padding = blocks * window - T
    q, k, v = (F.pad(x_BHTE, (0, 0, 0, padding)) for x_BHTE in (q_BHTE, k_BHTE, v_BHTE))
    q = q.view(B, H, blocks, window, E)
    k, v = (F.pad(x_BHTE, (0, 0, window, 0)).unfold(2, 2 * window, window).transpose(-1, -2) for x_BHTE in (k, v))
    query = torch.arange(window, device=q.device)[:, None] + window
    key = torch.arange(2 * window, device=q.device)[None, :]
    visible = (key <= query) & (key > query - window)
    # The first block has no predecessor: its first `window` keys are padding.
    exists = (torch.arange(blocks, device=q.device)[:, None, None] > 0) | (key >= window)
    y = attention(q, k, v, scale, visible & exists)
    return y.reshape(B, H, blocks * window, E)[:, :, :T]


class FeedForward(nn.Module):
    """Two linear maps with an activation between; gated kinds multiply by a second projection (Shazeer 2020)."""

    def __init__(self, shape: Model) -> None:
        super().__init__()
        self.kind, self.gated = shape.feed_forward, shape.gated
        inner = shape.size_of_feed_forward
        self.up = Linear(shape.width, inner * (2 if self.gated else 1), bias=shape.feed_forward_bias)
        self.down = Linear(inner, shape.width, bias=shape.feed_forward_bias)

    def forward(self, x_BTD: Tensor) -> Tensor:
        x_BTF = self.up(x_BTD)
        if self.gated:
            gate_BTF, x_BTF = x_BTF.chunk(2, dim=-1)
            return self.down(self.activation(gate_BTF) * x_BTF)
        return self.down(self.activation(x_BTF))

    def activation(self, x: Tensor) -> Tensor:
        match self.kind:
            case "relu":
                return relu(x)
            case "relu_squared":  # So et al. 2021
                return relu(x).square()
            case "gelu":
                return F.gelu(x)
            case "gelu_tanh" | "geglu_tanh":
                return F.gelu(x, approximate="tanh")
            case "swiglu":
                return F.silu(x)
        raise AssertionError(self.kind)
