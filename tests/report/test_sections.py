"""A section of the page is called by the page, computes nothing, and shows what both renderings know."""

import ast
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from fabula.report.render.blocks import Block, Opening

REPORT = Path("src") / "fabula" / "report"


def names_of(repo: Path, folder: Path) -> list[str]:
    """The modules in a folder of the report and below it."""
    files = [path for path in (repo / folder).rglob("*.py") if path.name != "__init__.py"]
    assert files, "this test looks in the wrong place"
    return [".".join(path.relative_to(repo / "src").with_suffix("").parts) for path in files]


@pytest.mark.long
def test_every_section_is_called_by_the_page(repo: Path) -> None:
    """Loaded with it in a fresh interpreter."""
    script = "import sys, fabula.report.document; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    forgotten = set(names_of(repo, REPORT / "sections")) - set(loaded)
    assert not forgotten, f"call these in fabula.report.document or single_run: {sorted(forgotten)}"


@pytest.mark.parametrize("folder", ["sections", "render"])
def test_what_is_computed_stands_in_study(repo: Path, folder: str) -> None:
    for path in (repo / REPORT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            imported = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                imported = [f"{node.module}.{each.name}" for each in node.names]
            computing = [name for name in imported if name.startswith(("numpy", "statistics"))]
            assert not computing, f"{path.name} imports {computing}: what is computed belongs into fabula.study"


def test_the_page_knows_every_kind_of_block(repo: Path) -> None:
    """mypy holds the same for Markdown; the first screen is the page's own."""
    templates = repo / REPORT / "render" / "templates"
    drawn = (templates / "blocks.html.jinja").read_text(encoding="utf-8")
    unknown = [kind.__name__ for kind in get_args(Block) if kind is not Opening and f'"{kind.__name__}"' not in drawn]
    assert not unknown, f"draw these in blocks.html.jinja: {unknown}"
