"""The page on scale is what its records say."""

import runpy
from pathlib import Path


def test_the_page_is_what_its_script_writes(repo: Path) -> None:
    script = runpy.run_path(str(repo / "docs" / "scale_page.py"))
    page = (repo / "docs" / "scale.md").read_text(encoding="utf-8")
    stripped = page.replace("| promise | measured |", "| promise | found |")
    assert stripped != page
    assert script["written"](stripped) == page, "run: python docs/scale_page.py"
