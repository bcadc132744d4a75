"""LADDER/plan.json: what was planned before the first run, with a hash of it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fabula.record.content.shape import COUNT, OBJECT, TEXT, Shape, list_of, or_null, table_of
from fabula.record.ladders.hashed import misfit_of, read_hashed

PLAN_FILE = "plan.json"
SHAPE: Shape = {
    **dict.fromkeys(("frozen", "fabula", "name", "design", "stopping_rule"), TEXT),
    **dict.fromkeys(("tiers", "questions"), list_of(TEXT)),
    "phases": list_of(OBJECT),
    "seeds": list_of(COUNT),
    "analysis": OBJECT,
    "data": {"text_hashes": table_of(or_null(TEXT)), "tokenizers": table_of(or_null(TEXT))},
    "recipes": table_of(or_null(TEXT)),
}


@dataclass(frozen=True)
class Frozen:
    content: dict[str, Any] = field(default_factory=dict)
    """Empty where `problem` is not."""
    hash: str = ""
    problem: str = ""
    """Why nothing can be said of what was planned: the file is damaged, or was changed after it was written."""


def read_frozen(folder: Path) -> Frozen | None:
    """None where nothing was frozen."""
    path = folder / PLAN_FILE
    if not path.is_file():
        return None
    content, problem = read_hashed(path, "plan", "frozen")
    if not problem and (wrong := misfit_of(content, SHAPE, SHAPE)):
        problem = f"{PLAN_FILE} is of another version of fabula, or no plan: {wrong}"
    return Frozen(problem=problem) if problem else Frozen(content, content["hash"])
