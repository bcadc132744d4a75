"""Runs that leave as Hugging Face folders, and what comes back."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from tests.exchange.references import relative_difference
from tests.model.runs import BYTES, write_run
from tests.model.shapes import GEMMA, GPT, GPT2, LLAMA, MODERN, OTHERS

from fabula.data.tokenizers.bpe import byte_level_json
from fabula.data.tokenizers.tokenizer import load_tokenizer
from fabula.errors import InputError
from fabula.exchange.architectures import find_counterpart
from fabula.exchange.huggingface import export_hf
from fabula.exchange.reading import check_tokenizer, load_hf
from fabula.model.decode.generate import complete
from fabula.model.decoder import Decoder
from fabula.model.load import load_model, put_weights
from fabula.recipe.presets.by_name import load_recipe, recipe_names
from fabula.recipe.presets.files import whole_recipe_names
from fabula.recipe.schema import Model, Recipe

transformers = pytest.importorskip("transformers")

LOGITS = 4e-5
"""Float32 in another order: of 300 draws of tokens the logits farthest apart differed by 1.4e-5, in the scaled Llama
with bare norms and biases; by 6e-6 in all others."""

HOMES: dict[str, tuple[str, Model]] = {
    "the original shape: ReLU, head bias, scaled embedding": ("gpt2", GPT),
    "GPT-2": ("gpt2", GPT2),
    "GPT-2, untied, squared ReLU, its own query scale": (
        "gpt2",
        GPT2.model_copy(update={"tied": False, "feed_forward": "relu_squared", "query_scale": 0.5}),
    ),
    "Gemma 3": ("gemma3_text", GEMMA),
    "Gemma 3 with plain norms, an unscaled embedding and a logit cap": (
        "gemma3_text",
        GEMMA.model_copy(update={"norm": "rmsnorm", "embedding_scale": "one", "logit_cap": 4.0}),
    ),
    "Llama": ("llama", LLAMA),
    "Llama, tied, scaled, bare norms, a bias here and there": (
        "llama",
        LLAMA.model_copy(
            update={
                "tied": True,
                "embedding_scale": "sqrt_width",
                "norm": "rmsnorm_bare",
                "attention_output_bias": True,
                "feed_forward_bias": True,
                "feed_forward": "geglu_tanh",
                "query_scale": 0.7,
            }
        ),
    ),
    "Llama with q/k norms and Gemma's norms": (
        "qwen3",
        LLAMA.model_copy(update={"qk_norm": True, "norm": "rmsnorm_plus_one", "query_scale": 0.7}),
    ),
    "Llama without a gate": ("arcee", LLAMA.model_copy(update={"feed_forward": "relu_squared"})),
    "GPT with RoPE and a head bias": (
        "starcoder2",
        GPT.model_copy(update={"positions": "rope", "kv_heads": 2, "query_scale": 0.5, "attention_output_bias": False}),
    ),
}


def run_of(shape: Model, folder: Path, **values: object) -> Path:
    tree = {"name": "x", "steps": 10, "model": shape.model_dump(), "schedule": {"peak": 1e-3}}
    recipe = Recipe.from_tree(tree).with_values(**{"initialization.std": 0.3, **values})
    write_run(folder / "run", recipe)
    return folder / "run"


@pytest.mark.parametrize("name", HOMES)
def test_the_same_logits_and_text_in_transformers_and_back(name: str, tmp_path: Path) -> None:
    family, shape = HOMES[name]
    run = run_of(shape, tmp_path)
    exported = export_hf(run, tmp_path / "hf")
    assert exported.counterpart.family == family and exported.step == 10
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "hf").eval()
    assert type(theirs).__name__ == exported.counterpart.architecture
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "hf")
    ours, _, our_tokenizer = load_model(run)
    tokens_BT = torch.randint(0, 257, (2, shape.context))
    with torch.no_grad():
        expected = ours(tokens_BT)
        assert relative_difference(theirs(tokens_BT).logits, expected) <= LOGITS
        back_shape, state = load_hf(tmp_path / "hf")
        back = Decoder(back_shape, 257)
        put_weights(back, state, "a", "b")
        assert relative_difference(back(tokens_BT), expected) <= LOGITS

    text = "a é\n"
    inputs = tokenizer(text, return_tensors="pt")
    assert inputs.input_ids.tolist() == [[256, *our_tokenizer.encode(text).tolist()]]
    assert tokenizer.decode(inputs.input_ids[0], skip_special_tokens=True) == text
    room = shape.context - inputs.input_ids.shape[1]
    output = theirs.generate(**inputs, max_new_tokens=room, do_sample=False)[0, -room:].tolist()
    completion = complete(ours, inputs.input_ids.tolist(), num_tokens=room, eot=256, temperature=0, seed=0)[0]
    assert output[: len(completion)] == completion
    assert len(completion) == room or output[len(completion)] == 256


ONLY_HERE = ("modern", "modern-large")


def test_every_preset_but_the_modern_ones_has_a_counterpart() -> None:
    counterparts = {name: find_counterpart(load_recipe(name).model) for name in recipe_names() if name not in ONLY_HERE}
    assert {name: counterparts[name].family for name in whole_recipe_names() if name not in ONLY_HERE} == {
        "gemma3-270m": "gemma3_text",
        "gemma3-270m-gpt2": "gemma3_text",
        "gemma3-270m-gpt2-tied": "gemma3_text",
        "gemma3-270m-rising": "gemma3_text",
        "gemma3-nano": "gemma3_text",
        "gemma3-nano-rising": "gemma3_text",
        "llama-nano": "llama",
        "modern-portable": "qwen3",
        "strong": "gpt2",
    }
    assert not counterparts["gemma3-nano"].folded and not counterparts["llama-nano"].folded
    assert counterparts["basic/packed"].family == "gpt2"
    assert counterparts["basic/packed"].folded == ("the factor of the embedding", "the bias of the head")


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        (OTHERS, "a head bias behind RMSNorm, feed-forward biases, a feed-forward without a gate"),
        (LLAMA.model_copy(update={"head_bias": True}), "a head bias behind RMSNorm"),
        (LLAMA.model_copy(update={"sliding_window": 8, "feed_forward": "relu"}), "a feed-forward without a gate"),
        (GPT.model_copy(update={"qk_norm": True}), "q/k norms"),
        (GPT.model_copy(update={"kv_heads": 2}), "grouped keys with learned positions"),
        (LLAMA.model_copy(update={"positions": "learned"}), "learned positions"),
        (MODERN, "model.previous_token, model.embedding_norm, model.value_embeddings"),
    ],
)
def test_a_shape_without_a_home_is_told_where_to_go(shape: Model, reason: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"{reason}.*Train modern-portable, llama-nano or gemma3-nano"):
        export_hf(run_of(shape, tmp_path), tmp_path / "hf")
    assert not (tmp_path / "hf").exists()


def test_the_card_is_written_from_the_record(tmp_path: Path) -> None:
    run = run_of(GPT, tmp_path)
    (run / "run.json").write_text(
        json.dumps(
            {"status": "interrupted", "seed": 7, "data": {"path": "disks/somebody/stories", "tokenizer": "bytes"}}
        )
    )
    lines = [
        {"kind": "train", "step": 10, "tokens": 4321, "loss": 2.0},
        {"kind": "eval", "step": 10, "val_loss": 1.5, "val_bits_per_byte": 2.25, "val_loss_gpt2": None, "full": True},
    ]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    sample = {
        "step": 10,
        "prompt": "Once",
        "completion": " upon\n\na time",
        "temperature": 0.8,
        "top_p": 0.95,
        "seed": 7,
    }
    (run / "samples.jsonl").write_text(json.dumps(sample) + "\n")
    export_hf(run, tmp_path / "hf")
    card = (tmp_path / "hf" / "README.md").read_text()
    assert "trained from scratch" in card
    for expected in (
        "library_name: transformers",
        "seed 7, step 10 of 10",
        "| data | stories |",
        "| tokens seen | 4,321 |",
        "| bits per byte of text | 2.2500 |",
        "not cherry-picked",
        "| status of the run | interrupted |",
        "> Once upon\n>\n> a time",
        "the factor of the embedding and the bias of the head are folded",
    ):
        assert expected in card
    assert "somebody" not in card and "GPT-2 token" not in card and "nan" not in card
    assert (tmp_path / "hf" / "recipe.toml").read_text() == (run / "recipe.toml").read_text()
    (run / "run.json").write_text(json.dumps({"status": "finished", "init_from": "somebody/tales"}))
    export_hf(run, tmp_path / "again")
    card = (tmp_path / "again" / "README.md").read_text()
    assert "trained by fabula from the weights of `tales`" in card and "somebody" not in card


def test_without_ends_of_stories_the_tokenizer_adds_none(tmp_path: Path) -> None:
    export_hf(run_of(LLAMA, tmp_path, **{"batch.end_of_text": False}), tmp_path / "hf")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "hf")
    assert tokenizer("ab").input_ids == list(b"ab")


def test_bad_folders_are_one_clear_line(tmp_path: Path) -> None:
    run = run_of(LLAMA, tmp_path)
    good = tmp_path / "good"
    export_hf(run, good)
    with pytest.raises(InputError, match="not empty"):
        export_hf(run, good)

    def broken(message: str, **changes: object) -> None:
        folder = tmp_path / "broken"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(good, folder)
        config = json.loads((folder / "config.json").read_text()) | changes
        (folder / "config.json").write_text(json.dumps({k: v for k, v in config.items() if v != "absent"}))
        with pytest.raises(InputError, match=message):
            load_hf(folder)

    broken(r"asks for layers.0.feed_forward.up.weight of shape \(180, 48\).*have \(160, 48\)", intermediate_size=90)
    broken(r"has no tensor model\.layers\.3", num_hidden_layers=4)
    broken("vocab_size = 300, but the embedding has 257 rows", vocab_size=300)
    broken("vocabulary = 1000000000000000000: Input should be less", vocab_size=10**18)
    broken('of a "mamba" model; fabula can start from: gpt2', model_type="mamba")
    broken("is of a \"\\['llama'\\]\" model", model_type=["llama"])
    broken("rope_base = 0.0", rope_theta=0)
    broken("has no hidden_size", hidden_size="absent")
    broken(r"broken/config\.json .*does not make sense: heads = 0", num_attention_heads=0)
    broken("does not make sense: vocabulary = 'lots'", vocab_size="lots")
    broken("does not make sense", rms_norm_eps="small")
    broken(r"has a tensor model\.layers\.2\..*that does not fit its config\.json", num_hidden_layers=2)
    broken("scales RoPE", rope_scaling={"rope_type": "linear", "factor": 2.0})
    broken("hidden_act = 'tanh'", hidden_act="tanh")
    index = good / "model.safetensors.index.json"
    for file in (3, "../run/model.safetensors"):
        index.write_text(json.dumps({"weight_map": {"a": file}}))
        with pytest.raises(InputError, match="is not a file of its folder"):
            load_hf(good)
    index.unlink()
    weights = good / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-10])
    with pytest.raises(InputError, match=r"model\.safetensors cannot be read"):
        load_hf(good)
    weights.unlink()
    (good / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(InputError, match="pickle"):
        load_hf(good)
    with pytest.raises(InputError, match=r"config\.json does not exist"):
        load_hf(tmp_path)


def test_layers_of_a_kind_that_fabula_lacks_are_refused(tmp_path: Path) -> None:
    export_hf(run_of(GEMMA, tmp_path), tmp_path / "out")
    path = tmp_path / "out" / "config.json"
    config = json.loads(path.read_text())
    kinds = config["layer_types"]
    for wrong in (["chunked_attention"] * len(kinds), [*kinds, "full_attention"]):
        path.write_text(json.dumps(config | {"layer_types": wrong}))
        with pytest.raises(InputError, match=rf"has {len(kinds)} layers and layer_types = "):
            load_hf(tmp_path / "out")


def test_weights_of_other_words_are_refused(tmp_path: Path) -> None:
    run, out = run_of(LLAMA, tmp_path), tmp_path / "out"
    export_hf(run, out)
    check_tokenizer(out, load_tokenizer(run / "tokenizer.json"))
    merging = tmp_path / "merging.json"
    merging.write_text(byte_level_json(BYTES | {b"th": 257, b"the": 258}, 256))
    with pytest.raises(InputError, match=r"out/tokenizer\.json splits text into other tokens than .*--set tokenizer="):
        check_tokenizer(out, load_tokenizer(merging))
