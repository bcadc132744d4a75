"""Lines as columns of numbers: what a record measured, an array a field."""

import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any

import numpy as np

from fabula.errors import InputError
from fabula.record.content.shape import LARGEST

Columns = dict[str, np.ndarray]
"""Name -> float64 array, one value a line; NaN where a line lacks the field or holds null."""

LARGEST_VALUE, SMALLEST_VALUE = 3.5e38, 1e-300
"""Beyond what a float32 holds nothing was measured: it is not finite. Where its inverse would be infinite it is 0."""
NUMBERS = {int, float, bool, type(None)}
MEASURED = frozenset(
    "step tokens positions loss grad_norm learning_rate seconds tokens_per_second full evaluation_seconds train_loss "
    "val_loss val_loss_subset val_loss_gpt2 val_loss_story val_bits_per_byte val_loss_at_128 val_loss_gpt2_at_128 "
    "val_loss_story_at_128".split()
)
"""Fields that are numbers wherever they stand (docs/run-folder.md)."""


def to_columns(lines: Sequence[dict[str, Any]], where: str = "the record") -> Columns:
    """Turn lines into arrays; text fields are left out, booleans count as 0 and 1.

    Raises InputError for a field that is a number on some lines and something else on others, and for one that should
    be a number; `where` is what the lines are called.
    """
    columns = {}
    for name, values in _by_name(lines):
        kinds = set(map(type, values))
        if kinds <= NUMBERS:
            try:
                columns[name] = in_range(np.array(values, dtype=np.float64), math.nan)  # None becomes NaN
            except OverflowError:
                raise _damage(where, name, next(each for each in values if _is_too_large(each))) from None
        elif name in MEASURED or kinds & {int, float}:
            raise _damage(where, name, next(each for each in values if type(each) not in NUMBERS))
    columns.setdefault("step", np.array([], dtype=np.float64))
    return columns


def _by_name(lines: Sequence[dict[str, Any]]) -> Iterable[tuple[str, Sequence[Any]]]:
    """Each name that a line has, with its values. Nearly always all lines have the same names, and then a million of
    them take a fifth of the time."""
    names = list(lines[0]) if lines else []
    if set(map(len, lines)) == {len(names)}:
        with suppress(KeyError):
            return [(name, [line[name] for line in lines]) for name in names]
    return ((name, [line.get(name) for line in lines]) for name in dict.fromkeys(chain.from_iterable(lines)))


def in_range(values: np.ndarray, beyond: float) -> np.ndarray:
    """`values` with `beyond` for what is too large to have been measured, and 0 for what is too small."""
    size = np.abs(values)
    usual = (size <= LARGEST_VALUE) & ((size >= SMALLEST_VALUE) | (size == 0.0))
    if usual.all():
        return values
    return np.where(size > LARGEST_VALUE, beyond, np.where(size < SMALLEST_VALUE, 0.0, values))


def joined(parts: Sequence[Columns]) -> Columns:
    """Columns below each other; where a part lacks a column, its lines have NaN there."""
    names = dict.fromkeys(chain.from_iterable(parts))
    lacking = [np.full(len(part["step"]), math.nan) for part in parts]
    columns = {
        name: np.concatenate([part.get(name, nothing) for part, nothing in zip(parts, lacking, strict=True)])
        for name in names
    }
    columns.setdefault("step", np.array([], dtype=np.float64))
    return columns


def refuse_uncounted(columns: Columns, num_lines: int, where: str) -> None:
    """Raise InputError where a line has no step, or one that counts no updates."""
    steps = columns["step"]
    if len(steps) < num_lines:
        raise InputError(f"{where}: they have no step; the record is damaged")
    wrong = ~((steps >= 0) & (steps < LARGEST) & (steps == np.floor(steps)))
    if wrong.any():
        place = int(np.flatnonzero(wrong)[0])
        raise InputError(f"{where}, number {place + 1} of them: its step is no count; the record is damaged")


def _is_too_large(value: Any) -> bool:
    return isinstance(value, int) and abs(value) >= LARGEST


def _damage(where: str, name: str, value: Any) -> InputError:
    text = repr(value)[:60]
    return InputError(f"{where}: {name} is {text} on one of them and not a number; the record is damaged")
