"""Printed lines: of the Hugging Face Trainer (`{'loss': ..., 'grad_norm': ...}`) and of nanoGPT (`iter 250: loss ...`).

`FORMATS` at the end lists them: all that is known of a program's lines stands in this file.

The Trainer prints no steps. Where its progress bar was caught with the lines, the bar that is drawn again below a
line shows the step of that line.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fabula.record.foreign import jsonl
from fabula.record.foreign.notes import Note, note
from fabula.record.foreign.tables import not_finite_as_infinity, to_run
from fabula.record.foreign.trainer import traps, zeros_as_nan
from fabula.record.reader import Run

_NUMBER = r"[-+]?(?:\d[\d.]*(?:e[-+]?\d+)?|nan|inf)"
_ENTRY = re.compile(rf"'(\w+)': '?({_NUMBER})'?(?=[,}}\s])", re.IGNORECASE)
_BAR = r"(?:^|[\r\n]|\x1b\[A)\s*\d+%\|[^|\r\n]*\|\s*(?P<done>\d+)/(?P<total>\d+) \["
_TRAINER = re.compile(rf"(?P<entries>\{{'[^{{}}]*\}})|{_BAR}")
_NANOGPT_STEP = re.compile(rf"^step (\d+): train loss ({_NUMBER}), val loss ({_NUMBER})", re.MULTILINE | re.IGNORECASE)
_NANOGPT_ITER = re.compile(rf"^iter (\d+): loss ({_NUMBER})(?:,|\s|$)", re.MULTILINE | re.IGNORECASE)
_VOCABULARY = re.compile(r"(?:found vocab_size = |defaulting to vocab_size of GPT-2 to )(\d+)")
_MEASURED = {"loss", "eval_loss", "train_loss"}


@dataclass(frozen=True)
class Printed:
    """The lines of a program: how it is called, whether a text has such lines, and the run that they tell of."""

    program: str
    is_in: Callable[[str], bool]
    read: Callable[[Path, str], Run]


def read(path: Path, text: str) -> list[Run]:
    """The run whose lines stand in `text`, which `looks_like` one, among whatever else was printed."""
    return [next(form.read(path, text) for form in FORMATS if form.is_in(text))]


def looks_like(text: str) -> bool:
    return any(form.is_in(text) for form in FORMATS)


def _is_nanogpt(text: str) -> bool:
    return bool(_NANOGPT_ITER.search(text) or _NANOGPT_STEP.search(text))


def _nanogpt(path: Path, text: str) -> Run:
    """`iter n` is made before update n + 1 is counted, `step n` before it is made: steps n + 1 and n here."""
    text = text.replace("\r", "\n")
    evaluations = [(each.start(), int(each[1]), each[2], each[3]) for each in _NANOGPT_STEP.finditer(text)]
    updates = [(each.start(), int(each[1]) + 1, each[2], None) for each in _NANOGPT_ITER.finditer(text)]
    lines = sorted([*evaluations, *updates])  # by their place in the text
    is_update = np.array([val is None for _, _, _, val in lines])
    first = np.array([float(each) for _, _, each, _ in lines])
    columns = {
        "step": np.array([float(step) for _, step, _, _ in lines]),
        "loss": np.where(is_update, not_finite_as_infinity(first), np.nan),
        "train_loss": np.where(is_update, np.nan, not_finite_as_infinity(first)),
        "val_loss": np.array([np.nan if val is None else _finite(val) for *_, val in lines]),
    }
    info: dict[str, Any] = {}
    if sizes := _VOCABULARY.findall(text):
        info["vocabulary"] = int(sizes[-1])
    if "Initializing a new model from scratch" in text:
        info["from_scratch"] = True
    notes = [note("counted_from_zero"), note("last_micro_step")]
    names = {"step": "iter, step", "loss": "iter: loss", "train_loss": "step: train loss", "val_loss": "step: val loss"}
    used = {name: column for name, column in columns.items() if not np.isnan(column).all()}
    return to_run(path, "printed nanoGPT", used, names=names, notes=notes, **info)


def _is_trainer(text: str) -> bool:
    return any(_MEASURED & entries.keys() for entries in map(_entries, _dictionaries(text)))


def _trainer(path: Path, text: str) -> Run:
    lines, notes, info = _with_steps(text)
    logged = np.unique([line["step"] for line in lines if "loss" in line])
    apart = float(np.median(np.diff(logged))) if len(logged) > 1 and "steps_are_lines" not in info else None
    notes = [*notes, *traps(apart), *zeros_as_nan(lines)]
    return jsonl.run_of(path, "printed Trainer", lines, notes, **info)


def _with_steps(text: str) -> tuple[list[dict[str, Any]], list[Note], dict[str, Any]]:
    """The printed dictionaries with their steps: their own, or the progress bar's, or counted."""
    pieces: list[tuple[dict[str, float], tuple[int, int] | None]] = []
    for match in _TRAINER.finditer(text):
        if match["entries"]:
            entries = _entries(match["entries"])
            if _MEASURED & entries.keys():
                pieces.append((entries, None))
        else:
            pieces.append(({}, (int(match["done"]), int(match["total"]))))
    lines = [entries for entries, bar in pieces if bar is None]
    if all("step" in line for line in lines if "train_runtime" not in line):
        return lines, [], {}
    after: list[tuple[int, int] | None] = []  # of each line, the bar that is drawn below it
    waiting = 0
    for _, bar in pieces:
        if bar is None:
            waiting += 1
        elif waiting:
            after += [bar] * waiting
            waiting = 0
    after += [None] * waiting
    totals = Counter(bar[1] for line, bar in zip(lines, after, strict=True) if bar and "loss" in line)
    if totals:
        total = totals.most_common(1)[0][0]
        return _stepped_by_bars(pieces, total), [], {"steps": total}
    num_lines = 0
    for line in lines:
        num_lines += "loss" in line
        line["step"] = num_lines
    return lines, [note("steps_are_lines")], {"steps_are_lines": True}


def _stepped_by_bars(
    pieces: list[tuple[dict[str, float], tuple[int, int] | None]], total: int
) -> list[dict[str, float]]:
    """Each line gets the step of the next bar of the training; bars of evaluations have another total."""
    lines: list[dict[str, float]] = []
    step: int | None = None
    for entries, bar in reversed(pieces):
        if bar is not None:
            step = bar[0] if bar[1] == total else step
        elif step is not None:
            lines.append({**entries, "step": step})
        else:
            lines.append(entries)  # below the last bar: it has no step, and is left out with those that have none
    return lines[::-1]


def _finite(number: str) -> float:
    """The number, or infinity for whatever is not finite."""
    value = float(number)
    return value if np.isfinite(value) else np.inf


def _dictionaries(text: str) -> list[str]:
    return re.findall(r"\{'[^{}]*\}", text)


def _entries(printed: str) -> dict[str, float]:
    """`{'loss': 2.1, 'grad_norm': '0.9'}` as numbers; newer versions print them as strings of four digits."""
    return {name: float(value) for name, value in _ENTRY.findall(printed)}


FORMATS = (Printed("nanoGPT", _is_nanogpt, _nanogpt), Printed("the Trainer", _is_trainer, _trainer))
"""The first that fits reads the text."""
