"""A run folder from anybody's loop: what is in it, and that nothing a loop does makes it unreadable."""

import json
import math
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.api.loops import FAULTS, course

import fabula
from fabula.cli import run as fabula_command
from fabula.findings import diagnose
from fabula.recipe import load_recipe
from fabula.recipe.toml import to_toml
from fabula.record.reader import read_run
from fabula.record.writer import RunWriter


def lines(folder: Path, name: str = "metrics") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def record_course(folder: Path, fault: str, seed: int = 0) -> Path:
    with fabula.Record(folder, clip=1.0, vocabulary=50257, from_scratch=True, steps=600) as record:
        record.evaluate(0, 10.8)
        for each in course(fault, seed):
            record.train(each.step, each.loss, grad_norm=each.grad_norm, learning_rate=each.learning_rate)
            if each.val_loss is not None:
                record.evaluate(each.step, each.val_loss)
    return folder


def test_what_is_said_is_read_back_and_what_is_not_is_absent(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    with fabula.Record(folder, clip=0.5, seed=3, settings={"betas": (0.9, 0.95), "path": tmp_path}) as record:
        record.evaluate(0, val_loss=4.0)
        record.train(1, 3.5, grad_norm=math.inf, tokens=100)
        record.train(2, math.nan, tokens=200, gate=0.25)
        record.train(3, tokens=300)
        record.sample(3, "Once", " upon a time", seed=1)
        record.event(3, "batch_skipped", reason="too long")
        record.about(parameters={"total": 1000}, device="cpu")
    run = fabula.read(folder)
    assert (run.status, run.info["steps_done"], run.info["clip"], run.info["seed"]) == ("finished", 3, 0.5, 3)
    assert run.info["settings"] == {"betas": [0.9, 0.95], "path": str(tmp_path)}
    assert run.info["parameters"]["total"] == 1000
    assert "steps" not in run.info and "learning_rate" not in run.train
    np.testing.assert_array_equal(run.train["loss"], [3.5, np.inf, np.nan])  # not finite, and not there
    np.testing.assert_array_equal(run.train["grad_norm"], [np.inf, np.nan, np.nan])
    np.testing.assert_array_equal(run.train["gate"], [np.nan, 0.25, np.nan])
    assert run.samples[0]["completion"] == " upon a time" and run.events[0]["reason"] == "too long"
    assert list(run.train["seconds"]) == sorted(run.train["seconds"]) and run.evals["step"][0] == 0


@pytest.mark.parametrize("fault", FAULTS)
def test_findings_are_those_of_our_own_record_of_the_same_course(fault: str, tmp_path: Path) -> None:
    recipe = load_recipe("basic/packed").with_values(**{"steps": 600, "schedule.warmup": 50})
    with RunWriter.create(tmp_path / "own", to_toml(recipe.as_tree()), "{}", {"steps": 600, "seed": 0}) as writer:
        writer.evaluation(step=0, val_loss=10.8)
        for each in course(fault):
            writer.train(step=each.step, loss=each.loss, grad_norm=each.grad_norm, learning_rate=each.learning_rate)
            if each.val_loss is not None:
                writer.evaluation(step=each.step, val_loss=each.val_loss)
        writer.close("finished")

    def told(folder: Path) -> set[tuple[str, str, Any]]:
        found = diagnose(read_run(folder)).findings
        return {(each.kind, each.severity, each.steps) for each in found if each.kind not in OF_A_RECIPE}

    own = told(tmp_path / "own")
    assert told(record_course(tmp_path / "theirs", fault)) == own
    assert any(severity in ("warning", "failure") for _, severity, _ in own) == (fault != "nothing")


OF_A_RECIPE = {"schedule_ok", "lr_peak_not_reached"}
"""What is said of a plan differs where there is none."""


LOOP = """
import os, signal, sys, fabula
first, last, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
with fabula.Record(folder, steps=60, resume=True) as record:
    for step in range(first, 61):
        record.train(step, 10.0 / step, tokens=100 * step)
        if step % 10 == 0:
            record.evaluate(step, 11.0 / step)
            record.sample(step, "Once", f" at step {step}")
        if step == last:
            os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_loop_leaves_a_record_and_goes_on_from_its_own_checkpoint(tmp_path: Path) -> None:
    folder = tmp_path / "run"

    def loop(first: int, last: int) -> int:
        return subprocess.run([sys.executable, "-c", LOOP, str(first), str(last), str(folder)], check=False).returncode

    assert loop(1, 37) == -signal.SIGKILL
    run = read_run(folder)
    assert (run.status, run.train["step"][-1]) == ("interrupted", 37)
    with open(folder / "metrics.jsonl", "a", encoding="utf-8") as file:
        file.write('{"kind": "train", "st')  # as a power cut leaves it
    assert loop(21, 0) == 0  # its checkpoint was of step 20
    run = read_run(folder)
    assert run.status == "finished"
    assert list(run.train["step"]) == list(range(1, 61)) and list(run.evals["step"]) == list(range(10, 61, 10))
    assert [each["step"] for each in run.samples] == list(range(10, 61, 10))
    assert [(each["event"], each["step"]) for each in run.events] == [("resumed", 20)]
    assert (np.diff(run.train["seconds"]) >= 0).all()
    aside = (folder / "metrics.discarded.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(aside) == 17 + 1 + 1  # updates and an evaluation that were made again, and the half line


def test_a_loop_that_was_resumed_at_once_ends_whole(tmp_path: Path) -> None:
    with fabula.Record(tmp_path / "run") as record:
        record.train(1, 3.0)
    with fabula.Record(tmp_path / "run", resume=True):
        pass
    with fabula.Record(tmp_path / "run", resume=True) as record:
        record.evaluate(1, 2.9)  # of the update that is there
    run = read_run(tmp_path / "run")
    assert (list(run.train["step"]), list(run.evals["step"]), run.info["steps_done"]) == ([1], [1], 1)


@pytest.mark.parametrize(
    ("environment", "writes"),
    [
        ({}, True),
        ({"RANK": "0", "LOCAL_RANK": "0"}, True),
        ({"RANK": "3"}, False),
        ({"RANK": "8", "LOCAL_RANK": "0"}, False),  # the first of the second machine
        ({"LOCAL_RANK": "1"}, False),
        ({"OMPI_COMM_WORLD_RANK": "1"}, False),
        ({"RANK": ""}, True),
    ],
)
def test_of_several_processes_the_first_writes(
    environment: dict[str, str], writes: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with fabula.Record(tmp_path / "run") as record:
        record.train(1, 3.0)
        record.evaluate(1, 3.0)
        record.sample(1, "a", "b")
        record.event(1, "x")
        record.about(device="cpu")
        assert record.alarm() is False
    assert (tmp_path / "run").exists() == writes


def test_a_task_of_slurm_that_writes_nothing_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_PROCID", "2")
    with pytest.warns(UserWarning, match="is_writer=True"):
        fabula.Record(tmp_path / "run")
    with fabula.Record(tmp_path / "run", is_writer=True) as record:
        record.train(1, 3.0)
    assert read_run(tmp_path / "run").train["loss"][0] == 3.0


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


@pytest.mark.parametrize(
    "options", [{"clip": -1}, {"vocabulary": 1}, {"steps": 0}, {"seed": -1}, {"clip": "1"}, {"steps": 2.5}]
)
def test_options_that_cannot_be_are_refused_before_anything_is_written(options: Any, tmp_path: Path) -> None:
    with pytest.raises(fabula.InputError, match=next(iter(options))):
        fabula.Record(tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


def test_a_folder_with_something_in_it_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("all of it", encoding="utf-8")
    with pytest.raises(fabula.InputError, match="resume=True"):
        fabula.Record(tmp_path)
    with RunWriter.create(tmp_path / "own", to_toml(load_recipe("basic").as_tree()), "{}", {}) as writer:
        writer.close("finished")
    with pytest.raises(fabula.InputError, match="fabula train --resume"):
        fabula.Record(tmp_path / "own", resume=True)


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


def end_badly(record: fabula.Record, error: BaseException) -> None:
    record.train(1, 3.0)
    raise error


@pytest.mark.parametrize(
    ("error", "status"), [(RuntimeError("no memory"), "failed"), (KeyboardInterrupt(), "interrupted")]
)
def test_how_the_block_ends_is_how_the_run_ends(error: BaseException, status: str, tmp_path: Path) -> None:
    with pytest.raises(type(error)), fabula.Record(tmp_path / "run") as record:
        end_badly(record, error)
    run = read_run(tmp_path / "run")
    assert (run.status, run.info["error"]) == (status, repr(error))


@pytest.mark.parametrize("fault", ["divergence", "not finite"])
def test_the_alarm_stops_a_loop_that_has_failed(fault: str, tmp_path: Path) -> None:
    stopped = 0
    with fabula.Record(tmp_path / "run", steps=600, vocabulary=50257) as record:
        for each in course(fault):
            record.train(each.step, each.loss, grad_norm=each.grad_norm, learning_rate=each.learning_rate)
            if each.val_loss is not None:
                record.evaluate(each.step, each.val_loss)
            if record.alarm():
                stopped = each.step
                break
    assert 300 < stopped < 600
    run = read_run(tmp_path / "run")
    assert run.status == "failed" and "stopped at step" in run.info["error"]
    assert fabula_command(["diagnose", str(tmp_path / "run"), "--fail-on", "failure"]) == 1


def test_there_is_no_alarm_in_a_healthy_loop(tmp_path: Path) -> None:
    with fabula.Record(tmp_path / "run", steps=600, vocabulary=50257) as record:
        for each in course("nothing"):
            record.train(each.step, each.loss, grad_norm=each.grad_norm, learning_rate=each.learning_rate)
            if each.val_loss is not None:
                record.evaluate(each.step, each.val_loss)
                assert not record.alarm()
    assert record.failure == "" and read_run(tmp_path / "run").status == "finished"


def test_the_alarm_costs_some_readings_however_often_a_loop_evaluates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []
    monkeypatch.setattr("fabula.api.record.diagnose", lambda folder: looked.append(1) or SimpleNamespace(findings=[]))

    def loop(first: int, last: int) -> int:
        looked.clear()
        with fabula.Record(tmp_path / "run", resume=True) as record:
            for step in range(first, last + 1):
                record.train(step, 3.0)
                record.evaluate(step, 3.1)
                record.alarm()
        return len(looked)

    assert 10 < loop(1, 200) < 50
    assert loop(201, 215) == 1  # a look at what is kept, and not yet a tenth more


def test_what_the_commands_say_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three seeds against three: compared, put on a page, and each number on the page verified."""
    monkeypatch.setattr("fabula.report.render.page.chart_program", lambda: "the chart library")
    for seed in range(3):
        record_course(tmp_path / f"base-{seed}", "nothing", seed)
        record_course(tmp_path / f"worse-{seed}", "overfitting", 10 + seed)
    groups = [f"base={tmp_path}/base-*", f"worse={tmp_path}/worse-*"]
    assert fabula_command(["compare", *groups]) == 1
    assert "discard" in capsys.readouterr().out
    page = tmp_path / "report.html"
    assert fabula_command(["report", str(tmp_path / "worse-0"), "--out", str(page)]) == 0
    assert "overfitting" in page.read_text(encoding="utf-8")
    assert fabula_command(["verify", str(page)]) == 0


def test_no_torch_is_loaded_and_python_ends_in_order(tmp_path: Path) -> None:
    script = (
        "import sys, fabula\n"
        "record = fabula.Record(sys.argv[1])\n"
        "record.train(1, 3.0)\n"
        "assert 'torch' not in sys.modules\n"  # never closed: the process ends
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "run")], check=True)
    run = read_run(tmp_path / "run")
    assert (run.status, list(run.train["loss"])) == ("interrupted", [3.0])


