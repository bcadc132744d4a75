"""A Hugging Face folder of a known architecture, as a shape and its weights."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from fabula.data.tokenizers.tokenizer import Tokenizer, load_tokenizer
from fabula.errors import InputError
from fabula.exchange.architectures import ARCHITECTURES
from fabula.model.decoder import Decoder
from fabula.model.load import read_weights
from fabula.recipe.schema import Model, first_error
from fabula.record.content.parsing import json_value

Tensors = dict[str, Tensor]

SAMPLE = 'Once upon a time, there was a little girl named Lily. "Let\'s play," she said, and 12 birds sang.'
"""Cut alike by two tokenizers, it has the same tokens in both."""

PLAIN = {"relu": "relu", "relu2": "relu_squared", "gelu": "gelu"} | dict.fromkeys(
    ("gelu_new", "gelu_pytorch_tanh", "gelu_fast"), "gelu_tanh"
)
GATED = {"silu": "swiglu", "swish": "swiglu", "gelu_pytorch_tanh": "geglu_tanh", "gelu_new": "geglu_tanh"}


def load_hf(folder: Path) -> tuple[Model, Tensors]:
    """Shape and weights (a Decoder's state_dict, in the types of the file) of a Hugging Face folder.

    Raises InputError for another architecture, for a feature of it that fabula lacks, for weights that are no
    safetensors, and for a config that does not fit its weights.
    """
    folder = Path(folder)
    config = _config(folder)
    try:
        shape, vocabulary = shape_of(config)
    except InputError as error:
        raise InputError(f"{folder}/{error}") from None
    stored = _Tensors(_tensors(folder))
    try:
        state = from_hf(shape, config["model_type"], stored)
    except KeyError as error:
        raise InputError(
            f"{folder} has no tensor {error.args[0]}, which its config.json asks for; fetch the model again"
        ) from None
    if left := sorted(name for name in set(stored) - stored.taken if not _is_no_weight(name, shape)):
        raise InputError(
            f"{folder} has a tensor {left[0]} that does not fit its config.json; its files do not belong together"
        )
    # First, because torch cannot even imagine an embedding of 1e18 rows.
    if (rows := len(state["embedding.weight"])) != vocabulary:
        raise InputError(
            f"{folder}/config.json has vocab_size = {vocabulary:,}, but the embedding has {rows:,} rows; the folder's "
            "files do not belong together"
        )
    with torch.device("meta"):
        expected = Decoder(shape, vocabulary).state_dict()
    for name, tensor in expected.items():
        if state[name].shape != tensor.shape:
            raise InputError(
                f"{folder}/config.json asks for {name} of shape {tuple(tensor.shape)}, but the weights have "
                f"{tuple(state[name].shape)}; the folder's files do not belong together"
            )
    return shape, state


class _Tensors(dict[str, Tensor]):
    """Tensors by name, which remember what was taken."""

    def __init__(self, tensors: Tensors) -> None:
        super().__init__(tensors)
        self.taken: set[str] = set()

    def __getitem__(self, name: str) -> Tensor:
        tensor = super().__getitem__(name)
        self.taken.add(name)
        return tensor


def _is_no_weight(name: str, shape: Model) -> bool:
    """Whether a file may hold `name` without the model needing it: masks and tables that older versions stored."""
    tables = (".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq")
    return name.endswith(tables) or (shape.tied and name == "lm_head.weight")


def check_tokenizer(folder: Path, data: Tokenizer) -> None:
    """Raise InputError if the tokenizer beside the weights cuts text otherwise than the data's.

    The weights would then meet other words than those they know. A folder without tokenizer.json passes.
    """
    path = folder / "tokenizer.json"
    if not path.is_file():
        return
    theirs = load_tokenizer(path)
    if theirs.encode(SAMPLE).tolist() != data.encode(SAMPLE).tolist():
        raise InputError(
            f"{path} splits text into other tokens than {data.name}, the tokenizer of the data, so the weights would "
            f"not fit; prepare the data with --tokenizer {path} and train with --set tokenizer={theirs.name}"
        )


def shape_of(config: Mapping[str, Any]) -> tuple[Model, int]:
    """The shape, and the rows of its embedding, of a config.json.

    Raises InputError for an architecture or a feature that fabula lacks.
    """
    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in SHAPES:
        raise InputError(
            f'config.json is of a "{kind}" model; fabula can start from: {", ".join(f"{name}" for name in SHAPES)}'
        )
    try:
        # The rows of the embedding are validated with the rest, and kept apart: a shape leaves them to the data.
        shape = Model.model_validate(SHAPES[kind](config) | {"vocabulary": config["vocab_size"]})
    except InputError:
        raise
    except KeyError as error:
        raise InputError(f"config.json of this {kind} model has no {error.args[0]}") from None
    except ValidationError as error:
        first = first_error(error)
        name, reason = ".".join(map(str, first["loc"])), str(first["msg"]).removeprefix("Value error, ")
        told = f"{name} = {first['input']!r}: {reason}" if name else reason
        raise InputError(f"config.json of this {kind} model does not make sense: {told}") from None
    except (TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise InputError(f"config.json of this {kind} model does not make sense: {error}") from None
    if not shape.vocabulary:
        raise InputError(f"config.json of this {kind} model does not make sense: vocab_size = 0")
    return shape.model_copy(update={"vocabulary": 0}), shape.vocabulary


def from_hf(shape: Model, kind: str, stored: Mapping[str, Tensor]) -> Tensors:
    """Tensors of a Hugging Face model (weights or gradients) under fabula's names. KeyError names one that lacks."""
    return _from_gpt2(shape, stored) if kind == "gpt2" else _from_llama_like(shape, kind, stored)


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        config = json_value(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; give the folder of a Hugging Face model") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error})") from None
    if not isinstance(config, dict):
        raise InputError(f"{path} is not a JSON object; fetch the model again")
    return config


def _tensors(folder: Path) -> Tensors:
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        try:
            files = sorted(set(json_value(index.read_text(encoding="utf-8"))["weight_map"].values()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{index} cannot be read ({error})") from None
        if strange := [file for file in files if not isinstance(file, str) or Path(file).name != file]:
            raise InputError(f"{index} names {strange[0]!r}, which is not a file of its folder")
    elif (folder / "model.safetensors").is_file():
        files = ["model.safetensors"]
    elif any(folder.glob("*.bin")):
        raise InputError(
            f"{folder} has its weights as a pickle (.bin), which fabula does not open; save them as safetensors"
        )
    else:
        raise InputError(f"{folder} has no model.safetensors; give the folder of a Hugging Face model")
    return {name: tensor for file in files for name, tensor in read_weights(folder / file).items()}


def _refuse(config: Mapping[str, Any], **plain: Any) -> None:
    """Raise InputError where a field differs from the one value fabula can compute."""
    for name, value in plain.items():
        if config.get(name, value) not in (value, None):
            raise InputError(f"config.json has {name} = {config[name]!r}; fabula has no such layer")


def _activation(config: Mapping[str, Any], name: str, default: str, known: Mapping[str, str]) -> str:
    activation = config.get(name) or default
    if activation not in known:
        raise InputError(f"config.json has {name} = {activation!r}; fabula knows {', '.join(known)}")
    return known[activation]


def _rope(config: Mapping[str, Any], layer_type: str, old_name: str, default: float) -> float:
    """The base of RoPE, in the form of transformers 5 or in the older one."""
    parameters = config.get("rope_parameters") or config.get("rope_scaling") or {}
    parameters = parameters.get(layer_type) or ({} if "full_attention" in parameters else parameters)
    kind = parameters.get("rope_type", parameters.get("type", "default"))
    if kind != "default" or parameters.get("partial_rotary_factor", 1.0) != 1.0:
        raise InputError(f"config.json scales RoPE ({kind}); fabula has plain RoPE only")
    base = parameters.get("rope_theta", config.get(old_name))
    return default if base is None else float(base)


def _gpt2_shape(config: Mapping[str, Any]) -> dict[str, Any]:
    _refuse(config, scale_attn_weights=True, scale_attn_by_inverse_layer_idx=False, add_cross_attention=False)
    return {
        "layers": config["n_layer"],
        "width": config["n_embd"],
        "heads": config["n_head"],
        "context": config.get("n_positions") or config["n_ctx"],
        "feed_forward_width": config.get("n_inner") or 0,
        "feed_forward": _activation(config, "activation_function", "gelu_new", PLAIN),
        "norm_epsilon": float(config.get("layer_norm_epsilon", 1e-5)),
        "attention_bias": True,
        "tied": config.get("tie_word_embeddings", True),
        "head_bias": False,
        "embedding_scale": "one",
    }


def _llama_shape(config: Mapping[str, Any]) -> dict[str, Any]:
    bias = bool(config.get("attention_bias", False))
    return {
        "layers": config["num_hidden_layers"],
        "width": config["hidden_size"],
        "heads": config["num_attention_heads"],
        "kv_heads": config.get("num_key_value_heads") or 0,
        "head_width": config.get("head_dim") or 0,
        "context": config["max_position_embeddings"],
        "tied": bool(config.get("tie_word_embeddings", False)),
        "head_bias": False,
        "embedding_scale": "one",
        "positions": "rope",
        "rope_base": _rope(config, "full_attention", "rope_theta", 10_000.0),
        "norm": "rmsnorm",
        "norm_epsilon": float(config.get("rms_norm_eps", 1e-6)),
        "attention_bias": bias,
        "attention_output_bias": bias,
        "feed_forward": _activation(config, "hidden_act", "silu", GATED),
        "feed_forward_width": config["intermediate_size"],
        "feed_forward_bias": bool(config.get("mlp_bias", False)),
    }


def _arcee_shape(config: Mapping[str, Any]) -> dict[str, Any]:
    activation = _activation(config, "hidden_act", "relu2", PLAIN)
    return _llama_shape({**config, "hidden_act": "silu"}) | {"feed_forward": activation}


def _qwen3_shape(config: Mapping[str, Any]) -> dict[str, Any]:
    _refuse(config, use_sliding_window=False)
    return _llama_shape(config) | {"qk_norm": True, "head_width": config.get("head_dim", 128)}


def _starcoder2_shape(config: Mapping[str, Any]) -> dict[str, Any]:
    _refuse(config, sliding_window=None)
    bias = bool(config.get("use_bias", True))
    return _llama_shape({**config, "hidden_act": "silu"}) | {
        "norm": "layernorm",
        "norm_epsilon": float(config.get("norm_epsilon", 1e-5)),
        "tied": bool(config.get("tie_word_embeddings", True)),
        "attention_bias": bias,
        "attention_output_bias": bias,
        "feed_forward_bias": bias,
        "feed_forward": _activation(config, "hidden_act", "gelu_pytorch_tanh", PLAIN),
    }


def _gemma3_shape(config: Mapping[str, Any]) -> dict[str, Any]:
    _refuse(config, attn_logit_softcapping=None, use_bidirectional_attention=False)
    layers = config["num_hidden_layers"]
    every = config.get("sliding_window_pattern") or config.get("_sliding_window_pattern") or 6
    kinds = config.get("layer_types")
    if kinds:
        if len(kinds) != layers or set(kinds) - {"full_attention", "sliding_attention"}:
            raise InputError(f"config.json has {layers} layers and layer_types = {kinds!r}; fabula has no such layers")
        every = kinds.index("full_attention") + 1 if "full_attention" in kinds else layers + 1
        if any((kind == "full_attention") != ((number + 1) % every == 0) for number, kind in enumerate(kinds)):
            raise InputError(
                "config.json mixes its layer_types without a regular pattern; fabula cannot build such a model"
            )
    gated = {**config, "hidden_act": config.get("hidden_activation") or "gelu_pytorch_tanh"}
    return _llama_shape({"rms_norm_eps": 1e-6, **gated}) | {
        "head_width": config.get("head_dim", 256),
        "tied": bool(config.get("tie_word_embeddings", True)),
        "embedding_scale": "sqrt_width",
        "rope_base": _rope(config, "full_attention", "rope_theta", 1e6),
        "rope_local_base": _rope({**config, "rope_scaling": None}, "sliding_attention", "rope_local_base_freq", 1e4),
        "sliding_window": config["sliding_window"] or 0,
        "global_every": every,
        "norm": "rmsnorm_plus_one",
        "post_norm": True,
        "qk_norm": True,
        "query_scale": float(config.get("query_pre_attn_scalar", 256)) ** -0.5,
        "logit_cap": float(config.get("final_logit_softcapping") or 0.0),
    }


SHAPES: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "gpt2": _gpt2_shape,
    "starcoder2": _starcoder2_shape,
    "llama": _llama_shape,
    "arcee": _arcee_shape,
    "qwen3": _qwen3_shape,
    "gemma3_text": _gemma3_shape,
}
assert set(SHAPES) == set(ARCHITECTURES)


def _from_gpt2(shape: Model, stored: Mapping[str, Tensor]) -> Tensors:
    # The published GPT-2 weights lack the prefix that transformers writes.
    prefix = "transformer." if "transformer.wte.weight" in stored else ""
    state = {
        "embedding.weight": stored[f"{prefix}wte.weight"],
        "positions.weight": stored[f"{prefix}wpe.weight"],
        "final_norm.weight": stored[f"{prefix}ln_f.weight"],
        "final_norm.bias": stored[f"{prefix}ln_f.bias"],
    }
    if not shape.tied:
        state["head"] = stored["lm_head.weight"]
    names = {
        "attention_norm": "ln_1",
        "attention.qkv": "attn.c_attn",
        "attention.out": "attn.c_proj",
        "feed_forward_norm": "ln_2",
        "feed_forward.up": "mlp.c_fc",
        "feed_forward.down": "mlp.c_proj",
    }
    for index in range(shape.layers):
        for ours, theirs in names.items():
            weight = stored[f"{prefix}h.{index}.{theirs}.weight"]
            state[f"layers.{index}.{ours}.weight"] = weight if weight.ndim == 1 else weight.T.contiguous()
            state[f"layers.{index}.{ours}.bias"] = stored[f"{prefix}h.{index}.{theirs}.bias"]
    return state


def _from_llama_like(shape: Model, kind: str, stored: Mapping[str, Tensor]) -> Tensors:
    state: Tensors = {}
    parts = ["weight", "bias"] if shape.norm == "layernorm" else ["weight"]

    def take(ours: str, theirs: str, suffixes: list[str]) -> None:
        state.update({f"{ours}.{suffix}": stored[f"{theirs}.{suffix}"] for suffix in suffixes})

    def join(ours: str, theirs: list[str], biased: bool) -> None:
        for suffix in ["weight", "bias"] if biased else ["weight"]:
            state[f"{ours}.{suffix}"] = torch.cat([stored[f"{each}.{suffix}"] for each in theirs])

    take("embedding", "model.embed_tokens", ["weight"])
    take("final_norm", "model.norm", parts)
    if not shape.tied:
        state["head"] = stored["lm_head.weight"]
    norms = {"attention_norm": "input_layernorm", "feed_forward_norm": "post_attention_layernorm"}
    if shape.post_norm:
        norms = {
            "attention_norm": "input_layernorm",
            "attention_post_norm": "post_attention_layernorm",
            "feed_forward_norm": "pre_feedforward_layernorm",
            "feed_forward_post_norm": "post_feedforward_layernorm",
        }
    up, down = (["c_fc"], "c_proj") if kind == "starcoder2" else (["up_proj"], "down_proj")
    up = ["gate_proj", *up] if shape.gated else up
    for index in range(shape.layers):
        ours, theirs = f"layers.{index}", f"model.layers.{index}"
        for our_name, their_name in norms.items():
            take(f"{ours}.{our_name}", f"{theirs}.{their_name}", parts)
        attention = f"{theirs}.self_attn"
        join(f"{ours}.attention.qkv", [f"{attention}.{each}_proj" for each in "qkv"], shape.attention_bias)
        join(f"{ours}.attention.out", [f"{attention}.o_proj"], shape.attention_output_bias)
        if shape.qk_norm:
            take(f"{ours}.attention.query_norm", f"{attention}.q_norm", ["weight"])
            take(f"{ours}.attention.key_norm", f"{attention}.k_norm", ["weight"])
        join(f"{ours}.feed_forward.up", [f"{theirs}.mlp.{each}" for each in up], shape.feed_forward_bias)
        join(f"{ours}.feed_forward.down", [f"{theirs}.mlp.{down}"], shape.feed_forward_bias)
    return state
