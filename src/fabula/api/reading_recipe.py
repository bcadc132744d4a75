"""Which recipe reads a folder's tokens, where none is named. Only names on disk are looked at."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from fabula.recipe.presets.by_name import FIRST_RECIPE, load_recipe, recipe_reading


class Reading(NamedTuple):
    name: str
    reason: str
    settings: Mapping[str, str] = {}
    """What makes it read them."""


def recipe_reading_data(data: Path) -> Reading:
    """The recommended recipe if it reads these stories, else the first that does, else the recommended one and a
    setting that makes it."""
    names = tokenizations(data)
    if not names or load_recipe(FIRST_RECIPE).tokenizer in names:
        return Reading(FIRST_RECIPE, "the recommended recipe")
    for name in names:
        if (reads := recipe_reading(name)) is not None:
            return Reading(reads, f"the first recipe for {name} tokens")
    return Reading(FIRST_RECIPE, f"the recommended recipe, with tokenizer={names[0]}", {"tokenizer": names[0]})


def tokenizations(data: Path) -> list[str]:
    """Names of the tokenizations in a prepared folder, the oldest first. What cannot be read is left out: opening the
    folder says what is wrong with it."""
    found = []
    for path in data.glob("tokens/*/tokenization.json"):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            found.append((int(content["number"]), str(content["name"])))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return [name for _, name in sorted(found)]
