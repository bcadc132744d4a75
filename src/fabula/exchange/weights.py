"""Weights and configurations of Hugging Face architectures, from fabula's and back.

Shapes: D width, E head width, V vocabulary, J heads of queries, keys and values together.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from fabula.exchange.architectures import Counterpart, query_factor
from fabula.recipe.schema import Model

Tensors = dict[str, Tensor]

ACTIVATIONS = {
    "relu": "relu",
    "relu_squared": "relu2",
    "gelu": "gelu",
    "gelu_tanh": "gelu_pytorch_tanh",
    "swiglu": "silu",
    "geglu_tanh": "gelu_pytorch_tanh",
}


def hf_config(shape: Model, vocabulary: int, counterpart: Counterpart, eot: int) -> dict[str, Any]:
    """The content of config.json. Field names are those that transformers 4 and 5 and vLLM all read."""
    config: dict[str, Any] = {
        "architectures": [counterpart.architecture],
        "model_type": counterpart.family,
        "vocab_size": vocabulary,
        "bos_token_id": eot,
        "eos_token_id": eot,
        "pad_token_id": None,
        "tie_word_embeddings": not counterpart.untied,
        "dtype": "float32",
    }
    activation = ACTIVATIONS[shape.feed_forward]
    if counterpart.family == "gpt2":
        return config | {
            "n_positions": shape.context,
            "n_embd": shape.width,
            "n_layer": shape.layers,
            "n_head": shape.heads,
            "n_inner": shape.size_of_feed_forward,
            "activation_function": activation,
            "layer_norm_epsilon": shape.norm_epsilon,
            "resid_pdrop": 0.0,
            "embd_pdrop": 0.0,
            "attn_pdrop": 0.0,
        }
    biased = shape.attention_bias or shape.attention_output_bias
    config |= {
        "hidden_size": shape.width,
        "intermediate_size": shape.size_of_feed_forward,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.num_kv_heads,
        "head_dim": shape.size_of_head,
        "hidden_act": activation,
        "max_position_embeddings": shape.context,
        "rope_theta": shape.rope_base,
        "attention_bias": biased,
        "attention_dropout": 0.0,
    }
    if counterpart.family == "starcoder2":
        return config | {
            "norm_epsilon": shape.norm_epsilon,
            "use_bias": biased or shape.feed_forward_bias,
            "sliding_window": None,
            "residual_dropout": 0.0,
            "embedding_dropout": 0.0,
        }
    config["rms_norm_eps"] = shape.norm_epsilon
    if counterpart.family in ("llama", "arcee"):
        config["mlp_bias"] = shape.feed_forward_bias
    if counterpart.family == "gemma3_text":
        del config["hidden_act"]
        local = [shape.is_local(each) for each in range(shape.layers)]
        config |= {
            "hidden_activation": activation,
            "rope_local_base_freq": shape.rope_local_base,
            "query_pre_attn_scalar": shape.size_of_head,
            "sliding_window": shape.sliding_window or shape.context,
            "sliding_window_pattern": shape.global_every,
            "layer_types": ["sliding_attention" if each else "full_attention" for each in local],
            "final_logit_softcapping": shape.logit_cap or None,
            "attn_logit_softcapping": None,
        }
    return config


def hf_weights(shape: Model, state: Mapping[str, Tensor], counterpart: Counterpart) -> Tensors:
    """The tensors of `state` (a Decoder's state_dict) under its counterpart's names and in its form; float32."""
    state = {name: tensor.float() for name, tensor in state.items()}
    if counterpart.family == "gpt2":
        return _to_gpt2(shape, state, counterpart)
    tensors: Tensors = {}
    embedding = state["embedding.weight"]
    gemma = counterpart.family == "gemma3_text"
    if shape.embedding_scale == "sqrt_width" and not gemma:
        embedding = embedding * shape.width**0.5
    if shape.embedding_scale == "one" and gemma:
        embedding = embedding * shape.width**-0.5
    tensors["model.embed_tokens.weight"] = embedding
    for index in range(shape.layers):
        _layer_to_hf(shape, state, counterpart, index, tensors)
    if shape.norm == "layernorm":
        head, weight, bias = _final_layernorm(shape, state)
        tensors |= {"model.norm.weight": weight, "model.norm.bias": bias}
    else:
        tensors["model.norm.weight"] = _norm_weight(shape, state, "final_norm", shape.width, gemma)
        head = state["embedding.weight"] if shape.tied else state["head"]
    if counterpart.untied:
        tensors["lm_head.weight"] = head
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def folded_head(head_VD: Tensor, bias_V: Tensor, norm_weight_D: Tensor, norm_bias_D: Tensor) -> Tensor:
    """A head without bias that, behind a LayerNorm of weight and bias 1, gives what head, bias and norm gave.

    What a LayerNorm normalises has mean zero, n. Behind weight 1 and bias 1 stands h = n + 1, whose mean is always 1: a
    constant to multiply the bias with. With G = W diag(g), a = mean of each row of G, and c = W beta + b:
      (G - a 1' + c 1' / D) h = G n + c = W (g n + beta) + b.
    """
    gained_VD = head_VD.double() * norm_weight_D.double()
    constant_V = head_VD.double() @ norm_bias_D.double() + bias_V.double()
    width = head_VD.shape[1]
    return (gained_VD - gained_VD.mean(1, keepdim=True) + constant_V[:, None] / width).float()


def _final_layernorm(shape: Model, state: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Head, and weight and bias of the norm before it."""
    head = state["embedding.weight"] if shape.tied else state["head"]
    weight, bias = state["final_norm.weight"], state["final_norm.bias"]
    if not shape.head_bias:
        return head, weight, bias
    return folded_head(head, state["head_bias"], weight, bias), torch.ones_like(weight), torch.ones_like(bias)


def _norm_weight(shape: Model, state: Mapping[str, Tensor], name: str, width: int, plus_one: bool) -> Tensor:
    """The weight of an RMSNorm in a counterpart that multiplies by it, or by 1 + it."""
    if shape.norm == "rmsnorm_bare":
        return torch.zeros(width) if plus_one else torch.ones(width)
    have_plus_one = shape.norm == "rmsnorm_plus_one"
    return state[f"{name}.weight"] + float(have_plus_one) - float(plus_one)


def _layer_to_hf(
    shape: Model, state: Mapping[str, Tensor], counterpart: Counterpart, index: int, tensors: Tensors
) -> None:
    ours, theirs = f"layers.{index}.", f"model.layers.{index}."
    gemma = counterpart.family == "gemma3_text"
    norms = {"attention_norm": "input_layernorm", "feed_forward_norm": "post_attention_layernorm"}
    if gemma:
        norms = {
            "attention_norm": "input_layernorm",
            "attention_post_norm": "post_attention_layernorm",
            "feed_forward_norm": "pre_feedforward_layernorm",
            "feed_forward_post_norm": "post_feedforward_layernorm",
        }
    for our_name, their_name in norms.items():
        if shape.norm == "layernorm":
            tensors[f"{theirs}{their_name}.weight"] = state[f"{ours}{our_name}.weight"]
            tensors[f"{theirs}{their_name}.bias"] = state[f"{ours}{our_name}.bias"]
        else:
            weight = _norm_weight(shape, state, ours + our_name, shape.width, gemma)
            tensors[f"{theirs}{their_name}.weight"] = weight
    queries, keys = shape.heads * shape.size_of_head, shape.num_kv_heads * shape.size_of_head
    # A norm of the queries undoes any factor before it, so there the factor goes into the norm's weight.
    factor = 1.0 if shape.qk_norm else query_factor(shape)
    weights = dict(zip("qkv", state[f"{ours}attention.qkv.weight"].split((queries, keys, keys)), strict=True))
    weights["q"] = weights["q"] * factor
    weights["o"] = state[f"{ours}attention.out.weight"]
    for name, weight in weights.items():
        tensors[f"{theirs}self_attn.{name}_proj.weight"] = weight
    biased = shape.attention_bias or shape.attention_output_bias
    if biased or (counterpart.family == "starcoder2" and shape.feed_forward_bias):
        qkv = state.get(f"{ours}attention.qkv.bias", torch.zeros(queries + 2 * keys))
        biases = dict(zip("qkv", qkv.split((queries, keys, keys)), strict=True))
        biases["q"] = biases["q"] * factor
        biases["o"] = state.get(f"{ours}attention.out.bias", torch.zeros(shape.width))
        for name, bias in biases.items():
            tensors[f"{theirs}self_attn.{name}_proj.bias"] = bias
    if shape.qk_norm:
        q, k = (_qk_norm_weight(shape, state, f"{ours}attention.{each}_norm") for each in ("query", "key"))
        tensors[f"{theirs}self_attn.q_norm.weight"] = q * query_factor(shape) - float(gemma)
        tensors[f"{theirs}self_attn.k_norm.weight"] = k - float(gemma)
    up, down = state[f"{ours}feed_forward.up.weight"], state[f"{ours}feed_forward.down.weight"]
    names = ("c_fc", "c_proj") if counterpart.family == "starcoder2" else ("up_proj", "down_proj")
    inner = shape.size_of_feed_forward
    if shape.gated:
        tensors[f"{theirs}mlp.gate_proj.weight"], up = up.split(inner)
    tensors |= {f"{theirs}mlp.{names[0]}.weight": up, f"{theirs}mlp.{names[1]}.weight": down}
    if shape.feed_forward_bias or (counterpart.family == "starcoder2" and biased):
        width_in = inner * (2 if shape.gated else 1)
        up_bias = state.get(f"{ours}feed_forward.up.bias", torch.zeros(width_in))
        if shape.gated:
            tensors[f"{theirs}mlp.gate_proj.bias"], up_bias = up_bias.split(inner)
        down_bias = state.get(f"{ours}feed_forward.down.bias", torch.zeros(shape.width))
        tensors |= {f"{theirs}mlp.{names[0]}.bias": up_bias, f"{theirs}mlp.{names[1]}.bias": down_bias}


def _qk_norm_weight(shape: Model, state: Mapping[str, Tensor], name: str) -> Tensor:
    """What the q/k norm multiplies by. Beside LayerNorm it is a plain RMSNorm."""
    if shape.norm == "rmsnorm_bare":
        return torch.ones(shape.size_of_head)
    return state[f"{name}.weight"] + float(shape.norm == "rmsnorm_plus_one")


def _to_gpt2(shape: Model, state: Mapping[str, Tensor], counterpart: Counterpart) -> Tensors:
    factor = shape.width**0.5 if shape.embedding_scale == "sqrt_width" else 1.0
    tensors: Tensors = {
        "transformer.wte.weight": state["embedding.weight"] * factor,
        "transformer.wpe.weight": state["positions.weight"],
    }
    D = shape.width
    for index in range(shape.layers):
        ours, theirs = f"layers.{index}.", f"transformer.h.{index}."
        for our_name, their_name in (("attention_norm", "ln_1"), ("feed_forward_norm", "ln_2")):
            for part in ("weight", "bias"):
                tensors[f"{theirs}{their_name}.{part}"] = state[f"{ours}{our_name}.{part}"]
        scale = torch.ones(3 * D)
        scale[:D] = query_factor(shape)
        # GPT-2's linear maps are stored the other way round, (in, out).
        tensors[f"{theirs}attn.c_attn.weight"] = (state[f"{ours}attention.qkv.weight"] * scale[:, None]).T
        tensors[f"{theirs}attn.c_attn.bias"] = state.get(f"{ours}attention.qkv.bias", torch.zeros(3 * D)) * scale
        for our_name, their_name, size in (
            ("attention.out", "attn.c_proj", D),
            ("feed_forward.up", "mlp.c_fc", shape.size_of_feed_forward),
            ("feed_forward.down", "mlp.c_proj", D),
        ):
            tensors[f"{theirs}{their_name}.weight"] = state[f"{ours}{our_name}.weight"].T
            tensors[f"{theirs}{their_name}.bias"] = state.get(f"{ours}{our_name}.bias", torch.zeros(size))
    head, weight, bias = _final_layernorm(shape, state)
    tensors |= {"transformer.ln_f.weight": weight, "transformer.ln_f.bias": bias}
    if counterpart.untied:
        tensors["lm_head.weight"] = head
    return {name: tensor.contiguous() for name, tensor in tensors.items()}
