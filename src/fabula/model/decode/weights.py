"""A decoder's weights arranged for decoding one token at a time.

Each call of a tensor function costs one or two microseconds, as much as a small layer's whole arithmetic, so what can
be computed once is: an RMSNorm's weight is multiplied into the product that follows it, q/k norm weights into the
rotary tables, and the columns of the output projection are put into the order in which attention leaves its heads.

Shapes: D width, H query heads, K key/value heads, G queries a key head serves (H / K), E head width, O outputs,
L layers, S positions.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from fabula.model.decode.weight_layout import Product, lay_out_product
from fabula.model.decoder import Decoder, Layer
from fabula.model.layers import FeedForward, Linear, Norm


class DecodingNorm:
    """A norm over the last dimension, float32. An RMSNorm's weight is left out: `gain` says where it goes."""

    def __init__(self, norm: Norm, device: torch.device) -> None:
        self.layernorm = norm.kind == "layernorm"
        self.width, self.epsilon = norm.width, norm.epsilon
        self.gain = rms_gain(norm)
        self.weight = norm.weight.detach().float() if self.layernorm and norm.weight is not None else None
        self.bias = None if norm.bias is None else norm.bias.detach().float()
        self._epsilon = torch.tensor(norm.epsilon, device=device)

    def __call__(self, x: Tensor) -> Tensor:
        if self.layernorm:
            return F.layer_norm(x, (self.width,), self.weight, self.bias, self.epsilon)
        # x / sqrt(mean x^2 + epsilon) in four calls: a norm is one, a mean of squares would be two.
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        return x * torch.addcmul(self._epsilon, length, length, value=1.0 / self.width).rsqrt_()

    def added(self, x: Tensor, y: Tensor) -> Tensor:
        """x + the whole norm of y, gain included."""
        y = self(y)
        return x + y if self.gain is None else torch.addcmul(x, y, self.gain)


def rms_gain(norm: Norm) -> Tensor | None:
    """What an RMSNorm multiplies by (D), float32; None for nothing, and for a LayerNorm, which does it itself."""
    if norm.weight is None or norm.kind == "layernorm":
        return None
    return norm.weight.detach().float() + (1.0 if norm.kind == "rmsnorm_plus_one" else 0.0)


@dataclass(frozen=True)
class LayerWeights:
    norms: Mapping[str, DecodingNorm]
    """By their names in the layer, those that it has."""
    qkv: Product
    qk_norm: DecodingNorm | None
    out: Product
    up: Product
    down: Product
    feed_forward: FeedForward
    scale: float
    window: int


class DecodingWeights:
    """The weights of `model` as they are now, for batches of about `num_rows` rows."""

    def __init__(self, model: Decoder, num_rows: int) -> None:
        self.model, self.num_rows, self.device = model, num_rows, model.embedding.weight.device
        dtype = model.compute_dtype
        with torch.no_grad():
            self.layers = [self._layer(layer) for layer in model.stack]
            self.final_norm = DecodingNorm(model.final_norm, self.device)
            head = _gained(model.head_weight, self.final_norm.gain)
            bias = None if model.head_bias is None else model.head_bias.detach()
            # In bfloat16 the bias is added afterwards, in float32, as the decoder does.
            exact = dtype == torch.float32
            self.head = lay_out_product(head.to(dtype), bias.float() if exact and bias is not None else None, num_rows)
            self.late_bias = None if exact or bias is None else bias.float()
            self.rope_weights = self._rope_weights() if model.positions is None or model.shape.qk_norm else None

    def _layer(self, layer: Layer) -> LayerWeights:
        shape, attention, feed_forward = self.model.shape, layer.attention, layer.feed_forward
        norms = {name: DecodingNorm(norm, self.device) for name, norm in layer.norms.items()}
        K, E = shape.num_kv_heads, shape.size_of_head
        # Attention over K heads with G queries each leaves them as (G, K, E); the projection expects (K, G, E).
        out = attention.out.weight.detach()
        out = out.view(-1, K, shape.heads // K, E).transpose(1, 2).reshape(out.shape)
        return LayerWeights(
            norms=norms,
            qkv=self._product(attention.qkv, norms["attention_norm"].gain),
            qk_norm=None if attention.query_norm is None else DecodingNorm(attention.query_norm, self.device),
            out=self._product(attention.out, None, out),
            up=self._product(feed_forward.up, norms["feed_forward_norm"].gain),
            down=self._product(feed_forward.down, None),
            feed_forward=feed_forward,
            scale=attention.scale,
            window=attention.window,
        )

    def _product(self, linear: Linear, gain_I: Tensor | None, weight: Tensor | None = None) -> Product:
        dtype = self.model.compute_dtype
        weight = linear.weight.detach() if weight is None else weight
        bias = None if linear.bias is None else linear.bias.detach().to(dtype)
        return lay_out_product(_gained(weight, gain_I).to(dtype), bias, self.num_rows)

    def _rope_weights(self) -> tuple[Tensor, Tensor]:
        """What the q/k norms multiply by (L, H + K, E), and the same with the halves of each head exchanged."""
        shape = self.model.shape
        gains = []
        for layer in self.model.stack:
            attention = layer.attention
            heads = ((attention.query_norm, shape.heads), (attention.key_norm, shape.num_kv_heads))
            for norm, num_heads in heads:
                gain = None if norm is None else rms_gain(norm)
                gain = torch.ones(shape.size_of_head, device=self.device) if gain is None else gain
                gains.append(gain.expand(num_heads, -1))
        weights_LJE = torch.cat(gains).view(shape.layers, -1, shape.size_of_head)
        return weights_LJE, weights_LJE.roll(shape.size_of_head // 2, -1)

    def rope_tables(self, length: int) -> tuple[Tensor, Tensor]:
        """Factors of a head and of its exchanged halves, (S, L, 1, E) each, for positions 0 .. length - 1."""
        model = self.model
        tables = model.rope(length, self.device)
        chosen = [tables[1] if model.shape.is_local(layer) else tables[0] for layer in range(model.shape.layers)]
        pairs = [pair for pair in chosen if pair is not None]
        cosine_SLE = torch.stack([torch.cat((cosine, cosine), -1) for cosine, _ in pairs], 1)
        sine_SLE = torch.stack([torch.cat((-sine, sine), -1) for _, sine in pairs], 1)
        return cosine_SLE[:, :, None], sine_SLE[:, :, None]


def _gained(weight_OI: Tensor, gain_I: Tensor | None) -> Tensor:
    """The weight that, behind a norm without weight, does what norm and weight did."""
    return weight_OI.detach() if gain_I is None else weight_OI.detach().float() * gain_I
