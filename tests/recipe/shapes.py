"""A plain shape, and for each of its fields another value."""

from typing import Any

PLAIN: dict[str, Any] = {"layers": 2, "width": 16, "heads": 2, "context": 8}
OTHER: dict[str, Any] = {
    "layers": 3, "width": 32, "kv_heads": 1, "head_width": 4, "context": 9, "vocabulary": 7, "tied": False,
    "head_bias": False, "embedding_scale": "one", "previous_token": True, "embedding_norm": True,
    "value_embeddings": True, "positions": "rope", "rope_base": 5.0, "rope_local_base": 5.0, "sliding_window": 3,
    "global_every": 2, "norm": "rmsnorm", "norm_epsilon": 0.1, "post_norm": True, "qk_norm": True,
    "attention_bias": True, "attention_output_bias": False, "query_scale": 0.5, "feed_forward": "swiglu",
    "feed_forward_width": 5, "feed_forward_bias": False, "logit_cap": 15.0,
}  # fmt: skip
