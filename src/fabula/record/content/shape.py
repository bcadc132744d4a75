"""What the files of a run folder hold, field by field: whoever reads a record can trust the type of what is there.

A field may be missing or null, which means that it is not known; fields that are not listed are kept as they are. What
is there and is of another type is damage, and is said with its place. docs/run-folder.md tells what the fields mean.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fabula.errors import InputError

LARGEST = 2**53
"""Whole numbers beyond are not exact as float64, which a column is made of; no run has so many of anything."""


@dataclass(frozen=True)
class Kind:
    """What a value must be, in words and as a test."""

    says: str
    fits: Callable[[Any], bool]


def _is_number(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)  # the writer names what is not, and writes null
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < LARGEST


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < LARGEST


def list_of(kind: Kind) -> Kind:
    return Kind(
        f"a list of which each is {kind.says}",
        lambda value: isinstance(value, list) and all(map(kind.fits, value)),
    )


def table_of(kind: Kind) -> Kind:
    return Kind(
        f"an object of which each value is {kind.says}",
        lambda value: isinstance(value, dict) and all(map(kind.fits, value.values())),
    )


def or_null(kind: Kind) -> Kind:
    return Kind(f"{kind.says} or null", lambda value: value is None or kind.fits(value))


TEXT = Kind("a text", lambda value: isinstance(value, str))
NUMBER = Kind("a number", _is_number)
COUNT = Kind("a whole number from 0 on", _is_count)


def count_or_zero(value: Any) -> int:
    """A whole number from 0 on as it is, and 0 for anything else: of files that others wrote."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < LARGEST:
        return 0
    return int(value)


FLAG = Kind("true or false", lambda value: isinstance(value, bool))
SCALAR = Kind("a text, a number, true or false", lambda value: isinstance(value, (str, bool)) or _is_number(value))
OBJECT = Kind("an object", lambda value: isinstance(value, dict))
LAYERS = list_of(or_null(NUMBER))

Shape = Mapping[str, "Kind | Shape"]

RUN: Shape = {
    **dict.fromkeys(
        ("status", "recipe", "device", "started", "error", "init_from", "name", "recipe_hash", "log_format"), TEXT
    ),
    **dict.fromkeys(("seed", "steps", "steps_done", "vocabulary", "accumulation"), COUNT),
    "clip": NUMBER,
    "from_scratch": FLAG,
    "settings": OBJECT,
    "threads": SCALAR,
    "machines": list_of(OBJECT),
    "parameters": {"total": COUNT, "without_embeddings": COUNT},
    "data": {
        **dict.fromkeys(("path", "source", "tokenizer", "tokenizer_hash"), TEXT),
        "text_hashes": table_of(or_null(TEXT)),
        "entropy_floor": NUMBER,
        "end_of_text": FLAG,
    },
    "rulers": table_of(or_null(TEXT)),
    "own": table_of(table_of(TEXT)),
    "layout": table_of(or_null(NUMBER)),
    "versions": table_of(or_null(SCALAR)),
    "choices": table_of(table_of(or_null(SCALAR))),
    "timings": table_of(or_null(NUMBER)),
}
"""run.json. The lines of updates and evaluations are columns of numbers, which `columns.to_columns` checks."""
EVENT: Shape = {"step": COUNT, "event": TEXT, "reason": TEXT, "to_step": COUNT, "attempt": COUNT}
SAMPLE: Shape = {
    **dict.fromkeys(("step", "attempt", "tokens", "copied_tokens", "validation_copied_tokens"), COUNT),
    **dict.fromkeys(("prompt", "completion"), TEXT),
    "prompt_words": table_of(NUMBER),
    "names": list_of(TEXT),
    "final": FLAG,
    **dict.fromkeys(("seed", "temperature", "top_p"), NUMBER),
}
LOOK: Shape = {
    "step": COUNT,
    **dict.fromkeys(("grad_norm", "update_ratio", "unchanged", "activation", "dead_units", "attention_logit"), LAYERS),
}
"""A line of internals.jsonl; what is not a list there is a number, and no rule reads it."""
STORIES: Shape = {
    "step": COUNT, **dict.fromkeys(("protocol", "split", "ruler"), TEXT), "tokens": list_of(COUNT), "nats": LAYERS,
}  # fmt: skip
PLAN: Shape = {
    **dict.fromkeys(("name", "command", "on"), TEXT),
    "tiers": list_of(TEXT),
    "phases": list_of(OBJECT),
    "seeds": Kind("a number of seeds up to 10,000", lambda value: COUNT.fits(value) and value <= 10_000),
}
"""ladder.json. No page shows more seeds than that."""
PHASE: Shape = {"name": TEXT, "change": TEXT, "includes": list_of(TEXT)}


def misfit(tree: Mapping[str, Any], shape: Shape) -> str | None:
    """The first field of `tree` that is not what `shape` says, in words; None where all are."""
    for name, kind in shape.items():
        value = tree.get(name)
        if value is None:
            continue
        if isinstance(kind, Kind):
            if not kind.fits(value):
                return f"{name} is {_short(value)} and not {kind.says}"
        elif not isinstance(value, dict):
            return f"{name} is {_short(value)} and not an object"
        elif (inner := misfit(value, kind)) is not None:
            return f"{name}.{inner}"
    return None


def refuse_misfits(where: str, lines: Iterable[Mapping[str, Any]], shape: Shape, needs: tuple[str, ...] = ()) -> None:
    """Raise InputError for the first of `lines` that lacks one of the fields `needs`, or has another type somewhere."""
    for number, line in enumerate(lines, start=1):
        wrong = misfit(line, shape)
        lacking = next((name for name in needs if line.get(name) is None), None)
        if wrong is None and lacking is not None:
            wrong = f"{lacking} is missing"
        if wrong is not None:
            raise InputError(f"{where}, number {number} of them: {wrong}; the record is damaged")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
