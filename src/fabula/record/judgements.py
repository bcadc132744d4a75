"""What judgements.jsonl holds: the lines of a judge's sessions, checked field by field (docs/run-folder.md)."""

from pathlib import Path
from typing import Any

from fabula.record.content.lines import blocks_of_objects
from fabula.record.content.shape import COUNT, FLAG, NUMBER, TEXT, Shape, list_of, refuse_misfits, table_of

FILE = "judgements.jsonl"
MARKS = ("grammar", "creativity", "consistency", "plot")
"""From 1 to 10 each."""
AGES = ("3 or under", "4-5", "6-7", "8-9", "10-12", "13-16")
MOST_BYTES = 1 << 27
"""128 MB, which is some hundred thousand judgements."""

JUDGEMENT: Shape = {
    **dict.fromkeys(("kind", "session", "key", "role", "of", "twin", "prompt", "first", "second", "better"), TEXT),
    **dict.fromkeys(("failure", "age_group", "reason", "judge", "url", "rubric", "started", "against", "when"), TEXT),
    **dict.fromkeys(("repeat", "tries", "step", "tokens_in", "tokens_out", "planned"), COUNT),
    **dict.fromkeys(("seconds", "dollars"), NUMBER),
    "injection": TEXT,
    "marks": table_of(COUNT),
    "status": COUNT,
    "anchors": COUNT,
    "failures": table_of(COUNT),
    "cached": FLAG,
    "stories": list_of(TEXT),
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
