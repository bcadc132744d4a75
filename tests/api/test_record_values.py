"""What a loop records is a number, whatever it is and however it is called."""

import math
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.api.loops import lines

import fabula
from fabula.record.reader import read_run


class OnGpu:
    """Stands in for a tensor of a GPU: copied without waiting, there when its event says so."""

    shape = ()

    def __init__(self, value: float, index: int = 0) -> None:
        self.value, self.device = value, SimpleNamespace(type="cuda", index=index)

    def detach(self) -> "OnGpu":
        return self

    def to(self, place: str, non_blocking: bool) -> SimpleNamespace:
        assert place == "cpu" and non_blocking
        return SimpleNamespace(item=lambda: self.value)


def test_a_tensor_of_a_gpu_is_read_when_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there: list[bool] = []

    streams: list[Any] = []

    class Event:
        def record(self, stream: Any) -> None:
            streams.append(stream)

        def query(self) -> bool:
            return bool(there)

        def synchronize(self) -> None:
            there.append(True)

    cuda = SimpleNamespace(Event=Event, current_stream=lambda device: f"that of GPU {device.index}")
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda, __version__="2"))
    with fabula.Record(tmp_path / "run") as record:
        record.train(1, OnGpu(3.0))
        record.train(2, 2.5)  # waits behind it
        assert not lines(tmp_path / "run")
        there.append(True)
        record.train(3, OnGpu(2.0))
        assert [each["loss"] for each in lines(tmp_path / "run")] == [3.0, 2.5, 2.0]
        there.clear()
        record.train(4, OnGpu(1.5, index=1))
    assert streams == ["that of GPU 0", "that of GPU 0", "that of GPU 1"]
    assert [each["loss"] for each in lines(tmp_path / "run")] == [3.0, 2.5, 2.0, 1.5]


class Untold(OnGpu):
    """A tensor of a device that cannot be asked whether it is there."""

    def __init__(self, value: float, device: Any) -> None:
        self.value, self.device = value, device

    def detach(self) -> "Untold":
        return self

    def clone(self) -> SimpleNamespace:
        return SimpleNamespace(item=lambda: self.value)


@pytest.mark.parametrize("device", [SimpleNamespace(type="mps"), SimpleNamespace(type="xla"), "/device:GPU:0"])
@pytest.mark.parametrize("given", [("loss",), ("loss", "grad_norm", "learning_rate")])
def test_of_a_device_that_cannot_be_asked_the_record_is_two_lines_late(
    device: Any, given: tuple[str, ...], tmp_path: Path
) -> None:
    with fabula.Record(tmp_path / "run") as record:
        for step in range(1, 51):
            record.train(step, **{name: Untold(100.0 - step, device) for name in given})
            assert len(lines(tmp_path / "run")) == max(0, step - 2)
    assert list(read_run(tmp_path / "run").train["loss"]) == [100.0 - step for step in range(1, 51)]


def test_tokens_are_counted_whatever_they_are(tmp_path: Path) -> None:
    import torch

    for number, (name, make) in enumerate(
        [("tokens", int), ("tokens", np.int64), ("tokens", torch.tensor), ("num_tokens", int), ("tokens_seen", float)]
    ):
        with fabula.Record(tmp_path / str(number)) as record:
            for step in range(1, 4):
                record.train(step, 3.0, **{name: make(1000 * step)})
            record.evaluate(3, 2.9)
        run = read_run(tmp_path / str(number))
        assert (run.train["tokens_per_second"][1:] > 0).all() and run.evals["tokens"][0] == 3000


def test_tensors_of_all_kinds_are_numbers(tmp_path: Path) -> None:
    import torch  # the duck that most loops have

    class OfJax:
        shape = ()

        def copy_to_host_async(self) -> None: ...

        def is_ready(self) -> bool:
            return True

        def item(self) -> float:
            return 7.0

    class OfTensorFlow:
        shape = ()
        device = "/job:localhost/device:CPU:0"

        def numpy(self) -> np.float32:
            return np.float32(7.0)

    weights = torch.tensor(7.0, requires_grad=True)
    values = [7, weights, torch.tensor([7.0]), torch.tensor(7, dtype=torch.bfloat16), np.float32(7), np.array([[7]])]
    with fabula.Record(tmp_path / "run") as record:
        for step, value in enumerate([*values, OfJax(), OfTensorFlow()], start=1):
            record.train(torch.tensor(step) if step % 2 else np.int64(step), value)
    assert set(read_run(tmp_path / "run").train["loss"]) == {7.0}


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda record: record.train(1, np.zeros(8)), "loss has 8 numbers"),
        (lambda record: record.train(1, "low"), "loss is 'low'"),
        (lambda record: record.train(1, object()), "no number"),
        (lambda record: record.train(1, np.complex64(1j)), "no number"),
        (lambda record: record.train(-1, 3.0), "step is -1"),
        (lambda record: record.train(1.5, 3.0), "step is 1.5"),
        (lambda record: record.train(True, 3.0), "step is True"),
        (lambda record: record.train(1, 3.0, kind=2), "meaning of its own"),
        (lambda record: record.event(1, "x", reason=3), "reason"),
        (lambda record: record.about(seed="first"), "seed"),
    ],
)
def test_what_is_no_number_is_refused_in_one_line(call: Any, said: str, tmp_path: Path) -> None:
    with fabula.Record(tmp_path / "run") as record:
        with pytest.raises(fabula.InputError, match=said) as refused:
            call(record)
        assert "\n" not in str(refused.value)
        record.train(1, 3.0)
    assert list(read_run(tmp_path / "run").train["loss"]) == [3.0]


