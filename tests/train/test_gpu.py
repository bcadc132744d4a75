"""Training and generation on an accelerator, against the processor and against themselves.

Products in float32 are exact to about 1e-6 on both sides, but sum in another order.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.train.tiny import StopAfter, data_in, tensors, tiny, tiny_run, tiny_training

from fabula.data.batches import BatchSource
from fabula.model.decode.generate import complete
from fabula.model.load import load_model
from fabula.record.reader import read_run
from fabula.train import engine
from fabula.train.life.run import resume_run, start_run
from fabula.train.machine.choice import Choice
from fabula.train.machine.choices import choose_device, choose_precision

DEVICE = "cuda"
pytestmark = pytest.mark.gpu


def first_steps(
    grammar_folder: Path, device: str | None, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, list[float], dict[str, torch.Tensor]]:
    """Device, losses and weights of three steps on `device`, or on the one that is chosen."""
    with monkeypatch.context() as patch:
        if device is not None:
            patch.setattr(engine, "choose_device", lambda wanted: Choice(device, "for the test"))
        data, recipe = data_in(grammar_folder), tiny()
        source = BatchSource(data, layout="packed", rows=4, accumulation=1, context=32, seed=0)
        built = engine.build_engine(recipe, data.tokenizer.vocabulary, seed=0)
        losses = [built.step(source, step).loss for step in (1, 2, 3)]
    weights = {name: each.detach().cpu() for name, each in built.model.named_parameters()}
    return built.device.type, losses, weights


def test_steps_are_those_of_the_processor(grammar_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_device().value == DEVICE
    device, losses, weights = first_steps(grammar_folder, None, monkeypatch)
    assert device == DEVICE
    _, expected_losses, expected = first_steps(grammar_folder, "cpu", monkeypatch)
    assert losses == pytest.approx(expected_losses, rel=1e-4)
    # AdamW divides a gradient by its own size: where that is next to nothing, rounding decides the direction of a step.
    apart = torch.cat([(weights[name] - expected[name]).abs().flatten() for name in expected])
    assert apart.mean() < 1e-4 and (apart > 1e-3).double().mean() < 0.01


def test_interrupted_and_resumed_is_uninterrupted(grammar_folder: Path, tmp_path: Path) -> None:
    whole = tiny_run(grammar_folder, tmp_path / "whole")
    assert start_run(tiny_training(grammar_folder, observer=StopAfter(6)), tmp_path / "resumed") == "interrupted"
    assert resume_run(tiny_training(grammar_folder), tmp_path / "resumed") == "finished"
    record, other = read_run(whole), read_run(tmp_path / "resumed")
    assert record.info["device"] == other.info["device"] == DEVICE
    assert list(other.train["step"]) == list(record.train["step"])
    np.testing.assert_allclose(other.train["loss"], record.train["loss"], rtol=1e-4)
    found, expected = tensors(tmp_path / "resumed"), tensors(whole)
    assert found.keys() == expected.keys()
    assert np.mean([float((found[name] - expected[name]).abs().mean()) for name in expected]) < 1e-4


def test_the_chosen_precision_trains_and_the_model_generates_there(grammar_folder: Path, tmp_path: Path) -> None:
    native = torch.cuda.is_bf16_supported(including_emulation=False)
    assert choose_precision("auto", DEVICE).value == ("bfloat16" if native else "float32")
    run = tiny_run(grammar_folder, tmp_path / "run", tiny(compute__precision="auto", steps=60))
    losses = read_run(run).train["loss"]
    assert np.isfinite(losses).all() and losses[-10:].mean() < losses[0] - 0.5
    model, _, tokenizer = load_model(run)
    asked = {"num_tokens": 12, "eot": tokenizer.eot, "temperature": 0, "seed": 0}
    prompts = [[tokenizer.eot], [tokenizer.eot, *tokenizer.encode("Once upon a time").tolist()]]
    here = complete(model, prompts, **asked)
    assert complete(model.to(DEVICE), prompts, **asked) == here
