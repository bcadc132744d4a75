"""Which step a line has: its own, its epoch's and that within the epoch, or its epoch alone."""

from typing import Any

import numpy as np

from fabula.record.content.columns import Columns
from fabula.record.content.shape import LARGEST
from fabula.record.foreign.notes import Note, note

MADE_TWICE = 0.1
"""Where at most a tenth of the epochs come again at once, they were made twice, after a restart; else an epoch has
several lines."""
GOES_ON = 0.5
"""At the first step of an epoch the loss is nearer to that before it than to that of the whole run's beginning, by this
factor; a run that begins anew begins where the first one began."""
MEASURED = (
    "loss",
    "train_loss",
    "val_loss_subset",
    "val_loss",
    "perplexity",
    "val_perplexity",
    "grad_norm",
    "learning_rate",
)


def main_lines(columns: Columns) -> np.ndarray:
    """The lines by whose order a log is judged: those with the loss, or with what else was measured."""
    for name in MEASURED:
        if name in columns and not np.isnan(columns[name]).all():
            return np.flatnonzero(~np.isnan(columns[name]))
    return np.arange(len(next(iter(columns.values()))))


def counted(columns: Columns, told: list[Note]) -> tuple[Columns, dict[str, Any]]:
    """`columns` with a step for every line that has one, and what the counters say of the run as a whole.

    `columns` holds "step" or "epoch", and "planned_steps" where the log says how many there will be.
    """
    columns = dict(columns)
    planned = columns.pop("planned_steps", None)
    if "epoch" not in columns and (turns := _goes_on(columns)) is not None:
        columns["epoch"] = turns
    epoch = columns.get("epoch")
    info: dict[str, Any] = {}
    if epoch is not None and not _counts(columns):
        columns["step"], of_lines = _of_epochs(columns, epoch, told)
        info["steps_are_lines"] = True  # or epochs: no updates
        if not of_lines:
            return columns, info
        planned = None
    elif epoch is not None:
        length = _length_of_an_epoch(columns, epoch, planned)
        if length:
            columns["step"] = _global(columns["step"], epoch, length)
            told.append(note("steps_within_epochs", length=f"{length:,.0f}"))
            planned = None
        elif np.isnan(columns["step"]).any():
            columns["step"] = _as_before(columns, columns["step"], epoch)
    places = main_lines(columns)
    if epoch is not None and (epochs := _number_of_epochs(columns["step"][places], epoch[places])):
        info["layout"] = {"epochs": epochs}
    if planned is not None and np.isfinite(planned).any():
        plan = float(np.nanmax(planned[np.isfinite(planned)]))
        if np.nanmax(columns["step"], initial=0.0) <= plan < LARGEST:
            info["steps"] = int(plan)
    return columns, info


def _goes_on(columns: Columns) -> np.ndarray | None:
    """The number of the epoch of each line, where steps begin anew and the loss goes on from where it was: no other run
    begins there. None where they do not."""
    name = next((each for each in ("loss", "train_loss") if each in columns), None)
    places = main_lines(columns)
    if name is None or np.isnan(loss := columns[name][places]).any() or not len(places):
        return None
    steps = columns["step"][places]
    if not np.isfinite(steps).all():
        return None
    turns = 1 + np.flatnonzero((np.diff(steps) < 0) & (steps[1:] <= steps[0]))
    lengths = np.diff([0, *turns])
    if not len(turns) or np.ptp(lengths) > 1 or len(places) - turns[-1] > lengths[0] + 1:
        return None
    with np.errstate(invalid="ignore"):  # a lost loss is infinite
        before = np.array([np.median(loss[max(0, turn - 3) : turn]) for turn in turns])
        begins = np.median(loss[: min(3, lengths[0])])
        goes_on = np.abs(loss[turns] - before) < GOES_ON * np.abs(loss[turns] - begins)
    if not goes_on.all():
        return None
    anew = np.zeros(len(columns["step"]))
    anew[places[turns]] = 1.0
    return np.cumsum(anew)


def _counts(columns: Columns) -> bool:
    """Whether the steps move from line to line; a column of batch sizes is called `batch`, too."""
    if "step" not in columns:
        return False
    steps = columns["step"][main_lines(columns)]
    steps = steps[np.isfinite(steps)]
    return len(steps) > 0 and (len(steps) == 1 or bool((steps != steps[0]).any()) or _one_line_an_epoch(columns))


def _one_line_an_epoch(columns: Columns) -> bool:
    """`epoch 1, step 938`, `epoch 2, step 938`: the last step of each epoch."""
    places = main_lines(columns)
    steps = columns["step"][places]
    return bool(steps[0] > 1 and "planned_steps" in columns)


