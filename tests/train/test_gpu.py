"""Training and generation on an accelerator, against the processor and against themselves.

Products in float32 are exact to about 1e-6 on both sides, but sum in another order.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.model.shapes import ALL, VOCABULARY, build
from tests.train.tiny import StopAfter, data_in, tensors, tiny, tiny_run, tiny_training

from fabula.data.batches import IGNORE, Batch, BatchSource
from fabula.model.decode.generate import complete
from fabula.model.load import load_model
from fabula.record.reader import read_run
from fabula.train.engine import Engine, build_engine
from fabula.train.life.run import resume_run, start_run
from fabula.train.machine.choices import choose_device, choose_precision

DEVICE = "cuda"
ALLOWED = {torch.float32: 1e-4, torch.bfloat16: 0.05}
"""Of the norm of a gradient: in bfloat16 some twenty roundings of 2^-9 on average, and where a ReLU is at its step more
(test_fast_path.py has it for the processor)."""
pytestmark = pytest.mark.gpu


def loss_and_gradients(shape: str, dtype: torch.dtype, device: str) -> tuple[float, dict[str, torch.Tensor]]:
    """Of five rows, some of whose targets do not count."""
    model = build(ALL[shape], dtype=dtype).to(device)
    generator = torch.Generator().manual_seed(0)
    rows_BT = torch.randint(VOCABULARY, (5, ALL[shape].context + 1), generator=generator)
    inputs_BT, targets_BT = rows_BT[:, :-1].contiguous(), rows_BT[:, 1:].clone()
    targets_BT[:, -3:] = IGNORE
    loss = model.loss(model.hidden(inputs_BT.to(device)), targets_BT.to(device)) / (targets_BT != IGNORE).sum()
    loss.backward()
    return float(loss), {name: each.grad.cpu() for name, each in model.named_parameters() if each.grad is not None}


@pytest.mark.parametrize("dtype", ALLOWED, ids=str)
@pytest.mark.parametrize("shape", ALL)
def test_loss_and_gradients_are_those_of_the_processor(shape: str, dtype: torch.dtype) -> None:
    """In bfloat16 attention is another kernel, with windows and shared keys of its own."""
    loss, gradients = loss_and_gradients(shape, dtype, DEVICE)
    expected_loss, expected = loss_and_gradients(shape, torch.float32, "cpu")
    assert loss == pytest.approx(expected_loss, rel=ALLOWED[dtype] / 5)
    whole = torch.cat([each.flatten() for each in expected.values()])
    found = torch.cat([gradients[name].flatten() for name in expected])
    assert float((found - whole).norm() / whole.norm()) < ALLOWED[dtype]


def built(grammar_folder: Path, device: str, **values: object) -> tuple[Engine, BatchSource]:
    data, recipe = data_in(grammar_folder), tiny(compute__device=device, **values)
    batch = recipe.batch
    source = BatchSource(
        data, layout="packed", rows=batch.rows, accumulation=batch.accumulation, context=recipe.model.context, seed=0
    )
    return build_engine(recipe, data.tokenizer.vocabulary, seed=0), source


@pytest.mark.parametrize("kind", ["adamw", "muon"])
@pytest.mark.parametrize("compiled", ["off", "on"])
@pytest.mark.parametrize("accumulation", [1, 3])
def test_steps_are_those_of_the_processor(grammar_folder: Path, kind: str, compiled: str, accumulation: int) -> None:
    """As one graph, on the one side."""
    assert choose_device().value == DEVICE
    values = {"optimizer__kind": kind, "batch__accumulation": accumulation}
    here, source = built(grammar_folder, "auto", compute__compile=compiled, **values)
    assert here.device.type == DEVICE and here.choices["graph"].value == "on"
    losses = [here.step(source, step).loss for step in (1, 2, 3)]
    there, source = built(grammar_folder, "cpu", **values)
    assert losses == pytest.approx([there.step(source, step).loss for step in (1, 2, 3)], rel=1e-3)
    assert here.device_step is not None and here.device_step.graph is not None
    expected = {name: each.detach() for name, each in there.model.named_parameters()}
    # AdamW divides a gradient by its own size: where that is next to nothing, rounding decides the direction of a step.
    found = {name: each.detach().cpu() for name, each in here.model.named_parameters()}
    apart = torch.cat([(found[name] - expected[name]).abs().flatten() for name in expected])
    assert apart.mean() < 2e-4 and (apart > 1e-3).double().mean() < 0.02


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_a_bad_step_in_a_graph_changes_nothing(grammar_folder: Path, kind: str) -> None:
    here, source = built(grammar_folder, "auto", optimizer__kind=kind)

    def state() -> list[torch.Tensor]:
        parameters = list(here.model.parameters())
        kept = [value for each in parameters for value in here.optimizer.state[each].values()]
        return [each.detach().clone() for each in (*parameters, *kept)]

    assert here.step(source, 1).applied
    before = state()
    batch = source.batch(2)
    assert here.device_step is not None
    nothing_counts = Batch(batch.inputs_BT, np.full_like(batch.targets_BT, IGNORE))  # 0 / 0
    assert not here.device_step.launch([nothing_counts], 1.0).result().applied
    assert all(torch.equal(each, other) for each, other in zip(state(), before, strict=True))
    assert here.step(source, 2).applied
    assert not all(torch.equal(each, other) for each, other in zip(state(), before, strict=True))


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