def test_steps_that_a_loop_makes_again_after_going_back_count_once(tmp_path: Path) -> None:
    with fabula.Record(tmp_path / "run") as record:
        for step in range(1, 21):
            record.train(step, 3.0)
        record.event(20, "rolled_back", to_step=10, reason="a spike")
        for step in range(11, 31):
            record.train(step, 2.0)
    with fabula.Record(tmp_path / "run", resume=True) as record:
        for step in range(31, 41):
            record.train(step, 1.0)
    run = read_run(tmp_path / "run")
    assert (
        list(run.train["step"]) == list(range(1, 41))
        and list(run.train["loss"]) == [3.0] * 10 + [2.0] * 20 + [1.0] * 10
    )


@pytest.mark.parametrize(("every", "to_step", "kept"), [(1, 10, 10), (1, 0, 0), (5, 12, 10), (5, 3, 0), (1, 25, 20)])
def test_a_loop_that_went_back_and_ends_early_can_be_read(every: int, to_step: int, kept: int, tmp_path: Path) -> None:
    def loop(last: int) -> None:
        with fabula.Record(tmp_path / "run", resume=True) as record:
            for step in range(every, last + 1, every):
                record.train(step, 3.0)
            if last:
                record.event(last, "rolled_back", to_step=to_step)

    loop(20)
    loop(0)  # begun again, and nothing made
    run = read_run(tmp_path / "run")
    assert (run.status, run.info["steps_done"]) == ("finished", kept)
    assert list(run.train["step"]) == list(range(every, kept + 1, every))


