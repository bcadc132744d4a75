"""What a run is, from its folder: its recipe but for the seed, on which stories, by which ruler."""

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from fabula.errors import InputError
from fabula.recipe import Recipe
from fabula.record.content.parsing import json_value, toml_value
from fabula.record.content.shape import count_or_zero
from fabula.record.reader import read_run

CHANGE_NOTHING = ("name", "tokenizer", "checkpoint.", "record.", "evaluation.prompts", "evaluation.sample_tokens",
                  "evaluation.every", "compute.compile")  # fmt: skip
"""Fields that do not change what is learned or how it is measured at the end. The tokenizer counts by its hash, with
the data."""
ALIKE = 1.25
"""Models are of one size where one has at most a quarter more parameters than the other."""


@dataclass(frozen=True)
class Measured:
    """On which stories a run was trained, by which tokens, and by which ruler: equal where losses may be averaged."""

    stories: str
    tokenizer: str
    ruler: str
    told_stories: str
    told_tokenizer: str

    def unlike(self, other: "Measured") -> str:
        """In words, what differs from `other`, the most important first; empty where both may stand side by side."""
        if self.stories != other.stories:
            return f"other stories: {self.told_stories}" if self.told_stories != other.told_stories else "other stories"
        if self.tokenizer != other.tokenizer:
            return f"tokenizer {self.told_tokenizer}"
        return "another ruler" if self.ruler and other.ruler and self.ruler != other.ruler else ""


@dataclass(frozen=True)
class Content:
    """A run that came by itself."""

    path: Path
    recipe: str
    """Its name, TIER/PHASE or one word; of a run without a recipe, its folder's."""
    seed: int
    fields: dict[str, Any] | None
    """What of its recipe matters, by dotted name; None without a recipe, and such a run is like no other."""
    measured: Measured
    parameters: int
    finished: bool

    @property
    def tier(self) -> str:
        return self.recipe.partition("/")[0]

    @property
    def phase(self) -> str:
        return self.recipe.partition("/")[2] or self.tier

    @cached_property
    def loss(self) -> float | None:
        """At the end, to three digits, as it is told; None where there is none."""
        try:
            full = read_run(self.path).full_evals()
        except InputError:
            return None
        values = full.get("val_loss", np.array([]))
        return round(float(values[-1]), 3) if len(values) and np.isfinite(values[-1]) else None

    def equals(self, other: "Content") -> bool:
        """But for the seed."""
        return self.fields is not None and self.fields == other.fields

    def is_as_large(self, other: "Content") -> bool:
        sizes = sorted((self.parameters, other.parameters))
        return self.tier == other.tier or (0 < sizes[0] and sizes[1] <= ALIKE * sizes[0])


def content_of(folder: Path) -> Content:
    """Never raises for a damaged run: what is wrong with it is said where it is read."""
    info = _json(folder / "run.json")
    data, rulers = _tree(info.get("data")), _tree(info.get("rulers"))
    hashes = _tree(data.get("text_hashes"))
    seed, name = info.get("seed", 0), str(info.get("recipe", folder.name))
    source = str(data.get("source") or data.get("path") or "")
    return Content(
        path=folder,
        recipe=name,
        seed=count_or_zero(seed),
        fields=_fields(folder, info),
        measured=Measured(
            stories=json.dumps(hashes, sort_keys=True) if hashes else source,
            tokenizer=str(data.get("tokenizer_hash", "")),
            ruler=str(rulers.get("stream", "")),
            told_stories=str(data.get("path") or source),
            told_tokenizer=str(data.get("tokenizer", "")),
        ),
        parameters=count_or_zero(_tree(info.get("parameters")).get("total")),
        finished=info.get("status") == "finished",
    )


def differing(contents: Iterable[Content]) -> list[str]:
    """The fields in which recipes differ, in their order."""
    recipes = [each.fields or {} for each in contents]
    names = dict.fromkeys(name for recipe in recipes for name in recipe)
    return [name for name in names if len({repr(recipe.get(name)) for recipe in recipes}) > 1]


def _fields(folder: Path, info: dict[str, Any]) -> dict[str, Any] | None:
    try:
        tree = toml_value((folder / "recipe.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    with suppress(InputError):
        tree = Recipe.from_tree(tree).as_tree()  # fields that an older recipe does not name have their defaults
    fields = {name: value for name, value in dotted(tree) if not name.startswith(CHANGE_NOTHING)}
    return {**fields, "init_from": info["init_from"]} if info.get("init_from") else fields


def dotted(tree: dict[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """The fields of a recipe's tree, each with its tables before it: `optimizer.kind`."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from dotted(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _json(path: Path) -> dict[str, Any]:
    try:
        return _tree(json_value(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def _tree(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
