"""Models of transformers with every weight random, small enough to compare with in an instant."""

from typing import Any

import torch
import transformers
from transformers import PreTrainedModel

VOCABULARY = 97
SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "num_hidden_layers": 3,
    "max_position_embeddings": 40,
    "attention_dropout": 0.0,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": 0,
}
GEMMA = SIZES | {
    "num_hidden_layers": 7,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "query_pre_attn_scalar": 25,
    "sliding_window": 7,
    "rope_theta": 1e6,
    "rope_local_base_freq": 1e4,
}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "gemma3": ("Gemma3", GEMMA),
    "gemma3, one global layer, untied, capped": (
        "Gemma3",
        GEMMA | {"sliding_window_pattern": 3, "tie_word_embeddings": False, "final_logit_softcapping": 5.0},
    ),
    "gemma3, window beyond the rows": ("Gemma3", GEMMA | {"sliding_window": 64}),
    "llama": ("Llama", SIZES | {"rope_theta": 5e5}),
    "llama, tied, biased, wide heads": (
        "Llama",
        SIZES | {"tie_word_embeddings": True, "attention_bias": True, "mlp_bias": True, "head_dim": 12},
    ),
    "qwen3": ("Qwen3", SIZES | {"head_dim": 16}),
    "arcee": ("Arcee", SIZES),
    "starcoder2": ("Starcoder2", SIZES | {"sliding_window": None, "residual_dropout": 0.0, "embedding_dropout": 0.0}),
    "gpt2": (
        "GPT2",
        {"vocab_size": VOCABULARY, "n_positions": 40, "n_embd": 48, "n_layer": 3, "n_head": 4, "bos_token_id": 0}
        | {"eos_token_id": 0, "pad_token_id": 0, "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0},
    ),
    "gpt2, relu, untied": (
        "GPT2",
        {"vocab_size": VOCABULARY, "n_positions": 40, "n_embd": 48, "n_layer": 3, "n_head": 4, "bos_token_id": 0}
        | {"eos_token_id": 0, "pad_token_id": 0, "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
        | {"activation_function": "relu", "tie_word_embeddings": False, "n_inner": 60},
    ),
}


def reference(case: str, seed: int = 0) -> PreTrainedModel:
    """The reference model of a case, in float32 and evaluation mode."""
    kind, fields = CASES[case]
    config_class = getattr(transformers, f"{kind}TextConfig" if kind == "Gemma3" else f"{kind}Config")
    config = config_class(**fields, dtype="float32")
    model_class = getattr(transformers, "GPT2LMHeadModel" if kind == "GPT2" else f"{kind}ForCausalLM")
    torch.manual_seed(seed)
    model: PreTrainedModel = model_class(config).float().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape) * 0.2
            parameter.copy_(parameter + noise if "norm" in name or "ln_" in name else noise)
    return model


def relative_difference(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """max |difference| / max |reference|, the measure of every comparison here."""
    return float((ours - theirs).abs().max() / theirs.abs().max())
