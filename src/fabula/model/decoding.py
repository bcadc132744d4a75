"""One token at a time: a lean pass over prepared weights and caches.

A small model's step is short (basic: four layers of 128), so what surrounds the products decides its speed: weights
are cast once, caches are preallocated, and the step is plain functions over tensors, without modules.

Shapes: B rows, D width, F feed-forward width, H query heads, K key/value heads, G queries a key head serves (H / K),
E head width, S slots, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from fabula.model.decoder import Decoder
from fabula.model.kv_cache import LayerCache, Visibility
from fabula.model.layers import FeedForward, Linear, Norm


@dataclass(frozen=True)
class _Norm:
    """A norm with its weight as it multiplies, float32."""

    layernorm: bool
    weight: Tensor | None
    bias: Tensor | None
    epsilon: float

    @classmethod
    def of(cls, norm: Norm) -> "_Norm":
        weight = None if norm.weight is None else norm.weight.detach().float()
        if norm.kind == "rmsnorm_plus_one" and weight is not None:
            weight = weight + 1.0
        bias = None if norm.bias is None else norm.bias.detach().float()
        return cls(norm.kind == "layernorm", weight, bias, norm.epsilon)

    def __call__(self, x: Tensor) -> Tensor:
        if self.layernorm:
            return F.layer_norm(x, x.shape[-1:], self.weight, self.bias, self.epsilon)
        x = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.epsilon)
        return x if self.weight is None else x * self.weight


@dataclass(frozen=True)
class _Linear:
    weight: Tensor
    bias: Tensor | None

    @classmethod
    def of(cls, linear: Linear, dtype: torch.dtype) -> "_Linear":
        return cls(linear.weight.detach().to(dtype), None if linear.bias is None else linear.bias.detach().to(dtype))

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)


@dataclass(frozen=True)
class _Layer:
    attention_norm: _Norm
    qkv: _Linear
    qk_norm: Tensor | None
    """Weights of the q/k norm, one row a head, queries first (H + K, E); float32."""
    out: _Linear
    attention_post_norm: _Norm | None
    feed_forward_norm: _Norm
    up: _Linear
    down: _Linear
    feed_forward_post_norm: _Norm | None
    feed_forward: FeedForward
    scale: float
    window: int
    normalize_qk: bool


def _prepare(model: Decoder) -> list[_Layer]:
    dtype = model.compute_dtype
    layers = []
    for layer in model.stack:
        attention, feed_forward = layer.attention, layer.feed_forward
        qk_norm = None
        if attention.query_norm is not None and attention.key_norm is not None:
            q, k = _Norm.of(attention.query_norm).weight, _Norm.of(attention.key_norm).weight
            if q is not None and k is not None:
                qk_norm = torch.cat((q.expand(attention.heads, -1), k.expand(attention.kv_heads, -1)))
        layers.append(
            _Layer(
                _Norm.of(layer.attention_norm),
                _Linear.of(attention.qkv, dtype),
                qk_norm,
                _Linear.of(attention.out, dtype),
                None if layer.attention_post_norm is None else _Norm.of(layer.attention_post_norm),
                _Norm.of(layer.feed_forward_norm),
                _Linear.of(feed_forward.up, dtype),
                _Linear.of(feed_forward.down, dtype),
                None if layer.feed_forward_post_norm is None else _Norm.of(layer.feed_forward_post_norm),
                feed_forward,
                attention.scale,
                attention.window,
                attention.query_norm is not None,
            )
        )
    return layers


class CachedDecoder:
    """Decodes a batch of rows, each from its own position 0: `prefill` once (or again), then `step` by step.

    Weights are taken as they are when this is made. `capacity` is the most tokens a row will have.
    """

    def __init__(self, model: Decoder, num_rows: int, capacity: int) -> None:
        assert capacity <= model.shape.context
        shape, dtype, device = model.shape, model.compute_dtype, model.embedding.weight.device
        self.model, self.capacity = model, capacity
        self.layers = _prepare(model)
        self.head = model.head_weight.detach().to(dtype)
        self.head_bias = None if model.head_bias is None else model.head_bias.detach().float()
        self.final_norm = _Norm.of(model.final_norm)
        self.rope_global, self.rope_local = model.rope(capacity, device)
        slots = [min(layer.window or capacity, capacity) for layer in self.layers]
        self.caches = [LayerCache(num_rows, each, shape, dtype, device) for each in slots]
        self.visibility = {each: Visibility(num_rows, each, dtype, device) for each in set(slots)}

    def prefill(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """Logits (B, V) of the token after each row. What was cached before is forgotten.

        The rows' ends are padded for this one pass, which a causal model does not notice; they are cached so that
        they end together.
        """
        assert rows and all(0 < len(row) <= self.capacity for row in rows)
        device = self.model.embedding.weight.device
        lengths = [len(row) for row in rows]
        longest = max(lengths)
        tokens_BT = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows], device=device)
        self.length = longest
        self.padding_B = torch.tensor([longest - length for length in lengths], device=device)
        for each in self.visibility.values():
            each.begin(longest, self.padding_B)
        caches = self.caches
        keep = [lambda k, v, cache=cache: cache.fill(k, v, self.padding_B) for cache in caches]
        x_BTD = self.model.hidden(tokens_BT, keep)
        last_BD = x_BTD[torch.arange(len(rows), device=device), torch.tensor(lengths, device=device) - 1]
        return self.model.logits(last_BD)

    def step(self, tokens_B: Tensor) -> Tensor:
        """Logits (B, V), float32, of the token after `tokens_B`, which becomes part of the rows."""
        assert self.length < self.capacity, "the caches are full"
        model, dtype, B = self.model, self.model.compute_dtype, len(tokens_B)
        shape = model.shape
        H, K, E = shape.heads, shape.num_kv_heads, shape.size_of_head
        places = {slots: each.step(self.length) for slots, each in self.visibility.items()}
        position_B = self.length - self.padding_B
        x_BD = F.embedding(tokens_B, model.embedding.weight).float() * model.embedding_scale
        rope_global = rope_local = None
        if model.positions is not None:
            x_BD = x_BD + F.embedding(position_B, model.positions.weight).float()
        elif self.rope_global is not None:
            rope_global = self._turn(self.rope_global, position_B)
            rope_local = None if self.rope_local is None else self._turn(self.rope_local, position_B)
        for layer, cache in zip(self.layers, self.caches, strict=True):
            slot, used, bias = places[cache.slots]
            y_BF = layer.qkv(layer.attention_norm(x_BD).to(dtype))
            heads_BJE = y_BF.view(B, H + 2 * K, E)
            qk_BJE = heads_BJE[:, : H + K]
            if layer.normalize_qk:
                qk_BJE = qk_BJE.float()
                qk_BJE = qk_BJE * torch.rsqrt(qk_BJE.square().mean(-1, keepdim=True) + shape.norm_epsilon)
                qk_BJE = (qk_BJE if layer.qk_norm is None else qk_BJE * layer.qk_norm).to(dtype)
            rope = rope_local if layer.window else rope_global
            if rope is not None:
                qk_BJE = (qk_BJE.float() * rope[0] + qk_BJE.float().roll(E // 2, -1) * rope[1]).to(dtype)
            cache.k_BKSE[:, :, slot] = qk_BJE[:, H:]
            cache.v_BKSE[:, :, slot] = heads_BJE[:, H + K :]
            # Queries that share keys stand where time does: one position, so nothing is causal here.
            q_BKGE = qk_BJE[:, :H].reshape(B, K, H // K, E)
            k_BKSE, v_BKSE = cache.k_BKSE[:, :, :used], cache.v_BKSE[:, :, :used]
            y_BKGE = F.scaled_dot_product_attention(q_BKGE, k_BKSE, v_BKSE, attn_mask=bias, scale=layer.scale)
            y_BD = layer.out(y_BKGE.reshape(B, H * E))
            x_BD = x_BD + (y_BD if layer.attention_post_norm is None else layer.attention_post_norm(y_BD.float()))
            y_BF = layer.up(layer.feed_forward_norm(x_BD).to(dtype))
            if layer.feed_forward.gated:
                gate_BF, y_BF = y_BF.chunk(2, dim=-1)
                y_BF = layer.feed_forward.activation(gate_BF) * y_BF
            else:
                y_BF = layer.feed_forward.activation(y_BF)
            y_BD = layer.down(y_BF)
            x_BD = x_BD + (y_BD if layer.feed_forward_post_norm is None else layer.feed_forward_post_norm(y_BD.float()))
        self.length += 1
        logits_BV = F.linear(self.final_norm(x_BD).to(dtype), self.head).float()
        if self.head_bias is not None:
            logits_BV = logits_BV + self.head_bias
        cap = shape.logit_cap
        return cap * torch.tanh(logits_BV / cap) if cap else logits_BV

    def select(self, places: Sequence[int]) -> None:
        """Go on with these rows of the batch only."""
        rows_B = torch.tensor(places, device=self.padding_B.device)
        self.padding_B = self.padding_B[rows_B]
        for cache in self.caches:
            cache.select(rows_B)
        for visibility in self.visibility.values():
            visibility.select(rows_B)

    @staticmethod
    def _turn(tables: tuple[Tensor, Tensor], position_B: Tensor) -> tuple[Tensor, Tensor]:
        """Factors (B, 1, E) of a head and of the same head with its halves exchanged, for one position a row."""
        cosine_BE, sine_BE = tables[0][position_B], tables[1][position_B]
        return torch.cat((cosine_BE, cosine_BE), -1)[:, None], torch.cat((-sine_BE, sine_BE), -1)[:, None]