def test_names_of_other_loops_are_understood(tmp_path: Path) -> None:
    with fabula.Record(tmp_path / "run") as record:
        record.train(1, **{"train/loss": 3.0, "lr": 1e-3, "gnorm": 0.5, "eval/loss": 3.1, "acc": 0.3})
        record.evaluate(2, loss=2.9, train_loss=2.8)
    run = read_run(tmp_path / "run")
    assert {"loss", "learning_rate", "grad_norm", "acc"} <= set(run.train) and "val_loss" not in run.train
    assert list(run.evals["val_loss"]) == [3.1, 2.9] and run.evals["train_loss"][1] == 2.8


def test_a_field_that_becomes_text_is_left_out_and_the_record_stays_readable(tmp_path: Path) -> None:
    with fabula.Record(tmp_path / "run") as record:
        record.train(1, 3.0, phase="warmup", note=1)
        with pytest.warns(UserWarning, match="note was a number before"):
            record.train(2, 2.9, phase="main", note="late")
    assert list(read_run(tmp_path / "run").train["loss"]) == [3.0, 2.9]
    assert lines(tmp_path / "run")[1]["phase"] == "main"


def test_two_names_of_one_meaning_do_not_write_over_each_other(tmp_path: Path) -> None:
    for first in (1, 3):
        with fabula.Record(tmp_path / "run", resume=True) as record:
            for step in (first, first + 1):
                record.train(step, 3.0, **{"lr-AdamW/pg1": 1e-3, "lr-AdamW/pg2": 5e-4})
            record.evaluate(step, eval_a_loss=3.1)
            record.evaluate(step, eval_b_loss=4.1)
    with fabula.Record(tmp_path / "run", resume=True) as record:
        record.evaluate(5, eval_b_loss=4.0)  # this time the other set comes first
        record.train(6, **{"train/loss": 2.8, "eval_a_loss": 3.0, "eval_c_loss": 5.0})
        record.train(7, 2.7, learning_rate=1e-4, lr=2e-4)
    run = read_run(tmp_path / "run")
    assert list(run.train["learning_rate"][:4]) == [1e-3] * 4 and run.train["learning_rate"][-1] == 1e-4
    assert list(run.train["lr-AdamW/pg2"][:4]) == [5e-4] * 4 and run.train["lr"][-1] == 2e-4

    def told(name: str) -> dict[int, float]:
        found = zip(run.evals["step"], run.evals[name], strict=True)
        return {int(step): value for step, value in found if math.isfinite(value)}

    assert told("val_loss") == {2: 3.1, 4: 3.1, 6: 3.0} and told("eval_c_loss") == {6: 5.0}
    assert told("eval_b_loss") == {2: 4.1, 4: 4.1, 5: 4.0}


@pytest.mark.parametrize("first", ["late", 3.5, math.nan])
def test_what_a_name_is_holds_after_a_resumption_too(first: Any, tmp_path: Path) -> None:
    other = 1.0 if isinstance(first, str) else "early"
    with fabula.Record(tmp_path / "run") as record:
        record.train(1, 3.0, note=first if first == first else 1)
        record.train(2, 3.0, note=first)
    with fabula.Record(tmp_path / "run", resume=True) as record:
        with pytest.warns(UserWarning, match="note was a"):
            record.train(3, 2.9, note=other)
        record.train(4, 2.9, note=first)
    assert list(read_run(tmp_path / "run").train["loss"]) == [3.0, 3.0, 2.9, 2.9]
    assert "note" not in lines(tmp_path / "run")[3] and lines(tmp_path / "run")[3]["step"] == 3
