"""A plain shape, for each of its fields another value, and shapes of any ingredients."""

from typing import Any

from hypothesis import strategies as st

from fabula.recipe.schema import Model

PLAIN: dict[str, Any] = {"layers": 2, "width": 16, "heads": 2, "context": 8}
OTHER: dict[str, Any] = {
    "layers": 3, "width": 32, "kv_heads": 1, "head_width": 4, "context": 9, "vocabulary": 7, "tied": False,
    "head_bias": False, "embedding_scale": "one", "previous_token": True, "embedding_norm": True,
    "value_embeddings": True, "positions": "rope", "rope_base": 5.0, "rope_local_base": 5.0, "sliding_window": 3,
    "global_every": 2, "norm": "rmsnorm", "norm_epsilon": 0.1, "post_norm": True, "qk_norm": True,
    "attention_bias": True, "attention_output_bias": False, "query_scale": 0.5, "feed_forward": "swiglu",
    "feed_forward_width": 5, "feed_forward_bias": False, "logit_cap": 15.0,
}  # fmt: skip
DRAWN_APART = {"layers", "heads", "kv_heads", "head_width", "width", "context", "vocabulary", "norm", "feed_forward"}
SHAPES = st.builds(
    Model,
    layers=st.integers(1, 4), heads=st.sampled_from([1, 2, 4]), kv_heads=st.sampled_from([0, 1]),
    head_width=st.sampled_from([0, 2, 6]), width=st.sampled_from([8, 16]), context=st.integers(1, 9),
    **{
        name: st.sampled_from([field.get_default(), OTHER[name]])
        for name, field in Model.model_fields.items()
        if name not in DRAWN_APART
    },
    norm=st.sampled_from(["layernorm", "rmsnorm", "rmsnorm_plus_one", "rmsnorm_bare"]),
    feed_forward=st.sampled_from(["relu", "gelu", "gelu_tanh", "relu_squared", "swiglu", "geglu_tanh"]),
)  # fmt: skip
"""Every field, also one that is new."""
