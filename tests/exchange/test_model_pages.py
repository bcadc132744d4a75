"""The tables of the documentation are those that the recipes and the records give today."""

import importlib.util
from pathlib import Path

import pytest


@pytest.mark.parametrize("page", ["models.md", "generation.md", "export.md"])
def test_the_tables_are_current(page: str, repo: Path) -> None:
    spec = importlib.util.spec_from_file_location("model_pages", repo / "docs" / "model_pages.py")
    assert spec is not None and spec.loader is not None
    pages = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pages)
    text = (repo / "docs" / page).read_text(encoding="utf-8")
    for name, write in pages.BLOCKS[page].items():
        assert pages.renew(text, name, write()) == text, f"run: python docs/model_pages.py ({name})"
