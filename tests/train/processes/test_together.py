"""One run on two processes is the run of one, but for the order in which numbers are added."""

import multiprocessing
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.train.processes.place import group, made
from tests.train.tiny import StopAfter, data_in, tensors, tiny

from fabula.data.batches import BatchSource
from fabula.data.dataset import Dataset
from fabula.record.checkpoint import checkpoint_steps
from fabula.record.reader import read_run
from fabula.train.loop import Training
from fabula.train.observer import Observer

pytestmark = pytest.mark.usefixtures("as_other_processes")
SHORT = {"steps": 6, "evaluation__every": 100}
PADDED = {"batch__layout": "padded", "batch__rows": 3, "batch__accumulation": 2, "batch__hidden_tokens": 0.1}
MUON = {"optimizer__kind": "muon", "model__tied": False, "record__internals": 4, "optimizer__clip": 0.3}


def assert_alike(one: Path, other: Path) -> None:
    first, second = read_run(one), read_run(other)
    assert list(second.train["step"]) == list(first.train["step"])
    for name in ("tokens", "positions", "learning_rate"):
        np.testing.assert_array_equal(second.train[name], first.train[name])
    for name in ("loss", "grad_norm"):
        np.testing.assert_allclose(second.train[name], first.train[name], rtol=2e-5)
    for name in ("train_loss", "val_loss", "val_loss_story", "val_bits_per_byte"):
        np.testing.assert_allclose(second.evals[name], first.evals[name], rtol=2e-5)
    found, expected = tensors(other), tensors(one)
    assert {name: (each.shape, each.dtype) for name, each in found.items()} == {
        name: (each.shape, each.dtype) for name, each in expected.items()
    }
    apart = [(found[name] - expected[name]).abs().mean().item() for name in expected if "/" not in name]
    assert max(apart) < 1e-4


def events(run: Path) -> list[str]:
    return [event["event"] for event in read_run(run).events]


@cache
def opened(folder: Path) -> Dataset:
    return data_in(folder)


@given(
    rows=st.integers(1, 7), size=st.integers(1, 7), step=st.integers(1, 9),
    layout=st.sampled_from(["packed", "padded"]), hidden=st.sampled_from([0.0, 0.3]),
)  # fmt: skip
def test_the_shares_of_all_are_the_batch(
    rows: int, size: int, step: int, layout: Any, hidden: float, grammar_folder: Path
) -> None:
    data = opened(grammar_folder)

    def source(share: tuple[int, int]) -> BatchSource:
        return BatchSource(data, layout=layout, rows=rows, context=16, seed=1, hidden_tokens=hidden, share=share)

    whole = source((0, 1)).batch(step)
    shares = [source((place, size)).batch(step) for place in range(size)]
    np.testing.assert_array_equal(np.concatenate([each.inputs_BT for each in shares]), whole.inputs_BT)
    np.testing.assert_array_equal(np.concatenate([each.targets_BT for each in shares]), whole.targets_BT)
    assert {each.num_targets for each in shares} == {whole.num_targets}


class KillTheOther(Observer):
    """Ends the other process after update `step`, as a machine that fails would."""

    def __init__(self, step: int) -> None:
        self.step = step

    def stepped(self, line: dict[str, Any]) -> None:
        if line["step"] == self.step:
            (other,) = multiprocessing.active_children()
            other.kill()
            other.join()


@pytest.mark.long
def test_two_processes_make_the_run_of_one(grammar_folder: Path, tmp_path: Path) -> None:
    padded, muon = tiny(**SHORT, **PADDED), tiny(**SHORT, **MUON)
    made(grammar_folder, tmp_path / "one", padded, nan_at=[3])
    made(grammar_folder, tmp_path / "one-muon", muon)
    with group() as two:
        made(grammar_folder, tmp_path / "two", padded, two, nan_at=[3])
        made(grammar_folder, tmp_path / "two-muon", muon, two, sharded=True)
        made(grammar_folder, tmp_path / "moved", muon, two, StopAfter(2))
        made(grammar_folder, tmp_path / "moved", muon, two, StopAfter(3), sharded=True)
        lost = made(grammar_folder, tmp_path / "lost", muon, two, KillTheOther(5))
    # Each process has the whole model, so that nothing is lost.
    assert_kept(lost, tmp_path / "lost", [4, 5])
    made(grammar_folder, tmp_path / "lost", muon)
    assert_alike(tmp_path / "one-muon", tmp_path / "lost")
    made(grammar_folder, tmp_path / "moved", muon)

    assert_alike(tmp_path / "one", tmp_path / "two")
    assert events(tmp_path / "two") == ["started", "batch_skipped", "finished"]
    record = read_run(tmp_path / "two")
    assert record.events[0]["processes"] == 2
    choices = record.info["choices"]
    assert (choices["processes"]["value"], choices["parallel"]["value"]) == ("2", "DDP")
    assert sorted(each.name for each in (tmp_path / "two").iterdir()) == sorted(
        each.name for each in (tmp_path / "one").iterdir()
    )

    assert_alike(tmp_path / "one-muon", tmp_path / "two-muon")
    record, alone = read_run(tmp_path / "two-muon"), read_run(tmp_path / "one-muon")
    assert record.info["choices"]["parallel"]["value"] == "FSDP"
    for mine, theirs in zip(record.internals, alone.internals, strict=True):
        for name in ("grad_norm", "update_ratio", "activation", "head_grad_norm", "attention_logit"):
            np.testing.assert_allclose(mine[name], theirs[name], rtol=1e-3)
    assert [sample["prompt"] for sample in record.samples] == [sample["prompt"] for sample in alone.samples]

    assert_alike(tmp_path / "one-muon", tmp_path / "moved")
    resumed = [
        event.get("processes", 1) for event in read_run(tmp_path / "moved").events if event["event"] == "resumed"
    ]
    assert resumed == [2, 1]


@pytest.mark.slow
def test_all_go_back_together(grammar_folder: Path, tmp_path: Path) -> None:
    recipe = tiny(guard__policy="rollback", guard__rollbacks=1)
    with group() as two:
        made(grammar_folder, tmp_path / "two", recipe, two, nan_at=[5, 6, 7])
        made(grammar_folder, tmp_path / "sharded", recipe, two, nan_at=[5, 6, 7], sharded=True)
    made(grammar_folder, tmp_path / "one", recipe, nan_at=[5, 6, 7])
    for name in ("two", "sharded"):
        assert events(tmp_path / name) == events(tmp_path / "one")
        assert "rolled_back" in events(tmp_path / name)
        assert_alike(tmp_path / "one", tmp_path / name)


@pytest.mark.slow
def test_parts_of_the_model_that_are_lost_are_those_of_the_last_checkpoint(
    grammar_folder: Path, tmp_path: Path
) -> None:
    recipe = tiny(**SHORT)
    with group() as two:
        training = made(grammar_folder, tmp_path / "lost", recipe, two, KillTheOther(5), sharded=True)
    assert_kept(training, tmp_path / "lost", [4])
    made(grammar_folder, tmp_path / "one", recipe)
    made(grammar_folder, tmp_path / "lost", recipe)
    assert_alike(tmp_path / "one", tmp_path / "lost")


def assert_kept(training: Training, run: Path, checkpoints: list[int]) -> None:
    """What a run leaves that has lost a process."""
    assert training.lost is not None and read_run(run).info["status"] == "interrupted"
    assert events(run)[-2:] == ["process_lost", "interrupted"]
    assert checkpoint_steps(run) == checkpoints
