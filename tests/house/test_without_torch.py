"""The base package runs where torch is not: proved in an environment with its declared dependencies and no more.

What the list of base dependencies lacks cannot be imported there, unless another dependency happens to bring it;
`test_rooms.py` asks for those as well.
"""

import importlib.metadata
import importlib.util
import json
import os
import subprocess
import tomllib
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import fabula
from fabula.recipe import load_recipe
from fabula.recipe.toml import to_toml
from fabula.record.writer import RunWriter

# What the script `fabula` does, for an environment that pip did not make.
SCRIPT = """
import sys
from importlib.metadata import entry_points
(script,) = entry_points(group="console_scripts", name="fabula")
sys.argv[0] = "fabula"
sys.exit(script.load()())
"""


def closure(requirements: list[str]) -> Iterator[importlib.metadata.Distribution]:
    """The installed distributions that `requirements` bring in on this machine, each once."""
    waiting = [Requirement(line) for line in requirements]
    seen: set[tuple[str, str]] = set()
    while waiting:
        requirement = waiting.pop()
        distribution = importlib.metadata.distribution(requirement.name)
        wanted = {(distribution.name, extra) for extra in ("", *requirement.extras)} - seen
        if (distribution.name, "") in wanted:
            yield distribution
        seen |= wanted
        for line in distribution.requires or []:
            inner = Requirement(line)
            if any(inner.marker is None or inner.marker.evaluate({"extra": extra}) for _, extra in wanted):
                waiting.append(inner)


def link_into(site: Path, distribution: importlib.metadata.Distribution) -> None:
    """Every file of `distribution` that lies in its site-packages, linked into `site` (scripts stay outside)."""
    for file in distribution.files or []:
        if ".." in file.parts or file.suffix in (".pyc", ".pth"):
            continue
        target = site / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(distribution.locate_file(file))


@pytest.fixture(scope="module")
def bare_python(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter whose environment holds fabula and its base dependencies only. No network is used."""
    folder = tmp_path_factory.mktemp("bare") / "venv"
    builder = venv.EnvBuilder(with_pip=False, symlinks=os.name == "posix")
    builder.create(folder)
    context = builder.ensure_directories(folder)
    python = Path(context.env_exe)
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip())

    base = tomllib.loads((repo / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    for distribution in closure(base):
        link_into(site, distribution)
    link_into(site, importlib.metadata.distribution("fabula"))
    if not (site / "fabula").exists():  # installed as editable
        (site / "fabula").symlink_to(Path(fabula.__file__).parent, target_is_directory=True)
    return python


def run(python: Path, *arguments: str, **options: str) -> subprocess.CompletedProcess[str]:
    """Run `python` as if nothing of this process's environment were there."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return subprocess.run(
        [python, *arguments],
        env=kept | {"PYTHONNOUSERSITE": "1"} | options,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def recorded_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of 40 steps, written through the record's own writer."""
    folder = tmp_path_factory.mktemp("recorded") / "run"
    recipe = load_recipe("basic/packed")
    info = {"seed": 0, "recipe": recipe.name, "device": "cpu", "threads": 2}
    with RunWriter.create(folder, to_toml(recipe.as_tree()), "{}", info) as writer:
        for step in range(41):
            loss = 10.8 - 0.1 * step
            if step:
                writer.train(
                    step=step, tokens=2048 * step, loss=loss, grad_norm=1.0, learning_rate=1e-4, seconds=0.1 * step
                )
            if step % 10 == 0:
                full = step in (0, 40)
                writer.evaluation(step=step, tokens=2048 * step, train_loss=loss, val_loss=loss, full=full)
        writer.sample(step=40, prompt="A boy", text="A boy told his sister a story.")
        writer.close("finished")
    return folder


def test_the_bare_environment_really_lacks_the_rest(bare_python: Path) -> None:
    packages = ("torch", "tokenizers", "tiktoken", "pyarrow", "transformers", "pytest")
    unknown = [package for package in packages if importlib.util.find_spec(package) is None]
    assert not unknown, f"{unknown} are not here either, so that their absence there proves nothing"
    script = "import sys; from importlib.util import find_spec; print(*filter(find_spec, sys.argv[1:]))"
    result = run(bare_python, "-c", script, *packages)
    assert (result.returncode, result.stdout.split()) == (0, []), result.stderr


def test_records_and_recipes_are_read_without_torch(bare_python: Path, recorded_run: Path) -> None:
    script = """
import json, pathlib, sys
from fabula.recipe import load_recipe, recipe_names
from fabula.record.reader import read_run
run = read_run(pathlib.Path(sys.argv[1]))
print(json.dumps({"status": run.status, "losses": run.train["loss"].tolist(), "recipes": recipe_names()}))
"""
    result = run(bare_python, "-c", script, str(recorded_run))
    assert result.returncode == 0, result.stderr
    answer = json.loads(result.stdout)
    assert answer["status"] == "finished"
    assert answer["losses"] == pytest.approx([10.8 - 0.1 * step for step in range(1, 41)])
    assert "basic/packed" in answer["recipes"]


def test_help_without_torch(bare_python: Path) -> None:
    result = run(bare_python, "-c", SCRIPT, "--help")
    assert result.returncode == 0, result.stderr
    assert "prepare" in result.stdout and "report" in result.stdout


@pytest.mark.long
def test_report_without_torch(bare_python: Path, recorded_run: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    result = run(bare_python, "-c", SCRIPT, "report", str(recorded_run), "--out", str(page))
    assert result.returncode == 0, result.stderr
    assert page.stat().st_size > 1000
    assert page.with_suffix(".md").is_file()


@pytest.mark.long
def test_diagnose_without_torch(bare_python: Path, recorded_run: Path, repo: Path) -> None:
    logs = repo / "tests" / "record" / "logs"
    for given in (recorded_run, logs / "trainer", logs / "trainer.log", logs / "tensorboard" / "classic"):
        result = run(bare_python, "-c", SCRIPT, "diagnose", str(given), "--json")
        assert result.returncode == 0, result.stderr
        assert json.loads(result.stdout)["verdict"] in ("healthy", "warning", "not judged")


def test_training_without_torch_names_the_extra(bare_python: Path, tmp_path: Path) -> None:
    (tmp_path / "stories.txt").write_text("Once upon a time.\n", encoding="utf-8")
    result = run(bare_python, "-c", SCRIPT, "train", "basic", "--data", str(tmp_path), "--out", str(tmp_path / "run"))
    assert result.returncode == 2, result.stderr
    assert "fabula[train]" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "run").exists()
