"""`--on slurm` from the command line, with submitit and a stand-in for the scheduler (stand_in_slurm.py)."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.ladder import stand_in_slurm
from tests.train.tiny import tiny

from fabula.cli import run
from fabula.recipe.toml import to_toml
from fabula.record.checkpoint import checkpoint_steps
from fabula.record.reader import find_runs, read_run

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Slurm is for Linux")
PHASES = (
    '[[phases]]\nname = "start"\nchange = "as it is"\nset = {}\n'
    '[[phases]]\nname = "rows"\nchange = "two rows"\nset = { "batch.rows" = 2 }\n'
)


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the stand-in's queue."""
    programs, state = tmp_path / "bin", tmp_path / "queue"
    programs.mkdir()
    state.mkdir()
    for name in ("sbatch", "squeue", "scontrol", "srun", "scancel"):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" "{stand_in_slurm.__file__}" {name} "$@"\n')
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("STAND_IN_QUEUE", str(state))
    return state


def ladder_in(folder: Path, steps: int = 4) -> list[str]:
    tree = tiny(steps=steps, evaluation__sample_tokens=0, checkpoint__every=2).as_tree()
    (folder / "tiny.toml").write_text(to_toml({key: value for key, value in tree.items() if key != "name"}))
    (folder / "small.toml").write_text(f'tiers = ["{folder / "tiny.toml"}"]\nseeds = 1\n{PHASES}')
    return ["ladder", str(folder / "small.toml"), "--out", str(folder / "out"), "--threads", "1", "--on", "slurm"]


@pytest.mark.long
def test_an_array_makes_the_ladder_and_a_second_call_finds_it_made(
    slurm: Path, grammar_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*ladder_in(tmp_path), "--data", str(grammar_folder)]
    assert run(command) == 0, capsys.readouterr().err
    assert "done 2 of 2" in capsys.readouterr().err
    runs = [read_run(each) for each in find_runs(tmp_path / "out")]
    assert [each.status for each in runs] == ["finished", "finished"]
    assert [list(each.train["step"]) for each in runs] == [[1, 2, 3, 4]] * 2
    assert [each.info["threads"] for each in runs] == [1, 1]
    asked = (slurm / "sbatch.txt").read_text()
    for line in ("--array=0-1%2", "--cpus-per-task=1", "--requeue", "--signal=USR1@120"):
        assert f"#SBATCH {line}\n" in asked
    assert "--time" not in asked, "the partition's own limit holds"
    assert json.loads((tmp_path / "out" / "ladder.json").read_text())["on"] == "slurm"
    assert run(command) == 0
    assert "2 of 2 runs have ended already" in capsys.readouterr().err
    assert (slurm / "sbatch.txt").read_text() == asked, "nothing is submitted for a ladder that is made"


@pytest.mark.slow
def test_a_job_that_is_warned_goes_back_into_the_queue_and_one_that_is_killed_is_submitted_again(
    slurm: Path, grammar_folder: Path, tmp_path: Path
) -> None:
    command = [*ladder_in(tmp_path, steps=400), "--data", str(grammar_folder)]
    with open(tmp_path / "said.txt", "wb") as said:
        ladder = subprocess.Popen([sys.executable, "-m", "fabula", *command], stderr=said, stdout=said)
    deadline = time.monotonic() + 200
    folders = [tmp_path / "out" / "runs" / "tiny" / phase / "seed-0" for phase in ("start", "rows")]
    while not all(map(checkpoint_steps, folders)) and time.monotonic() < deadline:
        time.sleep(0.1)
    subprocess.run(["scancel", "USR1", "1_0"], check=True)
    subprocess.run(["scancel", "KILL", "1_1"], check=True)
    assert ladder.wait(300) == 0, (tmp_path / "said.txt").read_text()
    for each in map(read_run, folders):
        assert each.status == "finished" and list(each.train["step"]) == list(range(1, 401))
    assert [event["event"] for event in read_run(folders[0]).events if event["event"] == "interrupted"]
    assert "job 1_1 ended as FAILED" in (tmp_path / "said.txt").read_text()
    submitted = json.loads((tmp_path / "out" / "slurm" / "jobs.json").read_text())
    assert [len(each["runs"]) for each in submitted] == [2, 1], "the one that was warned kept its job"


def test_what_sbatch_refuses_is_one_line(
    slurm: Path, grammar_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (slurm / "refuse").write_text("sbatch: error: invalid partition specified: gold")
    assert run([*ladder_in(tmp_path), "--data", str(grammar_folder)]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert "--on slurm: sbatch took no jobs: " in last and "invalid partition specified: gold" in last
    (slurm / "deaf").touch()
    assert run([*ladder_in(tmp_path), "--data", str(grammar_folder)]) == 2
    assert "--on slurm: the scheduler does not answer: slurm_load_jobs" in capsys.readouterr().err.splitlines()[-1]


def test_without_slurm_the_remedy_is_told(
    grammar_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run([*ladder_in(tmp_path), "--data", str(grammar_folder)]) == 2
    assert "there is no Slurm here (squeue is not found); call it on a machine" in capsys.readouterr().err
