"""Writes the list of traps in diagnose.md from the notes that the readers tell.

python docs/diagnose_page.py
"""

import re
from pathlib import Path

from fabula.record.foreign.notes import NOTES

PAGE = Path(__file__).with_name("diagnose.md")
BEGIN, END = "<!-- notes: written by diagnose_page.py -->\n", "<!-- end -->"


def notes() -> str:
    """A line a trap; what differs from log to log is left open."""
    return "\n".join(f"- `{kind}`: " + re.sub(r"\{\w+\}", "…", sentence) for kind, sentence in NOTES.items())


def written(page: str) -> str:
    """The page with its generated part renewed."""
    before, rest = page.split(BEGIN)
    return before + BEGIN + notes() + "\n" + END + rest.split(END, 1)[1]


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
