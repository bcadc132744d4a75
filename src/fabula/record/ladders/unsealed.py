"""LADDER/test.json: the losses on the test stories, and when they were unsealed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fabula.record.content.shape import NUMBER, TEXT, Kind, Shape, table_of
from fabula.record.ladders.hashed import misfit_of, read_hashed

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
    content, problem = read_hashed(path, "losses", "written")
    if not problem and (wrong := misfit_of(content, SHAPE, NEEDED)):
        problem = f"{TEST_FILE} is damaged: {wrong}"
    if problem:
        return Unsealed(problem=problem)
    return Unsealed(content["unsealed"], content.get("plan_hash"), content["rulers"], content["losses"])
