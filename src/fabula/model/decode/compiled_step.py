"""A decoding step with compiled parts between the matrix products (compiled_step.c): float32, on a processor, few rows.

Products stay the library's, with its threads. What is between them runs on one: for few rows it is shorter than what
starting the others would take.

Shapes: B rows, D width, F feed-forward width, H query heads, K key/value heads, G queries a key head serves (H / K),
J all heads (H + 2 K), E head width, S slots, T positions, V vocabulary.
"""

import ctypes
from collections.abc import Mapping, Sequence
from ctypes import Structure, addressof, c_float, c_int64, c_void_p
from pathlib import Path

import torch
from torch import Tensor

from fabula.model.decode.kv_cache import LayerCache, Visibility
from fabula.model.decode.weights import DecodingNorm, DecodingWeights, rms_gain
from fabula.model.decoder import Decoder
from fabula.model.kernels.build import Native, load_native
from fabula.model.layers import Attention, Norm

MOST_ROWS = 32
"""Above it the library's attention on several threads is the faster one."""
KINDS = ("relu", "relu_squared", "gelu", "gelu_tanh", "swiglu")
"""Feed-forwards in the order of compiled_step.c; `geglu_tanh` has the activation of `gelu_tanh`."""


class _Norm(Structure):
    _fields_ = (
        ("width", c_int64),
        ("layernorm", c_int64),
        ("weight_D", c_void_p),
        ("bias_D", c_void_p),
        ("epsilon", c_float),
    )


class _Attention(Structure):
    _fields_ = (
        ("heads", c_int64),
        ("kv_heads", c_int64),
        ("head_width", c_int64),
        ("slots", c_int64),
        ("gain_2E", c_void_p),
        ("cosine_TE", c_void_p),
        ("sine_TE", c_void_p),
        ("values_VKE", c_void_p),
        ("both_BJSE", c_void_p),
        ("epsilon", c_float),
        ("scale", c_float),
    )


class _Step(Structure):
    _fields_ = (
        ("rows", c_int64),
        ("time", c_int64),
        ("slot", c_int64),
        ("used", c_int64),
        ("padding_B", c_void_p),
        ("token_B", c_void_p),
        ("bias_BS", c_void_p),
        ("scores_S", c_void_p),
    )


def find_native(model: Decoder, num_rows: int) -> Native:
    """The compiled functions for decoding `num_rows` rows, or why they are not used."""
    device = model.embedding.weight.device.type
    if device != "cpu":
        return Native(None, f"the model is on {device}")
    if model.compute_dtype != torch.float32:
        return Native(None, "products are not in float32")
    if num_rows > MOST_ROWS:
        return Native(None, f"more than {MOST_ROWS} rows")
    native = load_native(Path(__file__).with_suffix(".c"))
    if native.library is not None:
        for name, arguments in {
            "add_and_normalize": (c_void_p, c_void_p, c_int64, c_void_p, c_void_p, c_void_p),
            "attend": (c_void_p, c_void_p, c_void_p, c_void_p),
            "activate": (c_int64, c_int64, c_int64, c_int64, c_void_p, c_void_p),
        }.items():
            function = getattr(native.library, name)  # [name] would make another each time
            function.argtypes, function.restype = arguments, None
    return native


