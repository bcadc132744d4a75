"""What judgements.jsonl holds: the lines of a judge's sessions, checked field by field (docs/run-folder.md)."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fabula.record.content.lines import blocks_of_objects
from fabula.record.content.shape import COUNT, FLAG, NUMBER, TEXT, Shape, refuse_misfits, table_of
from fabula.record.files import sync_folder
from fabula.record.writer import json_line

FILE = "judgements.jsonl"
MARKS = ("grammar", "creativity", "consistency", "plot")
"""From 1 to 10 each."""
AGES = ("3 or under", "4-5", "6-7", "8-9", "10-12", "13-16")
MOST_BYTES = 1 << 27
"""128 MB, which is some hundred thousand judgements."""

JUDGEMENT: Shape = {
    **dict.fromkeys(("kind", "session", "key", "role", "of", "twin", "prompt", "first", "second", "better"), TEXT),
    **dict.fromkeys(("failure", "age_group", "reason", "judge", "url", "rubric", "started", "against"), TEXT),
    **dict.fromkeys(("repeat", "tries", "step", "tokens_in", "tokens_out", "planned"), COUNT),
    **dict.fromkeys(("seconds", "dollars"), NUMBER),
    "injection": TEXT,
    "marks": table_of(COUNT),
    "status": COUNT,
    "anchors": COUNT,
    "failures": table_of(COUNT),
    "cached": FLAG,
    "estimate": {"requests": COUNT, "tokens_in": COUNT, "tokens_out": COUNT, "dollars": NUMBER, "price": TEXT},
    "ended": TEXT,
}
NEEDS = ("kind", "session")


def read_judgements(folder: Path) -> list[dict[str, Any]]:
    """Every line; none where no judge was asked. Raises InputError where the file is damaged."""
    path = folder / FILE
    lines = [line for block in blocks_of_objects(path, MOST_BYTES) for line in block]
    refuse_misfits(f"{path}, lines", lines, JUDGEMENT, NEEDS)
    return lines


@contextmanager
def appending(folder: Path) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """What appends a line to the judgements of `folder` and sees it written: an answer that was paid for is not lost
    with the process. What a killed writer left of a last line goes first."""
    path = folder / FILE
    with open(path, "a+b") as file:
        file.seek(0)
        content = file.read()
        if content and not content.endswith(b"\n"):
            file.truncate(content.rfind(b"\n") + 1)
        sync_folder(folder)

        def append(line: Mapping[str, Any]) -> None:
            file.write(json_line(dict(line)).encode())
            file.flush()

        yield append
        os.fsync(file.fileno())
