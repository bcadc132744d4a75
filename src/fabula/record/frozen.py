"""LADDER/plan.json: what was planned before the first run, with a hash of it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fabula.record.content.parsing import json_value

PLAN_FILE = "plan.json"
LISTS = ("tiers", "phases", "seeds", "questions")
OBJECTS = ("analysis", "data", "recipes")
TEXTS = ("frozen", "fabula", "name", "design", "stopping_rule")


@dataclass(frozen=True)
class Frozen:
    content: dict[str, Any] = field(default_factory=dict)
    """Empty where `problem` is not."""
    hash: str = ""
    problem: str = ""
    """Why nothing can be said of what was planned: the file is damaged, or was changed after it was written."""


def plan_hash(content: Mapping[str, Any]) -> str:
    """Of all that the plan says but this hash itself, however it is laid out."""
    rest = {name: value for name, value in content.items() if name != "hash"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def read_frozen(folder: Path) -> Frozen | None:
    """None where nothing was frozen."""
    path = folder / PLAN_FILE
    if not path.is_file():
        return None
    try:
        content = json_value(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return Frozen(problem=f"{PLAN_FILE} is damaged: {error}")
    if not isinstance(content, dict) or not isinstance(content.get("hash"), str):
        return Frozen(problem=f"{PLAN_FILE} is damaged: it holds no plan with its hash")
    if content["hash"] != plan_hash(content):
        return Frozen(problem=f"{PLAN_FILE} was changed after it was frozen: what it says does not have its hash")
    kinds = {**dict.fromkeys(LISTS, list), **dict.fromkeys(OBJECTS, dict), **dict.fromkeys(TEXTS, str)}
    if wrong := [name for name, kind in kinds.items() if not isinstance(content.get(name), kind)]:
        return Frozen(problem=f"{PLAN_FILE} is of another version of fabula, or no plan: {', '.join(wrong)}")
    return Frozen(content, content["hash"])
