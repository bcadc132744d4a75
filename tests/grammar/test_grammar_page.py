"""docs/grammar.md shows what the grammar really tells."""

from __future__ import annotations

import runpy
from pathlib import Path


def test_the_page_is_what_its_script_writes(repo: Path) -> None:
    script = runpy.run_path(str(repo / "docs" / "grammar_page.py"))
    page = (repo / "docs" / "grammar.md").read_text(encoding="utf-8")
    stripped = page.replace(" nats a story", "")
    assert stripped != page
    assert script["written"](stripped) == page, "run: python docs/grammar_page.py"
