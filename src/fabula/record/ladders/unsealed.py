"""LADDER/test.json: the losses on the test stories, and when they were unsealed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fabula.record.content.parsing import json_value
from fabula.record.content.shape import NUMBER
from fabula.record.ladders.frozen import plan_hash

TEST_FILE = "test.json"


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
        content: Any = json_value(path.read_text(encoding="utf-8"))
        if content["hash"] != plan_hash(content):
            return Unsealed(problem=f"{TEST_FILE} was changed after it was written: its content does not have its hash")
        losses = {str(run): dict(by_ruler) for run, by_ruler in content["losses"].items()}
        assert all(NUMBER.fits(loss) for by_ruler in losses.values() for loss in by_ruler.values())
        return Unsealed(str(content["unsealed"]), content["plan_hash"], dict(content["rulers"]), losses)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, AssertionError) as error:
        return Unsealed(problem=f"{TEST_FILE} is damaged ({error!r})")
