"""The guides as a site: every page is on it, every link within it leads somewhere; slow: it is built."""

import importlib
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import fabula


@pytest.fixture(scope="module")
def site(repo: Path) -> dict[str, Any]:
    return runpy.run_path(str(repo / "docs" / "site.py"))


def test_links_lead_to_pages_of_the_site(site: dict[str, Any], tmp_path: Path, repo: Path) -> None:
    pages = site["gather"](tmp_path / "source")
    assert {page.name for page in pages} > {"index.md", "contributing.md", "reference.md", "record.md", "python.md"}
    links = 0
    for page in pages:
        text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        for _, target, _, _ in site["LINK"].findall(text):
            links += 1
            assert "://" in target or (page.parent / target).is_file(), f"{page.name}: {target}"
    assert links > 40


def test_every_guide_is_in_the_contents(repo: Path) -> None:
    contents = set(re.findall(r"[\w-]+\.md", (repo / "docs" / "mkdocs.yml").read_text(encoding="utf-8")))
    assert {page.name for page in (repo / "docs").glob("*.md")} <= contents


def test_the_reference_has_every_public_name(site: dict[str, Any]) -> None:
    shown = re.findall(r"^::: (\S+)\.(\w+)$", site["reference"](), flags=re.MULTILINE)
    assert {name for _, name in shown} >= set(fabula.PUBLIC)
    for module, name in shown:
        value = getattr(importlib.import_module(module), name)
        assert value is getattr(importlib.import_module(fabula.PUBLIC.get(name, module)), name)


@pytest.mark.slow
def test_it_is_built_without_network(repo: Path) -> None:
    done = subprocess.run([sys.executable, "docs/site.py"], cwd=repo, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    reference = (repo / "build" / "site" / "reference.html").read_text(encoding="utf-8")
    assert "learning_rate" in reference and "alarm" in reference
    pages = [page.read_text(encoding="utf-8") for page in (repo / "build" / "site").glob("*.html")]
    assert not [page for page in pages if re.search(r'<(script|link)[^>]*(src|href)="https?://[^"]+\.(js|css)', page)]
