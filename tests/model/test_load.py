import json
import shutil
from pathlib import Path

import pytest
import torch
from tests.model.runs import write_run
from tests.model.shapes import ALL, GEMMA, build

from fabula.errors import InputError
from fabula.model.decoder import Decoder
from fabula.model.load import best_step, load_model, put_weights, read_weights
from fabula.recipe.schema import Recipe
from fabula.recipe.toml import to_toml
from fabula.record.checkpoint import read_checkpoint


@pytest.fixture
def recipe() -> Recipe:
    return Recipe.from_tree({"name": "x", "steps": 10, "model": GEMMA.model_dump(), "schedule": {"peak": 1e-3}})


def test_latest_checkpoint_by_default_any_by_step_best_by_its_evaluation(tmp_path: Path, recipe: Recipe) -> None:
    run = tmp_path / "run"
    models = write_run(run, recipe, steps=(10, 20, 30))
    lines = [(10, 3.5), (15, 2.0), (20, 3.0), (30, 3.1)]
    (run / "metrics.jsonl").write_text(
        "".join(f'{{"kind": "eval", "step": {step}, "val_loss_subset": {loss}}}\n' for step, loss in lines)
    )
    tokens = torch.arange(12).view(1, 12)
    for step, expected in ((None, 30), (10, 10)):
        model, loaded, tokenizer = load_model(run, step)
        assert loaded == recipe and tokenizer.eot == 256
        assert torch.equal(model(tokens), models[expected](tokens))
    assert best_step(run) == 20
    with pytest.raises(InputError, match="no checkpoint at step 11; choose one of: 10, 20, 30"):
        load_model(run, 11)
    (run / "metrics.jsonl").unlink()
    with pytest.raises(InputError, match="leave out --best"):
        best_step(run)


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path: Path, recipe: Recipe) -> None:
    run = tmp_path / "run"
    write_run(run, recipe)
    for key, value, message in (
        ("model.layers", 8, "has no layers.7"),
        ("model.layers", 10_000, "has no layers.9999"),  # at once, without building them
        ("model.layers", 6, "has a tensor layers.6"),
        ("model.width", 56, r"asks for embedding.weight of shape \(257, 56\).*has \(257, 48\)"),
        ("model.vocabulary", 100, "has 257 tokens"),
    ):
        (run / "recipe.toml").write_text(to_toml(recipe.with_values(**{key: value}).as_tree()))
        with pytest.raises(InputError, match=message):
            load_model(run)


def test_who_does_not_train_on_needs_no_optimizer(tmp_path: Path, recipe: Recipe) -> None:
    run = tmp_path / "run"
    write_run(run, recipe)
    folder = run / "checkpoints" / "step-00000010"
    state = json.loads((folder / "state.json").read_text())
    state["sha256"]["optimizer.safetensors"] = "0" * 64
    del state["checksum"]
    (folder / "state.json").write_text(json.dumps(state))
    assert load_model(run, 10)[1] == recipe
    with pytest.raises(InputError, match=r"optimizer\.safetensors is missing"):
        read_checkpoint(run, 10)


def test_an_exported_folder_is_no_run(tmp_path: Path, recipe: Recipe) -> None:
    write_run(tmp_path / "run", recipe)
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    (tmp_path / "run" / "config.json").write_text("{}")
    with pytest.raises(InputError, match="is an exported model; give the folder of the run"):
        load_model(tmp_path / "run")


def test_a_file_cut_short_is_named(tmp_path: Path, recipe: Recipe) -> None:
    run = tmp_path / "run"
    write_run(run, recipe)
    weights = run / "checkpoints" / "step-00000010" / "model.safetensors"
    content = weights.read_bytes()
    for size in (len(content) - 100, 500, 4, 0):
        weights.write_bytes(content[:size])
        with pytest.raises(InputError, match=r"model\.safetensors is missing or damaged"):
            load_model(run)
        with pytest.raises(InputError, match=r"model\.safetensors cannot be read"):
            read_weights(weights)
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(InputError, match="has no checkpoint"):
        load_model(run)


@pytest.mark.parametrize("name", ALL)
def test_weights_come_back_into_every_shape_and_can_be_trained(name: str) -> None:
    model = build(ALL[name])
    with torch.device("meta"):
        empty = Decoder(model.shape, model.vocabulary)
    put_weights(empty, {name: tensor.bfloat16() for name, tensor in model.state_dict().items()}, "a", "b")
    for name, parameter in empty.named_parameters():
        assert parameter.dtype == torch.float32 and parameter.requires_grad
        assert torch.equal(parameter, model.state_dict()[name].bfloat16().float())
