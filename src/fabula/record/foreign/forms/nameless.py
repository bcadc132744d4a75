"""Numbers that nothing names, in rows (`10 3.21`) or one after the other. Which column counts and which is the loss
shows in how they behave, or is said by number: `--columns step=1,loss=2`."""

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from fabula.errors import InputError
from fabula.record.foreign.forms.lists import WRAPPED, cells_of
from fabula.record.foreign.lines.numbers import is_number
from fabula.record.foreign.lines.table import Table
from fabula.record.foreign.names import of_one
from fabula.record.foreign.notes import note
from fabula.record.foreign.printed.cleaning import lines_of

_SEPARATORS = (";", "\t", "|", ",", None)
"""None: blanks. Those that stand within numbers come late."""
_BETWEEN_ROWS = re.compile(r"[\])]\s*,\s*(?=[\[(])")
"""In a list of tuples."""
_NUMBER = re.compile(r"[-+]?\d+,\d+(?:[eE][-+]?\d+)?")
FITTING = 0.8
"""Share of the lines that are rows as long as the others; a program may print a heading or the end of a run as well."""
LEAST = 8
"""Rows of which it can be said how a column behaves."""
EVEN = 0.9
"""Share of the steps that are as far from the one before as most are: the last one may not be."""
FALLS = 0.9
"""The last quarter of a loss is at most this share of its first quarter."""


def read(path: Path, text: str, wanted: Mapping[str, str] | None = None) -> Table | None:
    """The table of such rows, its columns called `1`, `2`, ...; None for any other text.

    Raises InputError where it is not certain which column is which, and nobody said it.
    """
    text = _BETWEEN_ROWS.sub("\n", text) if text.lstrip().startswith("[") else text
    text = WRAPPED.sub(r"\1", text) if "(" in text else text  # `(10, np.float64(3.2))`
    start = "\n".join(text.split("\n", 50)[:50])
    if not _rows(start.split("\n")) and _rows([line for _, line in lines_of(start)]):
        text = "\n".join(line for _, line in lines_of(text))  # a logger put a time before each
    if (one := _one_after_the_other(text)) is not None:
        return _of_one_column(path, *one, wanted)
    if not _rows(text.split("\n", 50)[:50]) or not (rows := _rows(text.split("\n"))):
        return None
    cells = {str(place): [row[place - 1] for row in rows] for place in range(1, len(rows[0]) + 1)}
    if wanted:
        return Table(path, "numbers", cells)
    columns = {name: _values(each) for name, each in cells.items() if all(map(_is_number, each))}
    steps = _unlike([name for name, values in columns.items() if _counts(values)], columns)
    losses = _unlike([name for name, values in columns.items() if name not in steps and _falls(values)], columns)
    if len(steps) != 1 or len(losses) != 1:
        raise InputError(
            f"{path} has lines of numbers, and nothing says what they are; say which column is what by its number, for "
            "example --columns step=1,loss=2, or write the names of the columns in a line above them"
        )
    (step,), (loss,) = steps, losses
    told = note("nameless", step=step, loss=loss)
    return Table(path, "numbers", {"step": cells[step], "loss": cells[loss]}, (told,))


def _one_after_the_other(text: str) -> tuple[str, list[str]] | None:
    """The numbers of a text that has nothing else, and the name above them, if any: a list, or one a line."""
    text = text.strip()
    if text.startswith("[") and text.find("]") == len(text) - 1 and "[" not in text[1:]:
        cells = cells_of(text[1:-1])
    elif len(text.split("\n", 1)[0].split()) == 1:
        cells = [line.strip() for line in text.split("\n") if line.strip() and not line.startswith("#")]
    else:
        return None
    name = cells.pop(0).strip("\"'") if cells and not is_number(cells[0]) else ""
    return (name, cells) if len(cells) >= LEAST and all(map(is_number, cells)) else None


def _of_one_column(path: Path, name: str, values: list[str], wanted: Mapping[str, str] | None) -> Table:
    count = [str(place) for place in range(1, len(values) + 1)]
    if name or wanted:
        return Table(path, "numbers", {of_one(name) or "1": values, "step": count}, (note("lines_are_steps"),))
    if not _falls(_values(values)):
        raise InputError(
            f"{path} has numbers, one after the other, and nothing says what they are; if they are the training loss, "
            "say it with --columns loss=1"
        )
    return Table(path, "numbers", {"loss": values, "step": count}, (note("nameless_list"),))


def _rows(lines: list[str]) -> list[list[str]]:
    """The rows of cells; none where too few lines are such rows, or too few of their columns are numbers."""
    lines = [line.strip("()[] \t") for line in lines if line.strip() and not line.startswith("#")]
    lines = [line for line in lines if line]
    if len(lines) < 2 or sum(line[0] in "+-." or line[0].isdigit() for line in lines) < FITTING * len(lines):
        return []
    split_by = next((sign for sign in _SEPARATORS if sign is None or sign in lines[len(lines) // 2]), None)
    found = [[cell.strip() for cell in line.split(split_by)] for line in lines]
    width, _ = Counter(map(len, found)).most_common(1)[0]
    rows = [row for row in found if len(row) == width and _is_number(row[0])]
    if width < 2 or len(rows) < FITTING * len(found):
        return []
    numeric = [column for column in zip(*rows, strict=True) if all(map(_is_number, column))]
    return rows if len(numeric) > 1 else []


def _is_number(cell: str) -> bool:
    return is_number(cell) or _NUMBER.fullmatch(cell) is not None


def _values(cells: list[str]) -> np.ndarray:
    return np.array([float(cell if is_number(cell) else cell.replace(",", ".")) for cell in cells])


def _unlike(names: list[str], columns: Mapping[str, np.ndarray]) -> list[str]:
    """`names` without those whose column is that of another one once more."""
    return [
        name
        for place, name in enumerate(names)
        if not any(np.array_equal(columns[name], columns[other]) for other in names[:place])
    ]


def _counts(values: np.ndarray) -> bool:
    """Whether whole numbers rise by equal strides from 0, 1 or the first stride."""
    if len(values) < LEAST or not np.isfinite(values).all() or (values != np.floor(values)).any():
        return False
    strides = np.diff(values)
    stride = float(np.median(strides))
    return bool((strides > 0).all() and (strides == stride).mean() >= EVEN and values[0] in (0.0, 1.0, stride))


def _falls(values: np.ndarray) -> bool:
    """Whether positive numbers that are not all whole are lower at the end than at the beginning; what is not finite
    says nothing."""
    there = values[np.isfinite(values)]
    if len(there) < LEAST or (there <= 0).any() or (there == np.floor(there)).all():
        return False
    quarter = len(there) // 4
    return bool(np.median(there[-quarter:]) <= FALLS * np.median(there[:quarter]))
