"""What several runs show is had from Python, without a page."""

import doctest
import subprocess
import sys
from pathlib import Path

import pytest

import fabula.study


def test_the_example_of_the_package_says_what_it_prints(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repo)
    tried = doctest.testmod(fabula.study)
    assert tried.attempted >= 8 and tried.failed == 0


@pytest.mark.long
def test_no_page_is_imported_by_it() -> None:
    """In a fresh interpreter: the whole package, each of its modules."""
    script = (
        "import importlib, pkgutil, sys; import fabula.study as study\n"
        "for each in pkgutil.walk_packages(study.__path__, 'fabula.study.'): importlib.import_module(each.name)\n"
        "print(*(name for name in sys.modules if name.startswith(('fabula.report', 'jinja2', 'vl_convert'))))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
