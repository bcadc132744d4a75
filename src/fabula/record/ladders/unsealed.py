"""LADDER/test.json: the losses on the test stories, and when they were unsealed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fabula.record.content.parsing import json_value
from fabula.record.content.shape import NUMBER, TEXT, Kind, Shape, misfit, table_of
from fabula.record.files import content_hash

TEST_FILE = "test.json"
NEEDED = ("unsealed", "rulers", "losses")
SHAPE: Shape = {
    "unsealed": TEXT,
    "plan_hash": TEXT,
    "rulers": table_of(TEXT),
    "losses": table_of(Kind("an object of losses", table_of(NUMBER).fits)),
}


@dataclass(frozen=True)
class Unsealed:
    when: str = ""
    plan_hash: str | None = None
    """Of the plan that had been frozen by then."""
    rulers: Mapping[str, str] = field(default_factory=dict)
    losses: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Run folder below the ladder's -> ruler -> loss."""
    problem: str = ""
    """Why nothing can be said: the file is damaged, or was changed after it was written."""


def read_unsealed(folder: Path) -> Unsealed | None:
    """None where nothing was unsealed."""
    path = folder / TEST_FILE
    if not path.is_file():
        return None
    try:
        content = json_value(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return Unsealed(problem=f"{TEST_FILE} is damaged: {error}")
    if not isinstance(content, dict) or not isinstance(content.get("hash"), str):
        return Unsealed(problem=f"{TEST_FILE} is damaged: it holds no losses with their hash")
    if content["hash"] != content_hash(content):
        return Unsealed(problem=f"{TEST_FILE} was changed after it was written: its content does not have its hash")
    lacking = next((f"{name} is missing" for name in NEEDED if content.get(name) is None), None)
    if wrong := lacking or misfit(content, SHAPE):
        return Unsealed(problem=f"{TEST_FILE} is damaged: {wrong}")
    return Unsealed(content["unsealed"], content.get("plan_hash"), content["rulers"], content["losses"])
