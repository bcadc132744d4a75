"""What the README tells people to type works: every command line of it, in order, in one empty folder."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from tests.house.shell import shell_lines, shortened

from fabula.cli import run

README = Path(__file__).resolve().parents[2] / "README.md"

SMALL = '"batch.rows" = 2, "model.layers" = 1, "model.width" = 64, "model.heads" = 1'
SHORTER = {
    "prepare builtin": "prepare builtin --limit 60",
    "--minutes 10": "--steps 3 --set batch.rows=2",
    "--minutes 3": "--steps 3 --set batch.rows=2",
    "--scale 0.1": "--scale 0.002",
    'tiers = ["modern-portable"]': f'set = {{ {SMALL} }}\ntiers = ["modern-portable"]',
}
"""What the test types instead, so that it takes seconds: all that it changes in the README's commands."""
ELSEWHERE = {
    "make": "their targets are looked up below; .ci/run types them",
    "python": "installing: .ci/run does it by make",
    "pip": "installing, with the same torch as make",
    ".": "a shell's own",
    r".venv\Scripts\activate": "for Windows",
    "fabula demo": ".ci/run makes it",
}
"""Lines that are not run here, by how they begin, and where they are."""


def is_elsewhere(line: str) -> bool:
    return any(line == start or line.startswith(f"{start} ") for start in ELSEWHERE)


@pytest.mark.long
def test_the_readmes_commands_work_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for line in shortened([line for line in shell_lines(README) if not is_elsewhere(line)], SHORTER):
        if "<<'END'" in line:
            subprocess.run(["sh", "-ec", line], check=True)
            continue
        program, *arguments = shlex.split(line)
        assert program == "fabula", f"neither a command of ours nor named in ELSEWHERE: {line}"
        monkeypatch.setattr("sys.argv", [program, *arguments])
        code = run(arguments)
        out, err = capfd.readouterr()
        assert code == 0, f"{line}: exit code {code}\n{out}{err}"
    made = ("data/builtin", "runs/first", "exported/first-hf", "exported/first-gguf/model.gguf", "report.html")
    assert all((tmp_path / each).exists() for each in (*made, "runs/mine/report.html"))


def test_the_readmes_make_targets_exist(repo: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", (repo / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    used = [line.split()[1] for line in shell_lines(README) if line.startswith("make ")]
    assert {"setup", "demo"} <= set(used) <= set(targets)


def test_without_make_installs_the_same_torch_as_make(repo: Path) -> None:
    (pin,) = re.findall(r"^TORCH := (torch==\S+)$", (repo / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert f"pip install {pin}" in shell_lines(README)


def test_every_extra_that_the_readme_names_exists(repo: Path) -> None:
    import tomllib

    project = tomllib.loads((repo / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {
        word for group in re.findall(r"\.\[([\w,]+)\]", README.read_text(encoding="utf-8")) for word in group.split(",")
    }
    assert named and named <= set(project["optional-dependencies"])
