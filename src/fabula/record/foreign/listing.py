"""A table of runs: a line for what each came to, as W&B, MLflow and people keep them. No run's course is in it, so it
is no log; it is enough for who compares groups of runs."""

import math
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from fabula.errors import InputError
from fabula.record.foreign.forms import csv, jsonl
from fabula.record.foreign.lines.numbers import Cells, as_float, is_missing, is_number
from fabula.record.foreign.lines.several import IDENTITIES, TableOfRuns
from fabula.record.foreign.lines.table import Table
from fabula.record.foreign.lines.units import in_nats
from fabula.record.foreign.names import normalized, recognize
from fabula.record.foreign.opening import decoded, unpacked
from fabula.record.foreign.tables import to_run, wanted_columns
from fabula.record.reader import Run

LOSSES = ("val_loss", "val_perplexity", "loss", "train_loss", "perplexity")
STATES = {"state", "status"}
LOST = {"failed", "crashed", "killed", "error", "diverged", "nan", "oom", "preempted", "interrupted"}
"""What a run's state is called that came to no end."""


GOES_ON = {"running", "pending", "queued", "scheduled"}
FORM = "table of runs"


def read_listing(path: Path, refused: InputError, wanted: Mapping[str, str] | None = None) -> list[Run]:
    """The runs of a table at `path` which was `refused` as a log, each with one value; none where it is no such table.

    A cell without a number, and a run whose state says that it failed, is a loss that is not finite.
    """
    if not path.is_file():
        return []
    try:
        table = _table(path, decoded(path, unpacked(path, path.read_bytes())))
        chosen = {**recognize(table.cells), **wanted_columns(path, table.cells, wanted)}
    except InputError:
        return []
    losses = {name: column for name, column in chosen.items() if name in LOSSES}
    names = [name for name in table.cells if normalized(name) in IDENTITIES and name not in chosen.values()]
    is_course = {"step", "epoch"} & chosen.keys() and not isinstance(refused, TableOfRuns)
    if not losses or not names or is_course:
        return []
    return [_run(table, line, losses, chosen.get("step"), name) for line, name in enumerate(_names(table, names))]


def _table(path: Path, text: str) -> Table:
    if jsonl.looks_like(text.lstrip()):
        lines, notes = jsonl.objects(path, text)
        columns = dict.fromkeys(chain.from_iterable(lines))
        cells: dict[str, Cells] = {name: [line.get(name) for line in lines] for name in columns}
        return Table(path, FORM, cells, tuple(notes))
    return csv.as_table(path, FORM, *csv.read_table(path, text))


def _names(table: Table, columns: list[str]) -> list[str]:
    """`base-0`, or `variant base, seed 0`; lines that share one are told apart by their number."""
    several = len(columns) > 1
    rows = zip(*(table.cells[name] for name in columns), strict=True)
    named = [
        ", ".join(f"{name} {cell}" if several else str(cell) for name, cell in zip(columns, row, strict=True))
        for row in rows
    ]
    return [f"{name}, line {line + 1}" if named.count(name) > 1 else name for line, name in enumerate(named)]


def _run(table: Table, line: int, losses: Mapping[str, str], steps: str | None, name: str) -> Run:
    cells = {canonical: _value(table.cells[column][line]) for canonical, column in losses.items()}
    states = {_said(table.cells[each][line]) for each in table.cells if normalized(each) in STATES}
    if GOES_ON & states:
        raise InputError(f"{table.path}: {name} still runs; wait for its end, or leave it out")
    if LOST & states:
        cells = dict.fromkeys(cells, math.inf)
    step = _value(table.cells[steps][line]) if steps is not None else math.inf
    columns = {canonical: np.array([value]) for canonical, value in cells.items()}
    columns = in_nats(columns, [])
    columns["step"] = np.array([max(1.0, step) if math.isfinite(step) else 1.0])
    info: dict[str, Any] = {"name": name}
    return to_run(table.path, table.form, columns, names=losses, **info)


def _value(cell: Any) -> float:
    if is_missing(cell) or isinstance(cell, bool) or not is_number(cell):
        return math.inf
    value = as_float(cell)
    return value if math.isfinite(value) else math.inf


def _said(cell: Any) -> str:
    return str(cell).strip().lower()
