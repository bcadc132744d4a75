"""What is to be typed next works as it is printed, however fabula was called."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fabula.cli import app
from fabula.cli.screen.typed import VERBS, as_called, program


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment's script, which is not on the path."""
    path = tmp_path / ".venv" / "bin" / "fabula"
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", os.defpath)
    return path


def test_the_program_is_named_as_it_was_called(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", [".venv/bin/fabula", "demo"])
    assert program() == ".venv/bin/fabula"
    monkeypatch.setenv("PATH", str(script.parent))  # the environment is activated
    monkeypatch.setattr("sys.argv", [str(script), "demo"])
    assert program() == "fabula"
    monkeypatch.setattr("sys.argv", ["elsewhere/pytest"])
    assert program() == "fabula"


def test_only_commands_are_respelled(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", [".venv/bin/fabula", "demo"])
    text = "see fabula; make it with: fabula prepare SOURCE, or `fabula train` (data/fabula train)"
    told = "see fabula; make it with: .venv/bin/fabula prepare SOURCE, or `.venv/bin/fabula train` (data/fabula train)"
    assert as_called(text) == told


def test_every_command_is_respelled() -> None:
    names = [each.name or each.callback.__name__ for each in app.registered_commands if each.callback]
    assert {*names} - {"help"} == {*VERBS.split("|")}


def test_python_m_fabula_says_so(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fabula", "train"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert f"with: {sys.executable} -m fabula prepare builtin" in " ".join(done.stderr.split())
