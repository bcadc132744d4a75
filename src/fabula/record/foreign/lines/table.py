"""A log as a table: columns by the names that it has itself, a cell a line, not yet understood."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from fabula.record.foreign.lines.numbers import Cells, is_number
from fabula.record.foreign.names import normalized, of_held_out, of_one, recognize
from fabula.record.foreign.notes import Note, note

_SPLIT = re.compile(
    r"(?:(?:train|trn|tr)\w*|(?P<held>val|vld|valid|validate|validation|eval|evaluate|evaluation|dev|heldout|held_out|test)(?:_\w*)?)",
    re.IGNORECASE,
)
VALUES = ("value", "metric_value", "metricvalue", "scalar")
QUANTITIES = ("metric", "tag", "key", "name", "variable", "quantity", "measure", "metric_name", "metricname", "series")

EVENTS = ("event", "type", "kind", "phase", "mode", "stage", "message", "msg")
"""Columns whose words say what a line is of, in words of their own: `evaluation done`."""


@dataclass(frozen=True)
class Table:
    """`cells`: column -> a cell a line; "" was written and is empty, None is not there."""

    path: Path
    form: str
    cells: Mapping[str, Cells]
    notes: tuple[Note, ...] = ()
    info: Mapping[str, Any] = field(default_factory=dict)

    @property
    def num_lines(self) -> int:
        return len(next(iter(self.cells.values()), ()))

    def present(self, name: str) -> np.ndarray:
        return np.array([cell is not None and cell != "" for cell in self.cells[name]], dtype=bool)

    def empty(self, name: str) -> np.ndarray:
        """Where the cell was written, with nothing in it."""
        return np.array([isinstance(cell, str) and cell == "" for cell in self.cells[name]], dtype=bool)

    def only(self, keep: np.ndarray) -> "Table":
        places = np.flatnonzero(keep).tolist()
        return replace(self, cells={name: [cells[place] for place in places] for name, cells in self.cells.items()})

    def with_note(self, told: Note) -> "Table":
        return replace(self, notes=(*self.notes, told))


_SEED = re.compile(r"(?:(?P<name>.*\D)[\W_]+)?(?P<word>seed|run|trial|fold)[\W_]*(?P<number>\d+)", re.IGNORECASE)
"""`loss_seed0`, `val loss (seed 1)`, `seed_2`: what is of one of several runs."""


def of_seeds(table: Table) -> Table:
    """A table with a column a seed and no other measures as one with a column that names the seed, its lines seed by
    seed. What columns hold that name nothing but the seed stands in the file's name."""
    found = {name: match for name in table.cells if (match := _SEED.fullmatch(name.strip().rstrip(")")))}
    words = {match["word"].lower() for match in found.values()}
    stem = of_one(table.path.name.partition(".")[0])
    named = {name: (match["name"] or stem).strip(" (") for name, match in found.items()}
    runs = dict.fromkeys(match["number"] for match in found.values())
    others = [name for name in table.cells if name not in found]
    measured = {known for each in {*named.values()} for known in recognize([each])}
    if len(runs) < 2 or len(words) > 1 or not measured or measured & recognize(others).keys():
        return table
    (word,) = words
    cells: dict[str, list[Any]] = {word: [run for run in runs for _ in range(table.num_lines)]}
    cells |= {name: [*table.cells[name]] * len(runs) for name in others}
    for quantity in dict.fromkeys(named.values()):
        of_run = {found[name]["number"]: table.cells[name] for name in found if named[name] == quantity}
        cells[quantity] = [cell for run in runs for cell in of_run.get(run, [None] * table.num_lines)]
    return replace(table, cells=cells)


def widened(table: Table) -> Table:
    """`step, metric, value` as a column a metric: one line for all that has the same step and the same other cells."""
    short = {normalized(name): name for name in table.cells}
    value = next((short[name] for name in VALUES if name in short), None)
    quantity = next((short[name] for name in QUANTITIES if name in short), None)
    if value is None or quantity is None or any(is_number(cell) for cell in table.cells[quantity][:20]):
        return table
    others = [name for name in table.cells if name not in (value, quantity) and not _differs(name)]
    lines: dict[tuple[Any, ...], dict[str, Any]] = {}
    for place, (named, cell) in enumerate(zip(table.cells[quantity], table.cells[value], strict=True)):
        key = tuple(table.cells[name][place] for name in others)
        lines.setdefault(key, dict(zip(others, key, strict=True)))[str(named).strip()] = cell
    names = [*others, *dict.fromkeys(str(each).strip() for each in table.cells[quantity])]
    return replace(table, cells={name: [line.get(name) for line in lines.values()] for name in names})


def split_apart(table: Table, losses: Collection[str], taken: Collection[str]) -> Table:
    """Lines of several splits, which a column names (`train`, `val`; none of `taken`): the loss of the others is a
    validation loss."""
    for loss in losses:
        there = np.flatnonzero(table.present(loss)).tolist()
        for name, cells in table.cells.items():
            if name in taken or any(_split(name, cells[place]) is None for place in there[:20]):
                continue
            splits = {place: _split(name, cells[place]) for place in there}
            held = {place: split for place, split in splits.items() if split}
            if not held or None in splits.values():
                continue
            tested = {place for place, split in held.items() if split == "test" and set(held.values()) != {"test"}}
            column = list(table.cells[loss])
            apart = [column[place] if place in held and place not in tested else None for place in range(len(column))]
            moved = {each: values for each, values in table.cells.items() if each != name}
            moved |= {loss: [None if place in held else cell for place, cell in enumerate(column)], "val_loss": apart}
            return replace(table, cells=moved, notes=(*table.notes, note("splits_on_lines", name=name, loss=loss)))
    return table


def is_split(word: str) -> bool:
    return _SPLIT.fullmatch(word) is not None


def _split(name: str, cell: Any) -> str | None:
    """What a cell says of the split: "" is the training's; None where it says nothing."""
    text = str(cell).strip()
    if match := _SPLIT.fullmatch(text):
        return (match["held"] or "").lower()
    if normalized(name) not in EVENTS:
        return None
    return "val" if of_held_out(text) else ""


def _differs(name: str) -> bool:
    """Whether a column has another value on each line, so that lines of one step would stay apart."""
    return normalized(name) in ("wall_time", "walltime", "timestamp", "time", "created", "index", "")
