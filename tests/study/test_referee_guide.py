"""The loop of docs/referee.md does what the page says, on trainings that take no time."""

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

LONGEST = 30
ENDS = {"--wider": -0.3, "--nothing": 0.0, "--worse": 0.3, "--a-little": -0.02}
"""What each change does to the loss."""


def guide_loop(repo: Path) -> str:
    (code,) = re.findall(
        r"^```python\n(.*?)^```", (repo / "docs" / "referee.md").read_text(encoding="utf-8"), re.M | re.S
    )
    return code


def test_the_loop_of_the_guide_keeps_what_helps(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "changes.txt").write_text("\n".join([*ENDS, "--worse --nothing"]) + "\n", encoding="utf-8")

    def train(command: list[str], check: bool) -> None:
        *settings, seed, log = command[2:]
        random = np.random.default_rng([*map(len, settings), int(seed.partition("=")[2])])
        end = 3.0 + sum(map(ENDS.__getitem__, settings)) + 0.01 * random.standard_normal()
        lines = [f"{step},{end + 3 * np.exp(-step / 30):.5f}" for step in range(10, 210, 10)]
        Path(log.partition("=")[2]).write_text("\n".join(["step,val_loss", *lines, ""]), encoding="utf-8")

    monkeypatch.setattr(subprocess, "run", train)
    code = guide_loop(repo)
    assert len([line for line in code.splitlines() if line.strip()]) <= LONGEST
    exec(compile(code, "docs/referee.md", "exec"), {})  # noqa: S102
    told = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert [change for _, change in told] == [*ENDS, "--worse --nothing"]
    assert [decision for decision, _ in told[:3]] == ["keep", "discard", "discard"]
    assert told[-1][0] == "discard"
    runs = {folder.name: len(list(folder.iterdir())) for folder in (tmp_path / "experiments").iterdir()}
    assert runs["start"] == 3 and runs["change-4"] > 3, "the small change is worth more seeds"
