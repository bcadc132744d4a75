"""LADDER/ladder.json: the tiers, phases and seeds of a ladder, as everything that reads one takes them."""

from pathlib import Path
from typing import Any

from fabula.errors import InputError
from fabula.record.content.parsing import json_value
from fabula.record.content.shape import PHASE, PLAN, misfit, refuse_misfits

LADDER_FILE = "ladder.json"


def read_described(folder: Path) -> dict[str, Any]:
    """Raises InputError where it cannot be read, or is not what `fabula ladder` writes."""
    path = folder / LADDER_FILE
    try:
        plan = json_value(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}); run `fabula ladder` again") from error
    if not isinstance(plan, dict) or any(plan.get(key) is None for key in ("tiers", "phases")):
        raise InputError(f"{path} lacks tiers or phases; run `fabula ladder` again")
    if wrong := misfit(plan, PLAN):
        raise InputError(f"{path}: {wrong}; run `fabula ladder` again")
    refuse_misfits(f"{path}, phases", plan["phases"], PHASE, ("name",))
    return plan
