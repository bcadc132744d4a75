"""The walls of the house, checked on the real import graph, and proof that the check can fail."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    script = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, 'src'); {script}", "--no-cache"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_order_of_the_rooms_holds(repo: Path) -> None:
    result = lint_imports(repo)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("file", "line", "broken"),
    [
        ("recipe/wrong.py", "def late():\n    import torch", "fabula.recipe is not allowed to import torch"),
        ("record/wrong.py", "import fabula.recipe", "fabula.record is not allowed to import fabula.recipe"),
        ("findings/wrong.py", "import fabula.text", "fabula.findings is not allowed to import fabula.text"),
        ("text/wrong.py", "from fabula import findings", "fabula.text is not allowed to import fabula.findings"),
        ("cellar/wrong.py", "import json", "not listed as layers"),
    ],
)
def test_a_broken_wall_is_seen(file: str, line: str, broken: str, repo: Path, tmp_path: Path) -> None:
    shutil.copytree(repo / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(repo / "pyproject.toml", tmp_path)
    package = tmp_path / "src" / "fabula"
    for room in {"findings", "text", Path(file).parts[0]}:
        (package / room).mkdir(exist_ok=True)
        (package / room / "__init__.py").touch()
    (package / file).write_text(f"{line}\n", encoding="utf-8")
    result = lint_imports(tmp_path)
    assert result.returncode != 0
    assert broken in " ".join(result.stdout.split())
