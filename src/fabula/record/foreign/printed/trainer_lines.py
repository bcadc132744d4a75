"""Printed lines of the Hugging Face Trainer: `{'loss': ..., 'grad_norm': ...}`.

The Trainer prints no steps. Where its progress bar was caught with the lines, the bar that is drawn again below a
line shows the step of that line.
"""

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fabula.record.foreign.forms import jsonl
from fabula.record.foreign.forms.trainer import traps, zeros_as_nan
from fabula.record.foreign.notes import Note, note
from fabula.record.reader import Run

_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?(?:e[-+]?\d+)?|nan|inf)"
_ENTRY = re.compile(rf"'(\w+)': '?({_NUMBER})'?(?=[,}}\s])", re.IGNORECASE)
_SWIFT = re.compile(r"'global_step/max_steps': '(\d{1,15})/\d+'")
"""ms-swift's Trainer says the step."""
_BAR = r"(?:^|[\r\n]|\x1b\[A)\s*\d+%\|[^|\r\n]*\|\s*(?P<done>\d{1,15})/(?P<total>\d{1,15}) \["
_TRAINER = re.compile(rf"(?P<entries>\{{'[^{{}}]*\}})|{_BAR}")
_STEPS = {"step", "global_step", "iter", "iteration"}
_MEASURED = {"loss", "eval_loss", "train_loss"}


def looks_like(text: str) -> bool:
    """Whether dictionaries with losses stand in `text`, and do not say their step: the Trainer's do not."""
    found = [entries for entries in map(_entries, _dictionaries(text)) if _MEASURED & entries.keys()]
    counted = all(entries.keys() & _STEPS for entries in found if "train_runtime" not in entries)
    return bool(found) and (not counted or _SWIFT.search(text) is not None)


def read(path: Path, text: str, wanted: Mapping[str, str] | None = None) -> list[Run]:
    lines, notes, info = _with_steps(text)
    logged = np.unique([line["step"] for line in lines if "loss" in line and "step" in line])
    apart = float(np.median(np.diff(logged))) if len(logged) > 1 and "steps_are_lines" not in info else None
    notes = [*notes, *traps(apart), *zeros_as_nan(lines)]
    return jsonl.runs_in(path, "printed Trainer", lines, notes, wanted, **info)


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


def _dictionaries(text: str) -> list[str]:
    return re.findall(r"(?<!: )\{'[^{}]*\}", text)  # none that stands in another one, which may say the step


def _entries(printed: str) -> dict[str, float]:
    """`{'loss': 2.1, 'grad_norm': '0.9'}` as numbers; newer versions print them as strings of four digits."""
    entries = {name: float(value) for name, value in _ENTRY.findall(printed)}
    if match := _SWIFT.search(printed):
        entries["step"] = float(match[1])
    return entries
