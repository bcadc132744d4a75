"""docs/coherence.md says what its records say."""

import importlib.util
from pathlib import Path


def test_the_page_is_written_from_its_records(repo: Path) -> None:
    spec = importlib.util.spec_from_file_location("coherence_page", repo / "docs" / "coherence_page.py")
    assert spec is not None and spec.loader is not None
    page = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(page)
    text = (repo / "docs" / "coherence.md").read_text(encoding="utf-8")
    assert page.written(text) == text, "python docs/coherence_page.py"
