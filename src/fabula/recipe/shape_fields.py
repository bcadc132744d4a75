"""What each field of a model's shape means for counting its parameters and for leaving to other programs.

An allowlist: a field that does not stand here counts as nothing that an export knows, so none is made. Decoding has no
column: there is no field that it may leave out, and tests/model/test_generate.py asks it of each one.
"""

from typing import Literal, NamedTuple

Leaving = Literal["exactly", "checked", "never"]


class ShapeField(NamedTuple):
    counts: bool
    """The number of parameters depends on it."""
    leaves: Leaving
    """`exactly`: with any value, as a number of the configuration or folded into weights; `checked`: with the values
    that exchange/architectures.py finds an architecture for; `never`: only as it is by default."""
    words: str = ""
    """What a model with it has, for what never leaves."""


SHAPE_FIELDS = {
    "layers": ShapeField(True, "exactly"),
    "width": ShapeField(True, "checked"),
    "heads": ShapeField(True, "checked"),
    "kv_heads": ShapeField(True, "checked"),
    "head_width": ShapeField(True, "checked"),
    "context": ShapeField(True, "exactly"),
    "vocabulary": ShapeField(False, "exactly"),  # counted as the tokenizer says
    "tied": ShapeField(True, "exactly"),
    "head_bias": ShapeField(True, "checked"),
    "embedding_scale": ShapeField(False, "exactly"),
    "previous_token": ShapeField(True, "never", "the embedding of the previous token"),
    "embedding_norm": ShapeField(True, "never", "a norm behind the embedding"),
    "value_embeddings": ShapeField(True, "never", "value embeddings"),
    "positions": ShapeField(True, "checked"),
    "rope_base": ShapeField(False, "checked"),
    "rope_local_base": ShapeField(False, "checked"),
    "sliding_window": ShapeField(False, "checked"),
    "global_every": ShapeField(False, "checked"),
    "norm": ShapeField(True, "checked"),
    "norm_epsilon": ShapeField(False, "exactly"),
    "post_norm": ShapeField(True, "checked"),
    "qk_norm": ShapeField(True, "checked"),
    "attention_bias": ShapeField(True, "exactly"),
    "attention_output_bias": ShapeField(True, "exactly"),
    "query_scale": ShapeField(False, "exactly"),
    "feed_forward": ShapeField(True, "checked"),
    "feed_forward_width": ShapeField(True, "exactly"),
    "feed_forward_bias": ShapeField(True, "checked"),
    "logit_cap": ShapeField(False, "checked"),
}
