"""What people write or fetch to set a training up, mutated: recipes, ladders, tokenizers, configurations of models."""

import json
import tempfile
from pathlib import Path
from random import Random

from harm.asking import Answer, watched
from harm.logs import Content

from fabula.cli import run
from fabula.data.tokenizers.bpe import byte_level_json, byte_tokens
from fabula.data.tokenizers.tokenizer import load_tokenizer
from fabula.exchange.reading import _config, shape_of
from fabula.findings.diagnosis import lint
from fabula.recipe import load_recipe
from fabula.recipe.counts import count_parameters
from fabula.recipe.ladder import load_ladder, plan_runs
from fabula.recipe.presets.reached import reached_by
from fabula.recipe.scaling import with_steps
from fabula.recipe.toml import to_toml

TEXT = "Once upon a time, there was a café. \U0001f600\n"
NAMES = {
    "recipe": ("recipe.toml",),
    "ladder file": ("ladder.toml",),
    "tokenizer.json": ("tokenizer.json",),
    "Hugging Face configuration": ("config.json",),
}


def settings(random: Random) -> dict[str, Content]:
    recipe = load_recipe(random.choice(["demo", "basic/baseline", "modern", "gemma3-nano", "llama-nano"]))
    ladder = (
        'name = "mine"\ntiers = ["demo", "basic"]\nseeds = 2\nscale = 0.5\ndesign = "path"\n'
        '[set]\n"evaluation.every" = 50\n'
        '[[phases]]\nname = "baseline"\nchange = "none"\nset = {"schedule.kind" = "constant"}\n'
        '[[phases]]\nname = "packed"\nchange = "full"\nset = {"batch.layout" = "packed"}\nbracket = [0.5, 1.0, 2.0]\n'
    )
    return {
        "recipe": {"recipe.toml": to_toml(recipe.as_tree()).encode()},
        "ladder file": {"ladder.toml": ladder.encode()},
        "tokenizer.json": {"tokenizer.json": _tokenizer(random).encode()},
        "Hugging Face configuration": {"config.json": json.dumps(random.choice(CONFIGS)).encode()},
    }


def asked(kind: str, folder: Path) -> Answer:
    """What comes of it: through the functions that the commands use, since each of them would train or measure."""
    return watched(lambda: ASK[kind](folder))


def _recipe(folder: Path) -> int:
    recipe = load_recipe(str(folder / "recipe.toml"))
    lint(recipe)
    reached_by(recipe)
    with_steps(recipe, 100)
    count_parameters(recipe.model, recipe.vocabulary)
    return run(["recipes", str(folder / "recipe.toml")])


def _ladder(folder: Path) -> int:
    ladder = load_ladder(str(folder / "ladder.toml"))
    plan_runs(ladder, ladder.tiers, [cell.name for cell in ladder.cells], min(ladder.seeds, 3), ladder.scale)
    return 0


def _load_tokenizer(folder: Path) -> int:
    tokenizer = load_tokenizer(folder / "tokenizer.json")
    ids, lengths = tokenizer.encode_flat([TEXT, "", "<|endoftext|>"])
    assert len(ids) == lengths.sum()
    tokenizer.decode([each for each in ids if each < tokenizer.vocabulary])
    assert len(tokenizer.hash) == 64 and json.loads(tokenizer.to_json())
    with tempfile.TemporaryDirectory() as place:
        Path(place, "tokenizer.json").write_text(tokenizer.to_json(), encoding="utf-8")
        assert load_tokenizer(Path(place, "tokenizer.json")).hash == tokenizer.hash
    return 0


def _read_config(folder: Path) -> int:
    shape, vocabulary = shape_of(_config(folder))
    count_parameters(shape, vocabulary)
    return 0


ASK = {
    "recipe": _recipe,
    "ladder file": _ladder,
    "tokenizer.json": _load_tokenizer,
    "Hugging Face configuration": _read_config,
}


def _tokenizer(random: Random) -> str:
    ranks = {token: at for at, token in enumerate(byte_tokens())}
    for longer in (b"th", b"the", b" a", b"on"):
        ranks[longer] = len(ranks)
    document = json.loads(byte_level_json(ranks, len(ranks)))
    if random.random() < 0.5:
        document["normalizer"] = {"type": "NFC"}
    return json.dumps(document)


CONFIGS = (
    {"model_type": "gpt2", "n_layer": 2, "n_embd": 32, "n_head": 4, "n_positions": 64, "vocab_size": 300,
     "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5, "n_inner": None, "tie_word_embeddings": True},
    {"model_type": "llama", "num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 4, "vocab_size": 300,
     "num_key_value_heads": 2, "max_position_embeddings": 64, "intermediate_size": 64, "hidden_act": "silu",
     "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "rope_scaling": {"rope_type": "default"}, "head_dim": 8},
    {"model_type": "gemma3_text", "num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 4, "head_dim": 8,
     "num_key_value_heads": 1, "max_position_embeddings": 64, "intermediate_size": 64, "vocab_size": 300,
     "hidden_activation": "gelu_pytorch_tanh", "sliding_window": 16, "query_pre_attn_scalar": 8, "rms_norm_eps": 1e-6,
     "layer_types": ["sliding_attention", "full_attention"], "rope_local_base_freq": 1e4, "rope_theta": 1e6,
     "rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 1e6}}},
)  # fmt: skip