def _of_epochs(columns: Columns, epoch: np.ndarray, told: list[Note]) -> tuple[np.ndarray, bool]:
    """Steps from epochs alone: the epochs, or the lines where several have the same or a part of an epoch."""
    places = main_lines(columns)
    of_lines = epoch[places]
    of_lines = of_lines[np.isfinite(of_lines)]
    again = np.diff(of_lines) == 0
    if (of_lines == np.floor(of_lines)).all() and again.sum() <= MADE_TWICE * len(of_lines):
        told.append(note("epochs_are_steps"))
        return np.where(np.isfinite(epoch), np.floor(epoch), np.nan), False
    told.append(note("lines_are_steps"))
    is_main = np.zeros(len(epoch), dtype=bool)
    is_main[places] = True
    return np.cumsum(is_main).astype(np.float64), True


def _length_of_an_epoch(columns: Columns, epoch: np.ndarray, planned: np.ndarray | None) -> float:
    """Steps to an epoch where `step` counts within the epoch, else 0."""
    steps = columns["step"]
    places = main_lines(columns)
    places = places[np.isfinite(steps[places]) & np.isfinite(epoch[places])]
    of_epoch, within = np.floor(epoch[places]), steps[places]
    turns = np.flatnonzero(np.diff(of_epoch) > 0)
    if not len(turns) or (within[turns + 1] <= within[turns]).mean() < 0.5:
        return 0.0
    inside = np.diff(within)[np.diff(of_epoch) == 0]
    if len(inside) and (inside < 0).mean() > 0.1:
        return 0.0
    highest = float(np.nanmax(steps[np.isfinite(steps)]))
    if planned is not None and np.isfinite(planned).any() and (total := float(np.nanmedian(planned))) >= highest:
        return total
    inside = inside[inside > 0]
    base = 0.0 if within.min() == 0 else 1.0
    if not len(inside):
        return highest + (1.0 if base == 0 else 0.0)
    if highest > within.max():  # an evaluation at the epoch's end says how long it is
        return highest
    spacing = float(np.median(inside))
    return max(highest, *(_span(within[of_epoch == of_epoch[end]], base, spacing) for end in [*turns, -1]))


def _span(within: np.ndarray, base: float, spacing: float) -> float:
    """Steps of the epoch whose lines have the steps `within`, counted from `base`."""
    last = float(within.max())
    if len(within) > 1 and within[-1] - within[-2] < spacing:  # a line of its own for the epoch's last step
        return last - base + 1.0
    begins_at_once = base == 0.0 or (within.min() == 1.0 and spacing > 1.0)
    # 1, 51, ..., 951 and 0, 50, ..., 950 have one spacing to go; 50, 100, ..., 1000 has arrived.
    return last + spacing - base if begins_at_once else last


def _global(steps: np.ndarray, epoch: np.ndarray, length: float) -> np.ndarray:
    """Steps over all epochs; a line that has an epoch and no step is the epoch's last."""
    number = np.floor(epoch) - (1.0 if np.nanmin(epoch[np.isfinite(epoch)]) >= 1 else 0.0)
    return np.where(np.isfinite(steps), number * length + steps, (number + 1) * length)


def _as_before(columns: Columns, steps: np.ndarray, epoch: np.ndarray) -> np.ndarray:
    """An evaluation at the end of an epoch that does not say its step has that of the line before."""
    measured = np.zeros(len(steps), dtype=bool)
    for name in ("val_loss", "train_loss"):
        if name in columns:
            measured |= ~np.isnan(columns[name])
    lacking = np.isnan(steps) & np.isfinite(epoch) & measured
    known = np.where(np.isfinite(steps), np.arange(len(steps)), -1)
    before = np.maximum.accumulate(known)
    return np.where(lacking & (before >= 0), steps[before], steps)


def _number_of_epochs(steps: np.ndarray, epoch: np.ndarray) -> float | None:
    """How many epochs all steps are, by fractions of an epoch or by the steps at which epochs begin."""
    there = np.isfinite(steps) & np.isfinite(epoch)
    steps, epoch = steps[there], epoch[there]
    if not len(steps) or steps.max() <= 0:
        return None
    last = int(np.argmax(steps))
    if (epoch != np.floor(epoch)).any():
        return float(epoch[last]) or None
    values = np.unique(epoch)
    if len(values) < 2:
        return None
    begins = np.array([steps[epoch == value].min() for value in values])
    lengths = np.diff(begins) / np.diff(values)
    length = float(np.median(lengths))
    spacing = float(np.median(np.diff(np.unique(steps))))
    return float((steps.max() - begins[0] + spacing) / length) if length > 0 else None
