"""Losses in nats, whatever the log has: bits where the perplexity beside them shows it, or perplexities alone."""

import numpy as np

from fabula.record.content.columns import Columns
from fabula.record.foreign.notes import Note, note

BESIDE = {"perplexity": ("loss", "train_loss"), "val_perplexity": ("val_loss",)}
"""Column of perplexities -> the losses that it belongs to."""
CLOSE = 0.02
"""Log of the perplexity and loss agree if the median of their relative differences is at most this: both are rounded,
and a factor of ln 2 is 31 percent away."""


def in_nats(columns: Columns, told: list[Note]) -> Columns:
    """`columns` with losses in nats; the columns of perplexities are gone."""
    columns = _of_evaluations(columns)
    result = {name: values for name, values in columns.items() if name not in BESIDE}
    in_bits = [name for name in BESIDE if name in columns and _in_bits(columns, name)]
    if in_bits:  # a program counts all of its losses in one unit
        for loss in ("loss", "train_loss", "val_loss", "val_loss_subset"):
            if loss in result:
                result[loss] = result[loss] * np.log(2.0)
        told.append(note("bits_as_nats"))
    for name, losses in BESIDE.items():
        if name not in columns or any(loss in result and not np.isnan(result[loss]).all() for loss in losses):
            continue
        given = columns[name]
        if not np.isnan(given).all() and not (given[np.isfinite(given)] < 1.0).any():
            result[losses[0]] = np.log(given)
            told.append(note("loss_of_perplexity", name=losses[0]))
    return result


def _of_evaluations(columns: Columns) -> Columns:
    """A perplexity that stands beside validation losses alone is theirs."""
    if "perplexity" not in columns or "val_perplexity" in columns or "val_loss" not in columns:
        return columns
    there = ~np.isnan(columns["perplexity"])
    trained = any(name in columns and (~np.isnan(columns[name]) & there).any() for name in BESIDE["perplexity"])
    if trained or not (~np.isnan(columns["val_loss"]) & there).any():
        return columns
    return {"val_perplexity" if name == "perplexity" else name: values for name, values in columns.items()}


def _in_bits(columns: Columns, perplexity: str) -> bool:
    for loss in BESIDE[perplexity]:
        if loss not in columns:
            continue
        both = np.isfinite(columns[loss]) & np.isfinite(columns[perplexity])
        both &= (columns[loss] > 0.1) & (columns[perplexity] > 1.0)
        if both.sum() >= 3:
            shares = np.log(columns[perplexity][both]) / columns[loss][both]
            return bool(abs(np.median(shares) / np.log(2.0) - 1.0) < CLOSE)
    return False
