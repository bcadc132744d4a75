"""The end of a file of JSON lines, without reading the rest of it."""

import os
from pathlib import Path
from typing import Any

from fabula.record.content.parsing import json_value

LAST_BYTES = 1 << 16
"""About three hundred lines of a training."""


def last_objects(path: Path, most_bytes: int = LAST_BYTES) -> list[dict[str, Any]]:
    """The objects of the last whole lines, in their order; none where there is no such file. What is no object is left
    out: whoever asks wants to know how far it is, and what is wrong is told by those who read all of it."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - most_bytes))
            content = file.read(most_bytes)
    except OSError:
        return []
    lines = content.split(b"\n")[1 if size > most_bytes else 0 : -1]
    found = []
    for line in lines:
        try:
            value = json_value(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            found.append(value)
    return found
