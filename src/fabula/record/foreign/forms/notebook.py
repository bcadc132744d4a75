"""Jupyter notebooks: what their cells printed, and the table that the Trainer shows in one."""

import html
import re
from typing import Any

from fabula.record.content.parsing import json_value

_ROW = re.compile(r"<tr[^>]*>(.*?)</tr>", re.DOTALL | re.IGNORECASE)
_CELL = re.compile(r"<t[hd][^>]*>(.*?)</t[hd]>", re.DOTALL | re.IGNORECASE)
_TAG = re.compile(r"<[^>]+>")


def printed_in(text: str) -> list[str] | None:
    """The outputs of a notebook's cells, each a text: its tables as lines of tabs; None where `text` is no notebook."""
    try:
        notebook = json_value(text)
    except ValueError:
        return None
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list) or "nbformat" not in notebook:
        return None
    found = []
    for cell in notebook["cells"]:
        outputs = cell.get("outputs") if isinstance(cell, dict) else None
        outputs = [each for each in outputs if isinstance(each, dict)] if isinstance(outputs, list) else []
        printed = [_text(output.get("text")) for output in outputs if output.get("output_type") == "stream"]
        found.append("".join(printed))
        for output in outputs:
            shown = output.get("data")
            if isinstance(shown, dict):
                found += [table_of(_text(shown.get("text/html"))), _text(shown.get("text/plain"))]
    return [each for each in found if each.strip()]


def _text(given: Any) -> str:
    return "".join(map(str, given)) if isinstance(given, list) else str(given or "")


def table_of(page: str) -> str:
    """The rows of the tables in a page, a line each, their cells with tabs between."""
    rows = [[html.unescape(_TAG.sub("", cell)).strip() for cell in _CELL.findall(row)] for row in _ROW.findall(page)]
    return "".join("\t".join(row) + "\n" for row in rows if row)
