"""Which architecture of transformers computes what a shape computes, exactly.

A shape need not look like its counterpart. Biases that it lacks are zeros there, factors are folded into the weights
they multiply, and even a bias of the head has its place behind a LayerNorm (see `folded_head` in weights.py). What no
weights can express has no counterpart: then the portable presets are named.
"""

from dataclasses import dataclass
from typing import Literal

from fabula.errors import InputError
from fabula.recipe.schema import Model

Family = Literal["gpt2", "starcoder2", "llama", "arcee", "qwen3", "gemma3_text"]

ARCHITECTURES: dict[Family, str] = {
    "gpt2": "GPT2LMHeadModel",
    "starcoder2": "Starcoder2ForCausalLM",
    "llama": "LlamaForCausalLM",
    "arcee": "ArceeForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "gemma3_text": "Gemma3ForCausalLM",
}
EXACT = frozenset(
    {
        "layers", "context", "vocabulary", "tied", "embedding_scale", "norm_epsilon", "attention_bias",
        "attention_output_bias", "query_scale", "feed_forward_width",
    }
)  # fmt: skip
"""Fields of a shape that leave with any value, as a number of the configuration or folded into weights."""
CHECKED = frozenset(
    {
        "width", "heads", "kv_heads", "head_width", "head_bias", "positions", "rope_base", "rope_local_base",
        "sliding_window", "global_every", "norm", "post_norm", "qk_norm", "feed_forward", "feed_forward_bias",
        "logit_cap",
    }
)  # fmt: skip
"""Those that leave with the values for which `_nearest` finds an architecture. All others must be off."""
PORTABLE = "modern-portable, llama-nano or gemma3-nano, which transformers and llama.cpp run"


@dataclass(frozen=True)
class Counterpart:
    """Where a shape lives in transformers, and what had to be rewritten to fit."""

    family: Family
    untied: bool
    """The head is written as a tensor of its own."""
    folded: tuple[str, ...]
    """What was folded into weights, in words."""

    @property
    def architecture(self) -> str:
        return ARCHITECTURES[self.family]


def find_counterpart(shape: Model) -> Counterpart:
    """The counterpart of `shape`. Raises InputError, with reasons and a portable alternative, where there is none."""
    family, reasons = _nearest(shape)
    if reasons:
        raise InputError(
            f"no architecture of transformers computes this model exactly: {', '.join(reasons)} together with the "
            f"rest of it. Train {PORTABLE}"
        )
    return _counterpart(shape, family)


def has_counterpart(shape: Model) -> bool:
    """Whether an architecture of transformers computes `shape` exactly."""
    return not _nearest(shape)[1]


def _nearest(shape: Model) -> tuple[Family, list[str]]:
    """The architecture that comes nearest, and what of `shape` it cannot compute."""
    windowed = any(0 < shape.sliding_window < shape.context and shape.is_local(each) for each in range(shape.layers))
    # A window as long as the context never hides anything, but its layers keep their own RoPE base.
    two_bases = (
        shape.positions == "rope"
        and shape.rope_base != shape.rope_local_base
        and any(shape.is_local(each) for each in range(shape.layers))
    )
    family = _family(shape, windowed or two_bases)
    reasons = [f"model.{name}" for name in shape.switched_on() if name not in EXACT | CHECKED]
    if shape.logit_cap and family != "gemma3_text":
        reasons.append("a logit cap")
    if shape.head_bias and shape.norm != "layernorm":
        reasons.append("a head bias behind RMSNorm")
    if (windowed or two_bases) and family != "gemma3_text":
        reasons.append("sliding-window layers")
    if shape.post_norm and family != "gemma3_text":
        reasons.append("norms after each half of a layer")
    if shape.qk_norm and family not in ("qwen3", "gemma3_text"):
        reasons.append("q/k norms")
    if shape.feed_forward_bias and family in ("qwen3", "gemma3_text"):
        reasons.append("feed-forward biases")
    if shape.positions == "learned" and family != "gpt2":
        reasons.append("learned positions")
    if family == "gpt2" and shape.num_kv_heads != shape.heads:
        reasons.append("grouped keys with learned positions")
    if family == "gpt2" and shape.heads * shape.size_of_head != shape.width:
        reasons.append("heads whose widths do not add up to the model's")
    if shape.gated and family in ("gpt2", "starcoder2"):
        reasons.append("a gated feed-forward behind LayerNorm")
    if not shape.gated and family in ("qwen3", "gemma3_text"):
        reasons.append("a feed-forward without a gate")
    if shape.width % shape.heads:
        reasons.append(f"a width ({shape.width}) that is not a multiple of the heads ({shape.heads})")
    return family, reasons


def _family(shape: Model, windowed: bool) -> Family:
    """The architecture that comes nearest; what it lacks is found by `_nearest`."""
    if shape.norm == "layernorm":
        return "gpt2" if shape.positions == "learned" else "starcoder2"
    if windowed or shape.post_norm or shape.logit_cap:
        return "gemma3_text"
    if shape.qk_norm:
        return "qwen3"
    return "llama" if shape.gated else "arcee"


def _counterpart(shape: Model, family: Family) -> Counterpart:
    folded = []
    scaled = (shape.embedding_scale == "sqrt_width") != (family == "gemma3_text")
    if scaled:
        folded.append("the factor of the embedding")
    if shape.head_bias:
        folded.append("the bias of the head")
    if query_factor(shape) != 1.0:
        folded.append("the scale of the queries")
    if family in ("llama", "arcee", "qwen3") and shape.norm != "rmsnorm":
        folded.append("the weights of the norms")
    if family == "gemma3_text" and shape.norm != "rmsnorm_plus_one":
        folded.append("the weights of the norms")
    return Counterpart(family, not shape.tied or scaled or shape.head_bias, tuple(folded))


def query_factor(shape: Model) -> float:
    """What queries are multiplied by on top of the usual head_width ** -0.5."""
    return shape.query_scale * shape.size_of_head**0.5 if shape.query_scale else 1.0
