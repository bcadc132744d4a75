"""The commands of docs/data.md work when they are copied, in their order."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fabula.data.dataset import open_dataset


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="the page's commands are for a Unix shell")
def test_the_commands_of_the_page(repo: Path, tmp_path: Path) -> None:
    page = (repo / "docs" / "data.md").read_text(encoding="utf-8")
    commands = "".join(re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL))
    assert commands.count("fabula prepare") >= 4
    shell = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", "-e", "-c", commands], cwd=tmp_path, env=shell, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    made = sorted(path.name for path in (tmp_path / "data").iterdir())
    assert made == ["builtin", "named", "piped", "tilde"]
    for name in made:
        folder = tmp_path / "data" / name
        facts = open_dataset(folder).manifest.splits
        assert sum(split.num_stories for split in facts.values()) == (2000 if name == "builtin" else 5)