class BetweenProducts:
    """The layers of a decoding step, over the caches of a batch as they are now."""

    def __init__(
        self, library: ctypes.CDLL, weights: DecodingWeights, caches: Sequence[LayerCache], padding_B: Tensor
    ) -> None:
        shape, num_rows = weights.model.shape, len(padding_B)
        longest = max(cache.slots for cache in caches)
        self.library, self.weights, self.num_rows, self.padding_B = library, weights, num_rows, padding_B
        self._kept: list[Tensor | Structure] = [padding_B]
        """What the structures point to has to outlive them."""
        self.scores_S = torch.empty(longest)
        self.steps = {
            cache.slots: _Step(rows=num_rows, padding_B=padding_B.data_ptr(), scores_S=self.scores_S.data_ptr())
            for cache in caches
        }
        tables = weights.model.rope(longest, weights.device)
        self.attentions = [
            self._attention(layer.attention, cache, tables[1 if shape.is_local(index) else 0], index)
            for index, (layer, cache) in enumerate(zip(weights.model.stack, caches, strict=True))
        ]
        self.slots = [cache.slots for cache in caches]
        # The weights of an RMSNorm before a product are in the product already.
        self.norms = [
            (self._norm(layer.attention_norm), self._norm(layer.feed_forward_norm)) for layer in weights.layers
        ]
        self.post_norms = [
            (self._post_norm(layer.attention_post), self._post_norm(layer.feed_forward_post))
            for layer in weights.layers
        ]
        self.next_norms = [*(first for first, _ in self.norms[1:]), self._norm(weights.final_norm)]
        self.gated, self.kind = shape.gated, KINDS.index(shape.feed_forward.replace("geglu", "gelu"))
        self.width_of_feed_forward = shape.size_of_feed_forward
        self.y_BD = torch.empty(num_rows, shape.width)
        self.y_BHE = torch.empty(num_rows, shape.heads * shape.size_of_head)
        self.y_BF = torch.empty(num_rows, shape.size_of_feed_forward)

    def hidden(self, x_BD: Tensor, tokens_B: Tensor, time: int, visibility: Mapping[int, Visibility]) -> Tensor:
        """Normalised hidden states (B, D) of the embeddings `x_BD`; both are overwritten by what follows."""
        tokens_B, x_BD = tokens_B.long().contiguous(), x_BD.contiguous()
        places = {}
        for slots, step in self.steps.items():
            slot, used, bias = visibility[slots].step(time)
            step.time, step.slot, step.used, step.token_B = time, slot, used, tokens_B.data_ptr()
            step.bias_BS = None if bias is None else bias.data_ptr()
            places[slots] = addressof(step)
        add_and_normalize, attend, activate = self.library.add_and_normalize, self.library.attend, self.library.activate
        B, y_BD, y_BHE, y_BF = self.num_rows, self.y_BD, self.y_BHE, self.y_BF
        x, y, y_heads, y_inner = x_BD.data_ptr(), y_BD.data_ptr(), y_BHE.data_ptr(), y_BF.data_ptr()
        add_and_normalize(None, self.norms[0][0], B, x, None, y)
        for layer, attention, slots, norms, posts, after in zip(
            self.weights.layers, self.attentions, self.slots, self.norms, self.post_norms, self.next_norms, strict=True
        ):
            heads_BJE = layer.qkv(y_BD)
            attend(attention, places[slots], heads_BJE.data_ptr(), y_heads)
            added_BD = layer.out(y_BHE)
            add_and_normalize(posts[0], norms[1], B, x, added_BD.data_ptr(), y)
            inner_BF = layer.up(y_BD)
            activate(self.kind, self.gated, B, self.width_of_feed_forward, inner_BF.data_ptr(), y_inner)
            added_BD = layer.down(y_BF)
            add_and_normalize(posts[1], after, B, x, added_BD.data_ptr(), y)
        return y_BD

    def _keep(self, tensor: Tensor | None) -> int | None:
        """The address of a tensor's numbers, float32 and in order."""
        if tensor is None:
            return None
        tensor = tensor.detach().float().contiguous()
        self._kept.append(tensor)
        return tensor.data_ptr()

    def _norm(self, norm: DecodingNorm, gain_D: Tensor | None = None) -> int:
        weight_D = norm.weight if norm.layernorm else gain_D
        made = _Norm(norm.width, norm.layernorm, self._keep(weight_D), self._keep(norm.bias), norm.epsilon)
        self._kept.append(made)
        return addressof(made)

    def _post_norm(self, norm: DecodingNorm | None) -> int | None:
        return None if norm is None else self._norm(norm, norm.gain)

    def _attention(
        self, attention: Attention, cache: LayerCache, table: tuple[Tensor, Tensor] | None, index: int
    ) -> int:
        values = self.weights.model.value_tables
        gains_2E = None
        if attention.query_norm is not None and attention.key_norm is not None:
            norms = (attention.query_norm, attention.key_norm)
            gains_2E = torch.stack([_gain(norm, attention.head_width) for norm in norms])
        made = _Attention(
            heads=attention.heads,
            kv_heads=attention.kv_heads,
            head_width=attention.head_width,
            slots=cache.slots,
            gain_2E=self._keep(gains_2E),
            cosine_TE=None if table is None else self._keep(table[0]),
            sine_TE=None if table is None else self._keep(table[1]),
            values_VKE=self._keep(values[index].weight) if values else None,
            both_BJSE=self._keep(cache.both_BJSE),
            epsilon=0.0 if attention.query_norm is None else attention.query_norm.epsilon,
            scale=attention.scale,
        )
        self._kept.append(made)
        return addressof(made)


def _gain(norm: Norm, width: int) -> Tensor:
    gain_E = rms_gain(norm)
    return torch.ones(width) if gain_E is None else gain_E
