"""`fabula play` as it is typed."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.play.models import write_runs

from fabula.cli import run as fabula
from fabula.cli.live.play import FIRST_PORT
from fabula.cli.named.defaults import LOADING
from fabula.cli.named.several_models import names_of, place_of


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return [each.run for each in write_runs(tmp_path_factory.mktemp("runs"), ("a", "b"))]


def refused(capsys: pytest.CaptureFixture[str], *arguments: str, loading: bool = False) -> str:
    """The one line that the command ends with; `loading`: whether what is wrong was found with torch alone."""
    assert fabula(["play", *arguments]) == 2
    out, err = capsys.readouterr()
    assert (LOADING in err) == loading
    err = err.partition("\n")[2] if loading else err
    assert out == "" and err.count("\n") == 1 and err.startswith("fabula: ")
    return err


def test_what_cannot_be_played_with_is_one_line(
    runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(runs[0])
    assert "room for four" in refused(capsys, *[run] * 5)
    assert "does not exist" in refused(capsys, str(tmp_path / "nowhere"))
    assert "is not a run folder" in refused(capsys, str(tmp_path))
    assert "no checkpoint at step 7" in refused(capsys, f"{run}@7")
    assert "--host" in refused(capsys, run, "--host", "203.0.113.7")
    assert "--port 99999: give a number" in refused(capsys, run, "--port", "99999")
    (empty,) = (each.run for each in write_runs(tmp_path, ("empty",)))
    for step in (empty / "checkpoints").iterdir():
        (step / "model.safetensors").write_bytes(b"damaged")
    assert "missing or damaged" in refused(capsys, run, str(empty), loading=True)
    for step in (empty / "checkpoints").iterdir():
        step.rename(tmp_path / step.name)
    assert "has no checkpoint" in refused(capsys, str(empty))
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        assert "is taken" in refused(capsys, run, "--port", str(other.getsockname()[1]))


def test_a_step_is_named_behind_the_run(tmp_path: Path) -> None:
    odd = tmp_path / "run@5"
    odd.mkdir()
    assert place_of(str(odd)) == (odd, None), "a folder that is called so"
    assert place_of(f"{odd}@20") == (odd, 20)
    assert place_of("runs/a@20") == (Path("runs/a"), 20)
    assert place_of("runs/a@best") == (Path("runs/a@best"), None)
    places = [(Path("a"), None), (Path("b"), 5), (Path("x/a"), None), (Path("y/a"), None)]
    assert names_of(places) == ["a", "b at 5", "a (2)", "a (3)"]


@given(st.lists(st.sampled_from(["x/a", "y/a", "z/a (2)", "a (2) (2)", "a at 5", "b"]), max_size=4))
def test_names_are_all_different_also_beside_folders_that_are_called_so(runs: list[str]) -> None:
    assert names_of([(Path("x/a"), None), (Path("y/a"), None), (Path("z/a (2)"), None)])[2] not in ("a", "a (2)")
    for step in (None, 5):
        names = names_of([(Path(run), step) for run in runs])
        assert len(set(names)) == len(runs)


def test_the_first_line_comes_before_torch_is_loaded(runs: list[Path], tmp_path: Path, repo: Path) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise ModuleNotFoundError('none', name='torch')")
    command = [sys.executable, "-c", "from fabula.cli import main; main()", "play", f"{runs[0]}@10", str(runs[1])]
    paths = os.pathsep.join([str(tmp_path), str(repo / "src")])
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": paths}, cwd=tmp_path, check=False
    )
    assert done.returncode == 2 and done.stdout == ""
    first, last = done.stderr.splitlines()
    assert first == "fabula: run-0 at 10, run-1; loading torch ..."
    assert last.startswith("fabula: this command needs torch")


@pytest.mark.slow
def test_it_answers_at_its_address_and_ends_at_the_first_ctrl_c(runs: list[Path]) -> None:
    """Also while a story is being told, and with a browser that holds its connection."""
    process = subprocess.Popen(
        [sys.executable, "-m", "fabula", "play", f"{runs[0]}@10", str(runs[1])],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None and process.stderr is not None
    line = next(each for each in process.stdout if "Next" in each)
    url = line.split()[2]
    assert f"127.0.0.1:{str(FIRST_PORT)[:2]}" in url
    asked = urllib.request.Request(
        f"{url}stories", b'{"model": "0", "maxTokens": 4096, "topP": 1.0}', {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(asked) as story:
        assert story.readline()
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert time.monotonic() - start < 30, "a busy machine takes its time; it does not wait for the story"
    assert process.stderr.read() == "fabula: run-0 at 10, run-1; loading torch ...\nCtrl-C ends it\n"
