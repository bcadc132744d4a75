"""From the columns of a foreign log to a Run: which line trains, which evaluates, and what is not a number.

In a column here, NaN means that the line does not have the value; infinity, that it was written and is not finite
(a NaN too): the difference between "not logged" and "lost" must survive.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fabula.errors import InputError
from fabula.record.content.columns import Columns, in_range
from fabula.record.content.shape import LARGEST
from fabula.record.foreign.lines.inside import looks_of
from fabula.record.foreign.lines.units import BESIDE
from fabula.record.foreign.names import WHOLE_RUN_AVERAGE, normalized, recognize
from fabula.record.foreign.notes import Note, note
from fabula.record.reader import Run

LOSSES = ("loss", "train_loss", "val_loss_subset", "val_loss")
OF_A_STEP = ("loss", "grad_norm")
BESIDE_THEM = ("tokens", "epoch", "tokens_per_second", "seconds_per_step", "memory")
LOST_SHARE = 0.2
"""Empty cells among the losses are lost values where they are the exception (a fifth at most) or the end of the log;
otherwise the log simply has a loss on some of its lines."""
UNSORTED_SHARE = 0.1
"""Resumes are few; where a tenth of all lines go back, the log is not in the order of its steps."""


def choose(path: Path, names: Iterable[str], wanted: Mapping[str, str] | None = None) -> dict[str, str]:
    """`recognize`, with an error that helps: canonical name -> column of the log. `wanted` goes first.

    Raises InputError where nothing counts the steps, where nothing is measured, and where a wanted column is not there.
    """
    names = [name for name in names if name.strip()]
    said = wanted_columns(path, names, wanted)
    free = [name for name in names if normalized(name) != WHOLE_RUN_AVERAGE and name not in said.values()]
    chosen = {**{name: given for name, given in recognize(free).items() if name not in said}, **said}
    if "loss" in said:
        chosen.pop("train_loss", None) if "train_loss" not in said else None
    if "step" not in chosen and "epoch" not in chosen:
        known = ", ".join(["step", "global_step", "iter"])
        raise InputError(
            f"{path} has no column of steps ({known}, ...); its columns are: {_listed(names)}; say which one counts "
            "the updates with --columns step=NAME, or add it"
        )
    if not chosen.keys() & {*LOSSES, *BESIDE, "grad_norm", "learning_rate"}:
        raise InputError(
            f"{path} has steps, but no loss, gradient norm or learning rate under a name that fabula knows; "
            f"its columns are: {_listed(names)}; say which one it is, for example with --columns loss=NAME"
        )
    return chosen


def wanted_columns(path: Path, names: Iterable[str], wanted: Mapping[str, str] | None) -> dict[str, str]:
    """The wanted columns as the log writes their names. Raises InputError for one that it does not have."""
    names = [name for name in names if name.strip()]
    said = {}
    for canonical, given in (wanted or {}).items():
        found = next((name for name in names if name == given), None)
        found = found or next((name for name in names if normalized(name) == normalized(given)), None)
        if found is None:
            raise InputError(
                f"{path} has no column {given} (--columns {canonical}={given}); its columns are: {_listed(names)}"
            )
        said[canonical] = found
    return said


def _listed(names: list[str]) -> str:
    return ", ".join(names[:12]) + (", ..." if len(names) > 12 else "") or "none"


def lost_lines(present: Mapping[str, np.ndarray], loss: str, may_lack: Iterable[str]) -> np.ndarray:
    """Lines that have what the lines with a loss have, and nothing else, but no loss: how a NaN looks when it is
    written as an empty cell. `present`: column -> boolean array, a value a line."""
    has = present[loss]
    lost = ~has
    if has.sum() < 3 or not lost.any():
        return np.zeros_like(has)
    for name, there in present.items():
        if name == loss or name in may_lack:
            continue
        usual = there[has].mean() > 0.9
        lost &= there if usual else ~there
    at_the_end = lost.any() and np.flatnonzero(lost)[0] > np.flatnonzero(has)[-1]
    few = lost.sum() <= LOST_SHARE * (lost.sum() + has.sum())
    return lost if at_the_end or few else np.zeros_like(has)


def to_run(
    path: Path,
    form: str,
    columns: Columns,
    *,
    names: Mapping[str, str] | None = None,
    notes: Iterable[Note] = (),
    lost: np.ndarray | None = None,
    events: Iterable[dict[str, Any]] = (),
    **info: Any,
) -> Run:
    """A Run from columns by canonical name, a value a line, in the order of the log.

    `form` names the format, `names` says which of the log's columns each was, `lost` marks the lines whose loss was
    written and is not finite. Raises InputError where no line has a step and a value.
    """
    told = list(notes)
    columns = {name: np.asarray(values, dtype=np.float64) for name, values in columns.items()}
    if (largest := float(np.nanmax(columns["step"], initial=0.0))) >= LARGEST and np.isfinite(largest):
        raise InputError(f"{path}: a step is {largest:.3g}, and no run makes so many; leave that line out")
    _resolve_train_loss(columns, told)
    if lost is not None and lost.any():
        name = "loss" if "loss" in columns else "val_loss"
        columns[name] = np.where(lost, np.inf, columns[name])
        first = int(np.nanmin(np.where(lost, columns["step"], np.nan)))
        told.append(note("empty_is_nan", lines=f"{lost.sum():,}", step=f"{first:,}"))
    columns, resumes = _in_order(columns, told)
    evals = _lines(columns, ("train_loss", "val_loss_subset", "val_loss"), BESIDE_THEM)
    train = _lines(columns, OF_A_STEP, BESIDE_THEM)
    if "learning_rate" in columns:  # on lines of its own in some logs; where nothing else is a step's, beside the evals
        if len(train["step"]):
            train = _lines(columns, (*OF_A_STEP, "learning_rate"), BESIDE_THEM)
        elif len(evals["step"]):
            evals = _lines(columns, ("train_loss", "val_loss_subset", "val_loss", "learning_rate"), BESIDE_THEM)
        else:
            train = _lines(columns, ("learning_rate",), BESIDE_THEM)
    if not len(train["step"]) and not len(evals["step"]):
        raise InputError(f"{path} has no line with both a step and a value; its columns are empty")
    if not form.startswith(("wandb", "trainer")) and all(each["kind"] != "window_mean" for each in told):
        _tell_spacing(train, told)
    given = dict(names or {})
    if "loss" in columns and "loss" not in given:
        given["loss"] = given.pop("train_loss", "loss")
    kept = {name: original for name, original in given.items() if name in columns and not np.isnan(columns[name]).all()}
    content = {"log_format": form, "columns": kept, "notes": told, **info}
    happened = [*events, *({"event": "resumed", "step": step} for step in resumes)]
    return Run(path, content, train, evals, happened, looks=looks_of(columns))


def merge_series(series: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Columns:
    """Curves with steps of their own as columns over all steps. Of a step that was made twice the later counts."""
    steps = np.unique(np.concatenate([at for at, _ in series.values()]))
    columns: Columns = {"step": steps}
    for name, (at, values) in series.items():
        column = np.full(len(steps), np.nan)
        # The default assignment order of NumPy is that of the indices: a later value overwrites an earlier one.
        column[np.searchsorted(steps, at)] = values
        columns[name] = column
    return columns


def not_finite_as_infinity(values: np.ndarray, written: np.ndarray | bool = True) -> np.ndarray:
    """Where a value was written and is not finite, infinity stands for it."""
    return np.where(~np.isfinite(values) & written, np.inf, in_range(values, np.inf))


def _resolve_train_loss(columns: Columns, told: list[Note]) -> None:
    """Decide what `train_loss` is: a summary, the training split at the evaluations, or the loss of the step."""
    if "train_loss" not in columns:
        return
    has = ~np.isnan(columns["train_loss"])
    at_evaluations = np.zeros_like(has)
    for name in ("val_loss", "val_loss_subset"):
        if name in columns:
            at_evaluations |= ~np.isnan(columns[name])
    if not has.any():
        del columns["train_loss"]
    elif "loss" in columns and (~np.isnan(columns["loss"])).sum() > 1 and has.sum() == 1:
        del columns["train_loss"]
        told.append(note("train_loss_is_average"))
    elif "loss" not in columns and (has & ~at_evaluations).sum() > 0.5 * has.sum():
        columns["loss"] = columns.pop("train_loss")


def _in_order(columns: Columns, told: list[Note]) -> tuple[Columns, list[int]]:
    """Lines that have a step, of the last run in the log; and the updates after which it was resumed."""
    keep = np.isfinite(columns["step"])
    columns = {name: values[keep] for name, values in columns.items()}
    steps = columns["step"]
    trains = np.flatnonzero(~np.isnan(columns["loss"])) if "loss" in columns else np.arange(len(steps))
    back = trains[1:][np.diff(steps[trains]) < 0]
    if not len(back):
        return columns, []
    if len(back) > max(1.0, UNSORTED_SHARE * len(trains)):
        order = np.argsort(steps, kind="stable")
        return {name: values[order] for name, values in columns.items()}, []
    anew = [int(place) for place in back if steps[place] <= steps[trains[0]]]
    if anew:
        told.append(note("several_runs", runs=len(anew) + 1))
        start = anew[-1]
        while start and steps[start - 1] <= steps[start]:  # an evaluation at step 0 stands before the first update
            start -= 1
        columns = {name: values[start:] for name, values in columns.items()}
        back = back[back > anew[-1]] - start
    resumes = [int(columns["step"][place]) - 1 for place in back]
    if resumes:
        told.append(note("resumed", places=", ".join(f"step {step:,}" for step in resumes)))
    return columns, resumes


def _lines(columns: Columns, measured: tuple[str, ...], beside: tuple[str, ...]) -> Columns:
    """The lines that hold any of `measured`, with those columns that are not empty there."""
    there = [name for name in measured if name in columns and not np.isnan(columns[name]).all()]
    keep = np.zeros(len(columns["step"]), dtype=bool)
    for name in there:
        keep |= ~np.isnan(columns[name])
    kept = [name for name in ("step", *there, *beside) if name in columns]
    return {name: columns[name][keep] for name in kept}


def _tell_spacing(train: Columns, told: list[Note]) -> None:
    if "loss" not in train:
        return
    steps = np.unique(train["step"][~np.isnan(train["loss"])])
    if len(steps) > 2 and (apart := float(np.median(np.diff(steps)))) > 1:
        told.append(note("steps_apart", steps=f"{apart:,.0f}"))
