"""What a loop writes where it measured nothing: NaN, 0 or -1 on every line between two evaluations. It is no loss."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fabula.record.content.columns import Columns
from fabula.record.foreign.lines.table import Table
from fabula.record.foreign.notes import Note, note

OF_EVALUATIONS = ("val_loss", "val_loss_subset", "val_perplexity")
OF_STEPS = ("loss", "train_loss")
USUAL = 0.8
"""Share of the evaluations that stand as many lines apart as most do; NaNs of a broken run come at any place."""


def without_placeholders(table: Table, columns: Columns, chosen: Mapping[str, str], told: list[Note]) -> Columns:
    """`columns` with nothing where a line only says that there was no evaluation, or no step."""
    columns = dict(columns)
    for name in (*OF_EVALUATIONS, *OF_STEPS):
        if name not in columns or np.isnan(columns[name]).all():
            continue
        cells = table.cells[chosen[name]]
        for filler, there in _fillers(columns[name], np.array([_is_nan(cell) for cell in cells])).items():
            between = (
                _between(columns[name], there) if name in OF_EVALUATIONS else _of_evaluations(columns, name, there)
            )
            if between.any():
                columns[name] = np.where(between, np.nan, columns[name])
                told.append(note("placeholders", name=chosen[name], filler=filler, lines=f"{between.sum():,}"))
    return columns


def _fillers(values: np.ndarray, is_nan: np.ndarray) -> dict[str, np.ndarray]:
    lost = ~np.isfinite(values) & ~np.isnan(values)  # a column has infinity for all that is written and not finite
    return {"NaN": lost & is_nan, "infinite": lost & ~is_nan, "0": values == 0.0, "-1": values == -1.0}


def _is_nan(cell: Any) -> bool:
    return str(cell).strip().lower().lstrip("+-") == "nan"


def _between(values: np.ndarray, there: np.ndarray) -> np.ndarray:
    """The fillers, if the other values stand among them at regular places; before the first value at any place."""
    measured = np.flatnonzero(np.isfinite(values) & ~there)
    if not there.any() or len(measured) < 2:
        return np.zeros_like(there)
    before = there & (np.arange(len(there)) < measured[0])
    apart = np.diff(measured)
    regular = np.median(apart) >= 2 and (apart == np.median(apart)).mean() >= USUAL
    return there if regular and there.sum() >= len(measured) else before


def _of_evaluations(columns: Columns, name: str, there: np.ndarray) -> np.ndarray:
    """The fillers of a training loss, if they stand where evaluations do, and no training loss stands there."""
    evaluated = np.zeros_like(there)
    for each in OF_EVALUATIONS:
        evaluated |= np.isfinite(columns[each]) if each in columns else False
    trained = np.isfinite(columns[name]) & ~there
    complete = there.any() and trained.any() and not (there & ~evaluated).any() and not (trained & evaluated).any()
    return there if complete else np.zeros_like(there)
