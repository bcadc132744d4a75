"""Small shapes that between them use every ingredient of the family."""

import torch

from fabula.model.decoder import Decoder
from fabula.model.initialization import initialize
from fabula.recipe.schema import Initialization, Model

GPT = Model(layers=2, width=48, heads=4, context=24)
GPT2 = Model(
    layers=2, width=48, heads=4, context=24, head_bias=False, embedding_scale="one", attention_bias=True,
    feed_forward="gelu_tanh",
)  # fmt: skip
GEMMA = Model(
    layers=7, width=48, heads=4, kv_heads=1, head_width=16, context=24, head_bias=False, positions="rope",
    rope_base=1e6, rope_local_base=1e4, sliding_window=5, norm="rmsnorm_plus_one", norm_epsilon=1e-6, post_norm=True,
    qk_norm=True, query_scale=0.2, attention_output_bias=False, feed_forward="geglu_tanh", feed_forward_width=96,
    feed_forward_bias=False,
)  # fmt: skip
LLAMA = Model(
    layers=3, width=48, heads=6, kv_heads=2, context=24, tied=False, head_bias=False, embedding_scale="one",
    positions="rope", norm="rmsnorm", attention_output_bias=False, feed_forward="swiglu", feed_forward_width=80,
    feed_forward_bias=False,
)  # fmt: skip
OTHERS = Model(
    layers=2, width=48, heads=4, kv_heads=2, context=24, tied=False, positions="rope", norm="rmsnorm_bare",
    qk_norm=True, feed_forward="relu_squared", logit_cap=5.0,
)  # fmt: skip
MODERN = Model(
    layers=3, width=48, heads=4, kv_heads=2, context=24, tied=False, head_bias=False, embedding_scale="one",
    previous_token=True, embedding_norm=True, value_embeddings=True, positions="rope", norm="rmsnorm", qk_norm=True,
    attention_output_bias=False, feed_forward="relu_squared", feed_forward_bias=False,
)  # fmt: skip
NORMS = GPT.model_copy(update={"qk_norm": True, "post_norm": True, "kv_heads": 2})
ALL = {"gpt": GPT, "gpt2": GPT2, "gemma": GEMMA, "llama": LLAMA, "others": OTHERS, "modern": MODERN, "norms": NORMS}
VOCABULARY = 97


def build(shape: Model, std: float = 0.2, seed: int = 0, dtype: torch.dtype = torch.float32) -> Decoder:
    """A decoder with every weight random, norms and biases too, so that no term hides behind a zero or a one."""
    model = Decoder(shape, VOCABULARY, dtype)
    initialize(model, Initialization(std=std), seed)
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name or name.endswith(("bias", "previous_token")):
                parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return model
