"""Rules about the files themselves: their size, what must not stand in them, and the reasons for each dependency."""

import re
import subprocess
import tomllib
from collections import Counter
from pathlib import Path

import pytest
from packaging.requirements import Requirement

MAX_LINES = 420
TEXT_ENDINGS = set(" .py .sh .md .toml .lock .txt .csv .json .jsonl .html .css .js .jinja .yml .yaml".split(" "))


@pytest.fixture(scope="module")
def tracked(repo: Path) -> list[Path]:
    """Every file of the project as git lists it; a checkout without git has no such list."""
    if not (repo / ".git").exists():
        pytest.skip("not a git checkout: which files belong to the project is not known")
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=repo, capture_output=True, text=True, check=True).stdout
    return [repo / name for name in listing.split("\0") if name and (repo / name).is_file()]


def test_a_source_file_holds_one_idea(repo: Path) -> None:
    sizes = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in (repo / "src").rglob("*.py")}
    assert sizes, "no sources found: this test looks in the wrong place"
    too_long = {str(path.relative_to(repo)): size for path, size in sizes.items() if size > MAX_LINES}
    assert not too_long, f"split these, they hold more than one idea: {too_long}"


MOST_FILES = 10
"""Side by side in a folder of sources: more of them hide which way a story goes."""


def test_a_folder_shows_few_files_side_by_side(repo: Path) -> None:
    files = [path for path in (repo / "src").rglob("*.py") if path.name != "__init__.py"]
    sizes = Counter(path.parent.relative_to(repo) for path in files)
    crowded = {str(folder): size for folder, size in sizes.items() if size > MOST_FILES}
    assert not crowded, f"more than {MOST_FILES} files: {crowded}"


# Written in pieces, so that this file does not find itself.
FORBIDDEN = {
    "a package host": re.compile(
        "|".join(["py" + r"pi\.", "python" + "hosted", "download" + r"\.pytorch", "conda" + r"\.anaconda"])
    ),
    "an index address": re.compile(
        "(--" + "index-url|--" + r"extra-index-url|--" + r"find-links|--" + "trusted-host)[ =]"
    ),
    "a path of one machine": re.compile(r"(?<![\w.])/(?:work|root|home/\w+|Users/\w+|opt|tmp)/[\w.]"),
    "a private key": re.compile("-----BEGIN " + "[A-Z ]*PRIVATE KEY"),
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_names(what: str, tracked: list[Path], repo: Path) -> None:
    pattern = FORBIDDEN[what]
    found = []
    for path in tracked:
        if path.suffix not in TEXT_ENDINGS:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if pattern.search(line):
                found.append(f"{path.relative_to(repo)}:{number}: {line.strip()[:120]}")
    assert not found, f"{what} stands in\n" + "\n".join(found[:20])


@pytest.fixture(scope="module")
def project(repo: Path) -> dict:
    return tomllib.loads((repo / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def named_dependencies(project: dict) -> set[str]:
    """Every package that pyproject.toml asks for, base and extras."""
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    return {Requirement(line).name.lower().replace("_", "-") for line in lines}


def test_each_dependency_has_one_line_with_its_reason(project: dict, repo: Path) -> None:
    text = (repo / "docs" / "dependencies.md").read_text(encoding="utf-8")
    explained = re.findall(r"^- `([\w.-]+)(?:\[[^]]*\])?`.* — \S.{10,}$", text, flags=re.MULTILINE)
    explained = [name.lower().replace("_", "-") for name in explained]
    assert sorted(explained) == sorted(set(explained)), "a package is explained twice"
    assert set(explained) == named_dependencies(project)


def test_the_lock_leaves_torch_and_what_only_its_gpu_builds_need_to_the_machine(repo: Path) -> None:
    pins = re.findall(
        r"^([\w.-]+)==(\S+)(.*)$", (repo / "requirements.lock").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    names = {name for name, _, _ in pins}
    assert not [name for name in names if re.match(r"torch$|triton|nvidia-|cuda-|pytorch-triton", name)]
    project = tomllib.loads((repo / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert named_dependencies(project) - names == {"torch", "aim"}


def test_each_lock_line_is_pinned_and_hashed(repo: Path) -> None:
    lines = (repo / "requirements.lock").read_text(encoding="utf-8").splitlines()
    starts = [number for number, line in enumerate(lines) if line and line[0] not in " #"]
    assert len(starts) > 20
    for number in starts:
        assert re.match(r"[\w.-]+==\S+( ; .*)? \\$", lines[number]), lines[number]
        assert lines[number + 1].strip().startswith("--hash=sha256:"), lines[number]


def test_makefile_installs_the_exact_torch_first(repo: Path) -> None:
    installs = [line for line in (repo / "Makefile").read_text(encoding="utf-8").splitlines() if "pip install" in line]
    assert "TORCH := torch==2.13.0" in (repo / "Makefile").read_text(encoding="utf-8").splitlines()
    assert installs[0].endswith("install --quiet $(TORCH)"), installs
