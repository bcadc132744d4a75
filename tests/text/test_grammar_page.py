"""docs/grammar.md shows what the grammar really tells."""

from __future__ import annotations

import runpy
from pathlib import Path


def test_the_page_is_what_its_script_writes(repo: Path) -> None:
    script = runpy.run_path(str(repo / "docs" / "grammar_page.py"))
    page = (repo / "docs" / "grammar.md").read_text(encoding="utf-8")
    assert script["written"](page) == page, "run: python docs/grammar_page.py"
    without_numbers = page.replace(" nats a story", "")
    assert without_numbers != page
    assert script["written"](without_numbers) == page
