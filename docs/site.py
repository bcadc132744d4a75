"""Builds the guides as a site of static files, without network: build/site/index.html.

python docs/site.py

The guides are as they are: only links that lead out of docs/ are turned, to the page of the site where there is one.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parent
REPO = DOCS.parent
BUILD = REPO / "build"
SOURCE = BUILD / "site-source"
RENAMED = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md"}
"""Pages that lie beside docs/."""
PUBLIC = {
    "From a loop of your own": ["api.record.Record"],
    "Making": [
        "recipe.load_recipe",
        "recipe.recipe_names",
        "recipe.Recipe",
        "api.making.prepare",
        "api.planning.plan",
        "api.planning.Plan",
        "api.making.train",
    ],
    "Models": ["api.model.load", "api.model.Model", "api.model.TextScore"],
    "Reading": [
        "api.diagnosing.read",
        "api.diagnosing.read_all",
        "api.diagnosing.Run",
        "api.diagnosing.diagnose",
        "api.diagnosing.Diagnosed",
    ],
    "Comparing": ["api.comparing.compare", "api.comparing.Compared", "api.comparing.report", "api.comparing.Page"],
    "Errors": ["errors.InputError"],
}
"""What the reference shows of the package, in its order."""
LINK = re.compile(r"(\]\()([^)#\s]+)(#[^)]*)?(\))")


def page_of(text: str, page: Path) -> str:
    """The text of a page with its links as the site has them; one to a file that is not on the site keeps its words."""

    def turned(found: re.Match[str]) -> str:
        target = found[2]
        if "://" in target or target.startswith("mailto:"):
            return found[0]
        there = (page.parent / target).resolve()
        if there.parent == DOCS.resolve() and there.suffix == ".md":
            return f"{found[1]}{there.name}{found[3] or ''}{found[4]}"
        if there.parent == REPO.resolve() and there.name in RENAMED:
            return f"{found[1]}{RENAMED[there.name]}{found[3] or ''}{found[4]}"
        if there.is_relative_to(DOCS.resolve() / "images"):
            return f"{found[1]}images/{there.name}{found[4]}"
        return "]"  # what is left of [words](target): the words in brackets

    return LINK.sub(turned, text)


def reference() -> str:
    """The page of the Python API, from its docstrings."""
    parts = [
        f"## {title}\n\n" + "\n".join(f"::: fabula.{name}\n    options:\n      heading_level: 3\n" for name in names)
        for title, names in PUBLIC.items()
    ]
    return "# Every name\n\nAs `fabula` hands them out; the [guide](python.md) shows them at work.\n\n" + "\n".join(
        parts
    )


def gather(source: Path) -> list[Path]:
    """Every page of the site, written into the folder `source`."""
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir(parents=True)
    pages = {page: page.name for page in sorted(DOCS.glob("*.md"))} | {
        REPO / name: new for name, new in RENAMED.items()
    }
    for page, name in pages.items():
        (source / name).write_text(page_of(page.read_text(encoding="utf-8"), page), encoding="utf-8")
    (source / "reference.md").write_text(reference(), encoding="utf-8")
    shutil.copytree(DOCS / "images", source / "images")
    return sorted(source.glob("*.md"))


def main() -> None:
    gather(SOURCE)
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--quiet",
        "--strict",
        "--config-file",
        str(DOCS / "mkdocs.yml"),
    ]
    subprocess.run(command, check=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"})
    print(f"{BUILD / 'site' / 'index.html'}")


if __name__ == "__main__":
    main()