@pytest.mark.parametrize("told", ["event", "sample"])
def test_what_is_told_beyond_the_last_update_is_no_update(told: str, tmp_path: Path) -> None:
    with fabula.Record(tmp_path / "run") as record:
        record.train(10, 3.0)
        if told == "event":
            record.event(17, "checkpoint_saved")
        else:
            record.sample(17, "Once", " upon")
    assert read_run(tmp_path / "run").info["steps_done"] == 10


@pytest.mark.parametrize(
    ("first", "losses"),
    [
        (31, [3.0] * 10 + [2.0] * 20),
        (15, [3.0] * 10 + [2.0] * 4),  # those of the second attempt, not of the one that was given up
        (11, [3.0] * 10),
        (5, [3.0] * 4),
    ],
)
def test_a_loop_that_went_back_is_resumed_where_its_checkpoint_was(
    first: int, losses: list[float], tmp_path: Path
) -> None:
    with fabula.Record(tmp_path / "run") as record:
        for step in range(1, 21):
            record.train(step, 3.0)
        record.sample(18, "Once", "given up")
        record.event(20, "rolled_back", to_step=10)
        for step in range(11, 31):
            record.train(step, 2.0)
        record.sample(12, "Once", "kept")
    with fabula.Record(tmp_path / "run", resume=True) as record:
        for step in range(first, 36):
            record.train(step, 1.0)
    run = read_run(tmp_path / "run")
    assert list(run.train["step"]) == list(range(1, 36))
    assert list(run.train["loss"]) == losses + [1.0] * (36 - first)
    assert [each["completion"] for each in run.samples] == (["kept"] if first > 12 else [])


