"""A model and a tokenizer as bytes, with the table by which the page finds its way in them.

engine/decoder.js reads the first, engine/tokenizer.js the second.
"""

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from fabula.data.tokenizers.tokenizer import ByteLevelTokenizer, Tokenizer
from fabula.errors import InputError
from fabula.exchange.html.quantization import Rows, quantized
from fabula.model.decoder import Decoder
from fabula.model.layers import rope_frequencies
from fabula.recipe.schema import Model

ACTIVATIONS = {"relu": 0, "relu_squared": 1, "gelu": 2, "gelu_tanh": 3, "geglu_tanh": 3, "swiglu": 4}
"""As `activation` of engine/kernels.c counts them."""

COMPUTED = frozenset(
    {
        "layers", "width", "heads", "kv_heads", "head_width", "context", "vocabulary", "tied", "head_bias",
        "embedding_scale", "previous_token", "embedding_norm", "value_embeddings", "positions", "rope_base",
        "rope_local_base", "sliding_window", "global_every", "norm", "norm_epsilon", "post_norm", "qk_norm",
        "attention_bias", "attention_output_bias", "query_scale", "feed_forward", "feed_forward_width",
        "feed_forward_bias", "logit_cap",
    }
)  # fmt: skip
"""The fields of a shape that engine/decoder.js computes, with any values: tests/exchange/html/test_engine.py. Others
must be off."""

ALIGNMENT = 16


@dataclass(frozen=True)
class PackedModel:
    header: dict[str, Any]
    """What decoder.js asks of the shape, and where each tensor lies in `content`."""
    content: bytes


def pack_model(model: Decoder, end_of_text: bool) -> PackedModel:
    """`end_of_text`: whether a story begins with that token. Raises InputError for a shape that the page cannot compute
    and for weights that are not finite."""
    shape = model.shape
    refuse_unknown(shape)
    state = dict(model.state_dict())
    if shape.norm == "rmsnorm_plus_one":
        state |= {name: each + 1.0 for name, each in state.items() if name.endswith("norm.weight")}
    if shape.positions == "rope":
        cpu = torch.device("cpu")
        state["rope.global"] = rope_frequencies(shape.size_of_head, shape.rope_base, cpu)
        if shape.sliding_window:
            state["rope.local"] = rope_frequencies(shape.size_of_head, shape.rope_local_base, cpu)
    content = bytearray()

    def put(values: np.ndarray) -> int:
        content.extend(bytes(-len(content) % ALIGNMENT))
        place = len(content)
        content.extend(values.tobytes())
        return place

    tensors: dict[str, dict[str, int]] = {}
    for name, each in quantized(state).items():
        if isinstance(each, Rows):
            rows, columns = each.integers_VD.shape
            places = {"integers": put(each.integers_VD), "scales": put(each.scales_V)}
            tensors[name] = {"rows": rows, "columns": columns, **places}
        else:
            tensors[name] = {"floats": put(each)}
    header = {**_shape(shape, model), "end_of_text": end_of_text, "tensors": tensors, "num_bytes": len(content)}
    return PackedModel(header, bytes(content))


def refuse_unknown(shape: Model) -> None:
    """Raise InputError where a shape has a part that the page does not compute."""
    if unknown := [name for name in shape.switched_on() if name not in COMPUTED]:
        raise InputError(f"model.{unknown[0]} is not known to the page's decoder; use --to hf")


def _shape(shape: Model, model: Decoder) -> dict[str, Any]:
    return {
        "layers": shape.layers,
        "width": shape.width,
        "heads": shape.heads,
        "kv_heads": shape.num_kv_heads,
        "head_width": shape.size_of_head,
        "inner": shape.size_of_feed_forward,
        "context": shape.context,
        "vocabulary": model.vocabulary,
        "embedding_factor": model.embedding_scale,
        "embedding_norm": shape.embedding_norm,
        "windows": [layer.attention.window for layer in model.stack],
        "centred": int(shape.norm == "layernorm"),
        "epsilon": shape.norm_epsilon,
        "post_norm": shape.post_norm,
        "qk_norm": shape.qk_norm,
        "query_scale": model.stack[0].attention.scale,
        "activation": ACTIVATIONS[shape.feed_forward],
        "gated": shape.gated,
        "logit_cap": shape.logit_cap,
    }


def pack_tokenizer(tokenizer: Tokenizer) -> bytes:
    """How many tokens there are and which ends a text, the length of each (0: none), and their bytes end to end.

    Raises InputError for a tokenizer with rules of its own, and for a token that no story could have.
    """
    if not isinstance(tokenizer, ByteLevelTokenizer):
        raise InputError("an HTML file cannot hold this tokenizer's rules; use --to hf, or train on gpt2 or bpe:8192")
    tokens = [b""] * tokenizer.vocabulary
    for token, rank in tokenizer.ranks.items():
        tokens[rank] = token
    lengths = [len(token) for token in tokens]
    if max(lengths) > 0xFFFF:
        raise InputError(
            f"the tokenizer has a token of {max(lengths):,} bytes, which an HTML file cannot hold; use --to hf"
        )
    return struct.pack(f"<II{len(tokens)}H", len(tokens), tokenizer.eot, *lengths) + b"".join(tokens)
