"""The walls of the house, checked on the real import graph, and proof that the check can fail."""

import ast
import importlib.metadata
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement

TRACKERS = ("tensorboard", "wandb", "trackio", "mlflow", "aim")
packages_distributions = cache(importlib.metadata.packages_distributions)  # a second and a half
BASE = ("errors.py", "record", "recipe", "findings", "study", "report", "cli")


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    script = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, 'src'); {script}", "--no-cache"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_order_of_the_packages_holds(repo: Path) -> None:
    result = lint_imports(repo)
    assert result.returncode == 0, result.stdout


WRONG = {
    "recipe/wrong.py": ("def late():\n    import torch", "fabula.recipe is not allowed to import torch"),
    "record/wrong.py": ("import fabula.recipe", "fabula.record is not allowed to import fabula.recipe"),
    "findings/wrong.py": ("import fabula.data", "fabula.findings is not allowed to import fabula.data"),
    "data/wrong.py": ("from fabula import findings", "fabula.data is not allowed to import fabula.findings"),
    "study/wrong.py": ("import fabula.report", "fabula.study is not allowed to import fabula.report"),
    "grammar/wrong.py": ("import fabula.data", "fabula.grammar is not allowed to import fabula.data"),
    "cellar/wrong.py": ("import json", "not listed as layers"),
}
"""Files that break a wall each, and what is said of it."""


def test_broken_walls_are_seen(repo: Path, tmp_path: Path) -> None:
    """All in one copy, for reading the whole graph takes most of the time."""
    shutil.copytree(repo / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(repo / "pyproject.toml", tmp_path)
    root = tmp_path / "src" / "fabula"
    for file, (line, _) in WRONG.items():
        (root / file).parent.mkdir(exist_ok=True)
        ((root / file).parent / "__init__.py").touch()
        (root / file).write_text(f"{line}\n", encoding="utf-8")
    result = lint_imports(tmp_path)
    assert result.returncode != 0
    told = " ".join(result.stdout.split())
    assert not [broken for _, broken in WRONG.values() if broken not in told], told


def third_party_imports(path: Path) -> set[str]:
    """The top-level names that a file imports anywhere in it and that neither Python nor fabula provides."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return names - sys.stdlib_module_names - {"fabula"}


@pytest.mark.parametrize("wing", ["base", "making"])
def test_what_is_imported_is_declared(wing: str, repo: Path) -> None:
    """A dependency of a dependency may go away with it, so each package that we import stands in pyproject.toml."""
    project = tomllib.loads((repo / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = list(project["dependencies"])
    if wing == "making":
        declared += [
            line
            for extra in ("train", "hub", "gguf", "judge", "ray", "slurm", "serve", "lightning", "keras", *TRACKERS)
            for line in project["optional-dependencies"][extra]
        ]
    packages = {Requirement(line).name.lower().replace("_", "-") for line in declared}
    provided_by = packages_distributions()

    package = repo / "src" / "fabula"
    undeclared = {}
    for path in package.rglob("*.py"):
        is_base = path.relative_to(package).parts[0] in BASE
        if is_base != (wing == "base"):
            continue
        for name in third_party_imports(path):
            owners = {owner.lower().replace("_", "-") for owner in provided_by.get(name, [name])}
            if not owners & packages:
                undeclared[str(path.relative_to(repo))] = name
    assert not undeclared


def imports_inside_functions(path: Path) -> list[int]:
    """Lines of a function on which imports begin that do not say what they spare; those in a row say it once."""
    lines = path.read_text(encoding="utf-8").splitlines()
    tree = ast.parse("\n".join(lines))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    found = {
        node.lineno
        for function in functions
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    return sorted(each for each in found if each - 1 not in found and "# " not in lines[each - 1])


def test_an_import_inside_a_function_says_what_it_spares(repo: Path) -> None:
    """Anything else hides a circle. In `cli` all of them spare `fabula --help` everything else."""
    package = repo / "src" / "fabula"
    files = [path for path in package.rglob("*.py") if path.relative_to(package).parts[0] != "cli"]
    assert len(files) > 100, "this test looks in the wrong place"
    silent = {str(path.relative_to(repo)): lines for path in files if (lines := imports_inside_functions(path))}
    assert not silent, f"move these to the top, or say in a comment which heavy library they spare: {silent}"
