"""A run folder from anybody's loop: what is in it, and that nothing a loop does makes it unreadable."""

import math
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


def record_course(folder: Path, fault: str, seed: int = 0) -> Path:
    with fabula.Record(folder, clip=1.0, vocabulary=50257, from_scratch=True, steps=600) as record:
        record.evaluate(0, 10.8)
        for each in course(fault, seed):
            record.train(each.step, each.loss, grad_norm=each.grad_norm, learning_rate=each.learning_rate)
            if each.val_loss is not None:
                record.evaluate(each.step, each.val_loss)
    return folder


def test_the_time_of_a_line_that_was_refused_is_the_next_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    with fabula.Record(tmp_path / "mine") as record:
        monkeypatch.setattr(record, "_clock", lambda: now[0])
        record._since = 0.0
        for step, seconds in ((1, 1.0), (2, 2.0)):
            now[0] += seconds
            if step == 2:
                with pytest.raises(fabula.InputError):
                    record.train(step, 3.0, learning_rate="fast")
                now[0] += 1.0
            record.train(step, 3.0)
    assert list(fabula.read(tmp_path / "mine").train["seconds"]) == [1.0, 4.0]


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


OF_A_RECIPE = {"schedule_ok", "lr_peak_not_reached"}
"""What is said of a plan differs where there is none."""


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


@pytest.mark.parametrize("steps", [300, None])
def test_a_loop_that_is_still_in_its_warmup_raises_no_alarm(steps: int | None, tmp_path: Path) -> None:
    """It has hardly learned anything, and is not at its end."""
    with fabula.Record(tmp_path / "run", steps=steps, vocabulary=1024, from_scratch=True) as record:
        for step in range(1, 31):
            record.train(step, 6.9 - 0.3 * (step % 2), learning_rate=1e-4 * step)
            assert not record.alarm(), record.failure
        assert not [each for each in record.diagnose().findings if each.severity in ("warning", "failure")]


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
    told = page.read_text(encoding="utf-8")
    assert "overfitting" in told
    assert "Which columns were read as what" not in told, "there is nothing to tell of names that are its own"
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
