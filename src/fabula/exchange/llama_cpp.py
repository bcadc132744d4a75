"""`export --to gguf`: a run as one file for llama.cpp, and a Modelfile by which Ollama takes it in.

    OUT/{model.gguf, Modelfile, README.md, recipe.toml}

The tensors are those of the Hugging Face export under llama.cpp's names, in float32. Two things differ: what llama.cpp
calls "llama" and "arcee" rotates neighbours where Hugging Face rotates halves, so rows of queries and keys change
places; and Gemma's norms are stored with their one already added.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from fabula.data.tokenizers.bpe import read_byte_level_json, to_characters
from fabula.errors import InputError
from fabula.exchange.architectures import Family
from fabula.exchange.card import file_name, model_card
from fabula.exchange.huggingface import Exported, ExportSource, as_hf, read_source
from fabula.exchange.weights import Tensors
from fabula.recipe.schema import Model
from fabula.record.files import whole_folder, write_text
from fabula.record.lock import only_writer
from fabula.record.reader import read_run

ARCHITECTURES: dict[Family, str] = {"llama": "llama", "gemma3_text": "gemma3", "qwen3": "qwen3", "arcee": "arcee"}

LAYER_NAMES = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
GEMMA_NAMES = LAYER_NAMES | {
    "post_attention_layernorm": "post_attention_norm",
    "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
}
OTHER_NAMES = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def export_gguf(run: Path, out: Path, step: int | None = None) -> Exported:
    """Write the GGUF folder of a run at `step` (default: its latest checkpoint); whole or not at all.

    Raises InputError as `read_source` does, for a shape or a tokenizer that llama.cpp lacks, and without the package
    `gguf`.
    """
    try:
        import gguf  # an extra
    except ModuleNotFoundError:
        raise InputError("--to gguf needs the package gguf; install it with: pip install 'fabula[gguf]'") from None
    source = read_source(run, step, out)
    architecture = _architecture(source)
    _, weights = as_hf(source)
    record = read_run(run)
    with only_writer(out), whole_folder(out) as folder:
        writer = gguf.GGUFWriter(folder / "model.gguf", architecture)
        writer.add_name(source.recipe.name)
        _add_shape(writer, source.recipe.model, source.model.vocabulary)
        writer.add_file_type(gguf.LlamaFileType.ALL_F32)
        _add_tokenizer(writer, source)
        for name, tensor in llama_cpp_tensors(source.recipe.model, source.counterpart.family, weights).items():
            writer.add_tensor(name, np.ascontiguousarray(tensor.numpy()))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        write_text(folder / "Modelfile", modelfile(source))
        write_text(folder / "recipe.toml", record.recipe_toml)
        card = model_card(source.recipe, source.model.vocabulary, record, source.step, source.counterpart, gguf=True)
        write_text(folder / "README.md", card)
    return Exported(out, architecture, source.counterpart, source.step, (out / "model.gguf").stat().st_size)


def _architecture(source: ExportSource) -> str:
    """llama.cpp's name of the architecture. Raises InputError where it has none that computes the same."""
    shape, family = source.recipe.model, source.counterpart.family
    if family not in ARCHITECTURES:
        raise InputError(
            f"llama.cpp cannot compute this model ({source.counterpart.architecture} with its activation); use "
            "--to hf, or train modern-portable, llama-nano or gemma3-nano"
        )
    # llama.cpp has these written into its source instead of reading them.
    fixed = {"llama": "swiglu", "qwen3": "swiglu", "arcee": "relu_squared", "gemma3_text": "geglu_tanh"}
    reasons = []
    if shape.feed_forward != fixed[family]:
        reasons.append(f"feed_forward = {shape.feed_forward}")
    if family == "gemma3_text":
        if shape.global_every != 6:
            reasons.append(f"global_every = {shape.global_every}")
        if shape.rope_local_base != 10_000:
            reasons.append(f"rope_local_base = {shape.rope_local_base:g}")
        if not shape.sliding_window:
            reasons.append("no sliding window")
        if shape.logit_cap:
            reasons.append("a logit cap")
        if shape.attention_bias or shape.attention_output_bias:
            reasons.append("attention biases")
    if reasons:
        raise InputError(f"llama.cpp's {ARCHITECTURES[family]} cannot have {', '.join(reasons)}; use --to hf")
    return ARCHITECTURES[family]


