"""The numbers in README.md are what the kept records say."""

from __future__ import annotations

import runpy
from pathlib import Path


def test_the_numbers_are_what_their_script_writes(repo: Path) -> None:
    script = runpy.run_path(str(repo / "docs" / "readme_page.py"))
    page = (repo / "README.md").read_text(encoding="utf-8")
    stripped = page.replace("**improved**", "")
    assert stripped != page
    assert script["written"](stripped) == page, "run: python docs/readme_page.py"
