"""What the README tells people to type exists."""

import os
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[2] / "README.md"


def shell_lines(text: str) -> list[str]:
    """The command lines of the ```sh blocks, comments dropped."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return [line.split(" #")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]


@cache
def help_of(command: str) -> str:
    script = "import sys; from fabula.cli import main; sys.argv[0] = 'fabula'; sys.exit(main())"
    environment = os.environ | {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
    result = subprocess.run(
        [sys.executable, "-c", script, command, "--help"], capture_output=True, text=True, env=environment, check=False
    )
    assert result.returncode == 0, f"there is no `fabula {command}`: {result.stderr}"
    return result.stdout


@pytest.mark.parametrize(
    "line", [line for line in shell_lines(README.read_text(encoding="utf-8")) if line.startswith("fabula ")]
)
def test_the_readmes_commands_and_options_exist(line: str) -> None:
    command, *arguments = shlex.split(line)[1:]
    shown = help_of(command)
    for option in (argument for argument in arguments if argument.startswith("--")):
        assert re.search(rf"(?<![\w-]){option}(?![\w-])", shown), f"`fabula {command}` has no {option}"


def test_the_readmes_make_targets_exist(repo: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", (repo / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    used = [line.split()[1] for line in shell_lines(README.read_text(encoding="utf-8")) if line.startswith("make ")]
    assert {"demo", "test"} <= set(used) <= set(targets)


def test_without_make_installs_the_same_torch_as_make(repo: Path) -> None:
    (pin,) = re.findall(r"^TORCH := (torch==\S+)$", (repo / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert f"pip install {pin}" in shell_lines(README.read_text(encoding="utf-8"))
