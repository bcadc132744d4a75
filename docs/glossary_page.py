"""Writes glossary.md from the words that the report's page explains where they are touched.

python docs/glossary_page.py
"""

from pathlib import Path

from fabula.report.render.glossary import WORDS

PAGE = Path(__file__).with_name("glossary.md")
HEAD = """# The words

One meaning each, in code, commands, pages and messages. The report explains the same words where they stand.
Written by `docs/glossary_page.py` from `src/fabula/report/render/glossary.py`.

"""


def written() -> str:
    """The page: a line a word."""
    return HEAD + "\n".join(f"- **{word}**: {meaning}" for word, meaning in WORDS.items()) + "\n"


if __name__ == "__main__":
    PAGE.write_text(written(), encoding="utf-8")