def test_a_loop_that_went_back_and_was_killed_at_once_goes_on(tmp_path: Path) -> None:
    with fabula.Record(tmp_path / "run") as record:
        for step in range(1, 21):
            record.train(step, 3.0)
        record.event(20, "rolled_back", to_step=10)
    with fabula.Record(tmp_path / "run", resume=True) as record:
        for step in range(11, 16):
            record.train(step, 2.0)
    assert list(read_run(tmp_path / "run").train["loss"]) == [3.0] * 10 + [2.0] * 5


def test_what_a_file_cannot_hold_as_it_is_does_no_harm(tmp_path: Path) -> None:
    with fabula.Record(tmp_path / "run", settings={"odd": math.nan, "call": print}) as record:
        for step in (3, 1, 2):  # threads that log out of order
            record.train(step, 3.0, huge=10**400 if step == 1 else 10**17)
        record.sample(3, "Once", "half a character: \ud800", seed=np.int64(7))
        record.event(3, "x", of=np.float32(1.5), where=tmp_path, parts=[{"a": math.nan}])
    run = read_run(tmp_path / "run")
    assert run.info["steps_done"] == 3 and list(run.train["huge"]) == [1e17, np.inf, 1e17]
    assert (run.events[0]["of"], run.events[0]["where"], run.samples[0]["seed"]) == (1.5, str(tmp_path), 7)
    assert run.samples[0]["completion"].startswith("half a character") and run.info["settings"]["odd"] == "nan"


def test_a_second_record_of_one_process_goes_on_where_the_first_was_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    first = fabula.Record("~/run")
    first.train(1, 3.0)
    with fabula.Record("~/run", resume=True) as second:
        second.train(2, 2.0)
        first.train(3, 9.0)  # left behind, as in a cell that was run again
    assert list(read_run(tmp_path / "run").train["loss"]) == [3.0, 2.0]


@pytest.mark.parametrize(
    "command",
    [
        ["generate", "{}", "--prompt", "x"],
        ["export", "{}", "--to", "hf"],
        ["train", "--resume", "--out", "{}", "--data", "."],
    ],
)
def test_what_needs_a_model_says_that_there_is_none(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with fabula.Record(tmp_path / "run") as record:
        record.train(1, 3.0)
    assert fabula_command([each.format(tmp_path / "run") for each in command]) == 2
    assert "recorded by a loop that is not fabula's" in " ".join(capsys.readouterr().err.split())
