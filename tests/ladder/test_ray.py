"""`--on ray`: what is asked of Ray and made of its answers, with a stand-in; and a local Ray whose worker is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.ladder.test_fleet import RUNS
from tests.ladder.test_slurm import ladder_in

from fabula.cli import run
from fabula.errors import InputError
from fabula.ladder.fleet.needs import PROCESS_BYTES
from fabula.ladder.fleet.on_ray import RayEngine
from fabula.ladder.fleet.sharing import Left
from fabula.ladder.fleet.work import Outcome
from fabula.record.checkpoint import checkpoint_steps
from fabula.record.reader import find_runs, read_run


class RayError(Exception):
    pass


class Died(RayError):
    pass


class StandIn:
    """Ray as far as it is asked: the first task that was handed over is the first that is done."""

    exceptions = SimpleNamespace(RayError=RayError, RayTaskError=type("RayTaskError", (RayError,), {}))

    def __init__(self, *outcomes: Outcome | Exception) -> None:
        self.outcomes = list(outcomes)
        self.asked: list[dict[str, Any]] = []

    def remote(self, function: Any) -> Any:
        def options(**asked: Any) -> Any:
            self.asked.append(asked)
            return SimpleNamespace(remote=lambda task: asked["name"])

        return SimpleNamespace(options=options)

    def wait(self, references: list[Any], num_returns: int, timeout: float) -> tuple[list[Any], list[Any]]:
        return references[:1], references[1:]

    def get(self, reference: Any) -> Outcome:
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def test_each_run_is_a_task_with_what_it_needs(grammar_folder: Path, tmp_path: Path) -> None:
    ray = StandIn(Outcome("finished"), Died(), Outcome(wrong="no stories here"))
    engine = RayEngine(ray, grammar_folder, tmp_path, threads=3, gpus=1, at_once=2)
    engine.submit(RUNS)
    assert [asked["name"] for asked in ray.asked] == [str(run.folder) for run in RUNS[:2]], "two at once"
    first = ray.asked[0]
    assert (first["num_cpus"], first["num_gpus"], first["max_retries"]) == (3, 1, 0)
    assert first["memory"] > PROCESS_BYTES
    assert engine.left(0.0) == [Left(RUNS[0])]
    assert len(ray.asked) == 3 and engine.counts() == (0, 2), "the third was handed over in the first one's place"
    assert engine.left(0.0) == [Left(RUNS[1], why="Died of ray")]
    assert engine.left(0.0) == [Left(RUNS[2], wrong="no stories here")]
    assert engine.left(0.0) == []


def test_a_run_that_fits_no_node_is_refused(grammar_folder: Path, tmp_path: Path) -> None:
    engine = RayEngine(StandIn(), grammar_folder, tmp_path, threads=3, gpus=0, at_once=None)
    engine.check(RUNS, [{"CPU": 1, "memory": 1e12}, {"CPU": 4, "memory": 8e9}])
    for nodes in ([{"CPU": 2, "memory": 8e9}], [{"CPU": 4, "memory": 1e8}], []):
        with pytest.raises(InputError, match=r"needs 3 cores and 0.. GB, which no node of this Ray cluster has"):
            engine.check(RUNS, nodes)


@pytest.mark.slow
def test_a_ladder_on_a_local_ray_whose_worker_is_killed(grammar_folder: Path, tmp_path: Path) -> None:
    command = [*ladder_in(tmp_path, steps=600), "--data", str(grammar_folder)]
    command[command.index("slurm")] = "ray"
    with open(tmp_path / "said.txt", "wb") as said:
        ladder = subprocess.Popen([sys.executable, "-m", "fabula", *command], stderr=said, stdout=said)
    made, deadline = tmp_path / "out" / "runs" / "tiny" / "start" / "seed-0", time.monotonic() + 200
    while not checkpoint_steps(made) and time.monotonic() < deadline:
        time.sleep(0.05)
    lock = made.with_name(".seed-0.lock").read_text()
    os.kill(int(lock.split()[1]), signal.SIGKILL)
    assert ladder.wait(300) == 0, (tmp_path / "said.txt").read_text()
    assert "it is taken up again" in (tmp_path / "said.txt").read_text()
    runs = [read_run(each) for each in find_runs(tmp_path / "out")]
    assert [list(each.train["step"]) for each in runs] == [list(range(1, 601))] * 2
    assert json.loads((tmp_path / "out" / "ladder.json").read_text())["on"] == "ray"


@pytest.mark.parametrize(
    ("place", "more", "said"),
    [
        ("ray:127.0.0.1:1", [], "--on ray:127.0.0.1:1: no Ray cluster answers there"),
        ("ray:ray://127.0.0.1:1", [], "--on ray:ray://127.0.0.1:1: no Ray cluster answers there"),
        ("ray:127.0.0.1:99999", [], "--on ray:127.0.0.1:99999: no Ray cluster answers there"),
        ("ray", ["--threads", "1000"], "--threads 1000: this machine has"),
        ("kubernetes", [], '--on "kubernetes": give ray, ray:ADDRESS or slurm'),
    ],
)
def test_what_cannot_be_had_is_one_line_before_anything_is_written(
    place: str, more: list[str], said: str, grammar_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*ladder_in(tmp_path), "--data", str(grammar_folder), *more]
    command[command.index("slurm")] = place
    assert run(command) == 2
    assert said in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out").exists()
