"""Updates that the device decides on: those of the host, one step late, and nothing at all where a gradient is bad.

All of it runs on the processor, but for the graph (test_gpu.py).
"""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.train.tiny import StopAfter, data_in, tensors, tiny, tiny_training

from fabula.data.batches import BatchSource
from fabula.recipe.schema import Recipe
from fabula.record.reader import read_run
from fabula.train import engine
from fabula.train.engine import Engine, build_engine, warm_up
from fabula.train.life.run import resume_run, start_run
from fabula.train.loop import TrainingFailed
from fabula.train.machine.choice import Choice
from fabula.train.update.device_step import DeviceStep

MUON = {"optimizer__kind": "muon", "optimizer__weight_decay": 0.1}
UNTIED = {"model__tied": False, "model__kv_heads": 1, "optimizer__head_rate": 0.5}


@pytest.fixture
def on_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Updates as a GPU makes them."""
    monkeypatch.setattr(engine, "choose_updates", lambda device: Choice("device", "for the test"))


def built(folder: Path, recipe: Recipe) -> tuple[Engine, BatchSource]:
    data, batch = data_in(folder), recipe.batch
    source = BatchSource(
        data,
        layout=batch.layout,
        rows=batch.rows,
        accumulation=batch.accumulation,
        context=recipe.model.context,
        seed=0,
    )  # fmt: skip
    return build_engine(recipe, data.tokenizer.vocabulary, seed=0), source


def state_of(built: Engine) -> dict[str, torch.Tensor]:
    """Weights, moments and counters."""
    named = {name: each.detach().clone() for name, each in built.model.named_parameters()}
    moments = {
        f"{name}/{key}": value.clone()
        for name, parameter in built.model.named_parameters()
        for key, value in built.optimizer.state[parameter].items()
    }
    return named | moments


@pytest.mark.parametrize(
    "values", [{}, MUON, {**MUON, **UNTIED}, {"batch__accumulation": 3, "batch__layout": "padded"}]
)
def test_updates_are_those_that_the_host_decides_on(
    grammar_folder: Path, monkeypatch: pytest.MonkeyPatch, values: dict
) -> None:
    recipe = tiny(**values)
    host, source = built(grammar_folder, recipe)
    expected = [host.step(source, step) for step in range(1, 9)]
    monkeypatch.setattr(engine, "choose_updates", lambda device: Choice("device", "for the test"))
    device, _ = built(grammar_folder, recipe)
    assert (host.steps_ahead, device.steps_ahead) == (0, 1)
    found = [device.step(source, step) for step in range(1, 9)]
    assert [each.num_tokens for each in found] == [each.num_tokens for each in expected]
    # Float32 in another order: matrices of a shape go through Muon side by side.
    assert [each.loss for each in found] == pytest.approx([each.loss for each in expected], rel=1e-4)
    assert [each.grad_norm for each in found] == pytest.approx([each.grad_norm for each in expected], rel=1e-3)
    for name, value in state_of(host).items():
        torch.testing.assert_close(state_of(device)[name], value, rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("values", [{}, {**MUON, **UNTIED}])
@pytest.mark.parametrize("at", [1, 2, 5])
def test_a_bad_step_leaves_everything_as_it_was_bit_for_bit(
    grammar_folder: Path, on_device: None, values: dict, at: int
) -> None:
    def trained(bad: int | None) -> dict[str, torch.Tensor]:
        device, source = built(grammar_folder, tiny(**values))
        plain = device.device_step.loss_sum

        def poisoned(inputs_BT: torch.Tensor, targets_BT: torch.Tensor) -> torch.Tensor:
            return plain(inputs_BT, targets_BT) * math.nan

        for step in range(1, 6):
            if step == at and bad is None:
                continue
            device.device_step.loss_sum = poisoned if step == bad else plain
            assert device.step(source, step).applied == (step != bad)
        return state_of(device)

    found, expected = trained(at), trained(None)
    moved = [name for name, value in expected.items() if not torch.equal(found[name], value)]
    assert not moved


def test_an_update_is_read_before_the_second_one_after_it(grammar_folder: Path, on_device: None) -> None:
    device, source = built(grammar_folder, tiny())
    first, second = device.launch(source, 1), device.launch(source, 2)
    with pytest.raises(AssertionError):
        device.launch(source, 3)
    assert first.result().loss != second.result().loss
    assert np.isfinite(device.step(source, 3).loss)


LATE = {"record__internals": 3, "checkpoint__every": 5, "steps": 13}


def test_the_record_does_not_tell_that_it_was_written_a_step_late(
    grammar_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_run(tiny_training(grammar_folder, tiny(**LATE)), tmp_path / "host")
    monkeypatch.setattr(engine, "choose_updates", lambda device: Choice("device", "for the test"))
    start_run(tiny_training(grammar_folder, tiny(**LATE)), tmp_path / "device")
    stopped = tiny_training(grammar_folder, tiny(**LATE), observer=StopAfter(6))
    assert start_run(stopped, tmp_path / "resumed") == "interrupted"
    assert resume_run(tiny_training(grammar_folder, tiny(**LATE)), tmp_path / "resumed") == "finished"
    host, device, resumed = (read_run(tmp_path / name) for name in ("host", "device", "resumed"))
    for other in (device, resumed):
        assert list(other.train["step"]) == list(host.train["step"])
        assert list(other.evals["step"]) == list(host.evals["step"])
        np.testing.assert_allclose(other.train["loss"], host.train["loss"], rtol=1e-5)
    found, expected = tensors(tmp_path / "resumed"), tensors(tmp_path / "device")
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_run_that_is_to_stop_at_a_bad_step_says_which_it_was(
    grammar_folder: Path, tmp_path: Path, on_device: None
) -> None:
    training = tiny_training(grammar_folder, tiny(guard__policy="stop", evaluation__every=100, checkpoint__every=100))
    device_step = training.engine.device_step
    plain, seen = device_step.loss_sum, []

    def poisoned(inputs_BT: torch.Tensor, targets_BT: torch.Tensor) -> torch.Tensor:
        seen.append(None)
        return plain(inputs_BT, targets_BT) * (math.nan if len(seen) == 7 else 1.0)

    device_step.loss_sum = poisoned
    with pytest.raises(TrainingFailed, match="step 7 was not finite"):
        start_run(training, tmp_path / "run")
    record = read_run(tmp_path / "run")
    assert list(record.train["step"]) == list(range(1, 8))
    assert np.isnan(record.train["loss"][-1]) and len(seen) == 8  # the eighth was on its way


def test_what_cannot_be_compiled_is_made_uncompiled_there_too(
    grammar_folder: Path, on_device: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("no compiler for this")

    monkeypatch.setenv("CXX", "c++")
    monkeypatch.setattr("torch.compile", lambda *_, **__: fails)
    engine = tiny_training(grammar_folder, tiny(compute__compile="on")).engine
    assert engine.choices["compile"].value == "off" and engine.steps_ahead == 1
    assert np.isfinite(engine.step_seconds)


@pytest.mark.usefixtures("on_device")
def test_where_no_graph_can_be_recorded_the_updates_go_on_without(
    grammar_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(made: DeviceStep) -> torch.cuda.CUDAGraph:
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nCUDA kernel errors might ...")

    monkeypatch.setattr(engine, "choose_graph", lambda device, accumulation: Choice("on", "for the test"))
    monkeypatch.setattr(DeviceStep, "_make_state", lambda made: None)
    monkeypatch.setattr(DeviceStep, "_recorded", refuse)
    made, source = built(grammar_folder, tiny())
    told: list[str] = []
    warm_up(made, source, told.append)
    assert made.choices["graph"].value == "off"
    assert made.choices["graph"].reason.endswith("CUDA error: operation not permitted when stream is capturing")
    assert ["recorded" in line for line in told] == [True]
    assert math.isfinite(made.step(source, 1).loss)