def _add_shape(writer: Any, shape: Model, vocabulary: int) -> None:
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.size_of_feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.num_kv_heads)
    writer.add_key_length(shape.size_of_head)
    writer.add_value_length(shape.size_of_head)
    writer.add_layer_norm_rms_eps(shape.norm_epsilon)
    writer.add_rope_dimension_count(shape.size_of_head)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_vocab_size(vocabulary)
    if shape.sliding_window:
        writer.add_sliding_window(shape.sliding_window)


def _add_tokenizer(writer: Any, source: ExportSource) -> None:
    """GPT-2-style byte-level BPE, which llama.cpp cuts and merges itself.

    Raises InputError for a tokenizer of another kind.
    """
    import gguf  # an extra

    document = json.loads(source.tokenizer.to_json())
    plain = read_byte_level_json(document)
    if plain is None:
        raise InputError("GGUF cannot hold this tokenizer's rules; use --to hf, or train on gpt2 or bpe:8192")
    ranks, eot = plain
    text = document["added_tokens"][0]["content"]
    tokens = {rank: to_characters(token) for token, rank in ranks.items()} | {eot: text}
    kinds = dict.fromkeys(tokens, gguf.TokenType.NORMAL) | {eot: gguf.TokenType.CONTROL}
    for unused in range(source.model.vocabulary):
        if unused not in tokens:  # rows of the embedding beyond the tokenizer's ids
            tokens[unused], kinds[unused] = f"[UNUSED{unused}]", gguf.TokenType.UNUSED
    order = sorted(tokens)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([tokens[token] for token in order])
    writer.add_token_types([kinds[token] for token in order])
    writer.add_token_merges([" ".join(merge) for merge in document["model"]["merges"]])
    writer.add_bos_token_id(eot)
    writer.add_eos_token_id(eot)
    writer.add_add_bos_token(source.recipe.batch.end_of_text)
    writer.add_add_eos_token(False)


def llama_cpp_tensors(shape: Model, family: Family, weights: Tensors) -> Tensors:
    """The tensors of the Hugging Face export under llama.cpp's names and in its form."""
    names = GEMMA_NAMES if family == "gemma3_text" else LAYER_NAMES
    tensors: Tensors = {}
    for name, tensor in weights.items():
        base, _, part = name.rpartition(".")
        if base in OTHER_NAMES:
            new_base = OTHER_NAMES[base]
        else:
            _, _, index, rest = base.split(".", 3)
            new_base = f"blk.{index}.{names[rest]}"
        if family in ("llama", "arcee") and base.endswith(("q_proj", "k_proj")):
            tensor = neighbours(tensor, shape.heads if base.endswith("q_proj") else shape.num_kv_heads)
        if family == "gemma3_text" and base.endswith("norm"):
            tensor = tensor + 1.0
        tensors[f"{new_base}.{part}"] = tensor
    return tensors


def neighbours(tensor: Tensor, heads: int) -> Tensor:
    """Rows of a projection, reordered so that what was rotated as (i, i + E/2) of a head is rotated as (2i, 2i + 1)."""
    return tensor.view(heads, 2, tensor.shape[0] // heads // 2, -1).transpose(1, 2).reshape(tensor.shape)


def modelfile(source: ExportSource) -> str:
    """Ollama's Modelfile, with fabula's own ways of drawing instead of Ollama's for chats."""
    document = json.loads(source.tokenizer.to_json())
    stop = document["added_tokens"][0]["content"]
    return (
        f"# ollama create {file_name(source.recipe.name)} -f Modelfile\n"
        "FROM ./model.gguf\n"
        'TEMPLATE """{{ .Prompt }}"""\n'
        f"PARAMETER num_ctx {source.recipe.model.context}\n"
        f'PARAMETER stop "{stop}"\n'
        "PARAMETER temperature 0.8\nPARAMETER top_p 0.95\nPARAMETER top_k 0\nPARAMETER min_p 0.0\n"
        "PARAMETER repeat_penalty 1.0\n"
    )
