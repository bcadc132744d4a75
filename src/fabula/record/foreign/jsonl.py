"""JSON lines: an object a line, or one list of objects; also the lines of fabula's own metrics.jsonl."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from fabula.errors import InputError
from fabula.record.foreign.names import WHOLE_RUN_AVERAGE, normalized
from fabula.record.foreign.notes import Note, note
from fabula.record.foreign.tables import LOSSES, choose, lost_lines, not_finite_as_infinity, to_run
from fabula.record.reader import Columns, Run, to_columns

OWN_KINDS = {"train", "eval", "event"}


def read(path: Path, text: str) -> list[Run]:
    """The one run of a file of JSON lines. A half-written last line is left out.

    Raises InputError for any other line that is not a JSON object, and where there are no steps.
    """
    lines, notes = objects(path, text)
    if lines[0].get("kind") in OWN_KINDS:
        return [_own(path, lines, notes)]
    return [run_of(path, "jsonl", lines, notes)]


def objects(path: Path, text: str) -> tuple[list[dict[str, Any]], list[Note]]:
    """The objects of JSON lines, or of one JSON list."""
    notes: list[Note] = []
    if text.lstrip().startswith("["):
        try:
            values = json.loads(text)
        except ValueError as error:
            raise InputError(f"{path} is not valid JSON ({error})") from error
    else:
        values, notes = _of_lines(path, [line for line in text.split("\n") if line.strip()], text.endswith("\n"))
    for number, value in enumerate(values, start=1):
        if not isinstance(value, dict):
            raise InputError(f"{path}, line {number}: not a JSON object; each line must be one, with a step and values")
    if not values:
        raise InputError(f"{path} has no complete line; nothing was logged")
    return values, notes


def run_of(path: Path, form: str, lines: list[dict[str, Any]], notes: list[Note], **info: Any) -> Run:
    """A Run from objects of other programs."""
    if any(isinstance(value, dict) for line in lines[:100] for value in line.values()):
        lines = [_flat(line) for line in lines]
    summaries = [line for line in lines if "train_runtime" in line or "train/train_runtime" in line]
    if any("train_loss" in line for line in summaries) or any(
        normalized(key) == WHOLE_RUN_AVERAGE for key in lines[-1]
    ):
        notes = [*notes, note("train_loss_is_average")]
    if summaries:
        lines = [line for line in lines if line not in summaries]
    names = list(dict.fromkeys(name for line in lines for name in line))
    chosen = choose(path, names)
    columns = {name: column(path, lines, original) for name, original in chosen.items()}
    losses = [name for name in LOSSES if name in columns and not np.isnan(columns[name]).all()]
    lost = None
    if losses and np.isnan(columns[losses[0]]).any():
        given = chosen[losses[0]]
        null = np.array([given in line and line[given] is None for line in lines])
        if null.any():
            present = {name: np.array([line.get(name) is not None for line in lines]) for name in names}
            lost = null & lost_lines(present, given, [chosen.get("grad_norm", "")])
    return to_run(path, form, columns, names=chosen, notes=notes, lost=lost, **info)


def column(path: Path, lines: list[dict[str, Any]], name: str) -> np.ndarray:
    """One field as numbers: NaN where a line lacks it or holds null, infinity where it is not finite."""
    given = [line.get(name) for line in lines]
    try:
        values = np.array(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        wrong = next((each for each in given if not _is_number(each)), None)
        raise InputError(f'{path}: "{str(wrong)[:40]}" in field {name} is not a number; repair or remove it') from error
    if np.isfinite(values).all():
        return values
    return not_finite_as_infinity(values, np.array([each is not None for each in given]))


def _of_lines(path: Path, lines: list[str], ended: bool) -> tuple[list[Any], list[Note]]:
    try:
        return json.loads(f"[{','.join(lines)}]"), []  # in one go: several times faster than line by line
    except ValueError:
        pass  # the line that is at fault is found below
    values = []
    for number, line in enumerate(lines, start=1):
        try:
            values.append(json.loads(line))
        except ValueError as error:
            if number == len(lines) and not ended:
                return values, [note("cut_off")]
            raise InputError(f"{path}, line {number}: not valid JSON ({error}); repair or remove that line") from error
    return values, []


def _own(path: Path, lines: list[dict[str, Any]], notes: list[Note]) -> Run:
    """The lines of a metrics.jsonl that is away from its run folder."""

    def columns_of(kind: str) -> Columns:
        chosen = [line for line in lines if line.get("kind") == kind]
        columns = to_columns(chosen)
        for place, line in enumerate(chosen):
            for name in line.get("non_finite") or ():
                columns[name][place] = np.inf
        return columns

    events = [line for line in lines if line.get("kind") == "event"]
    return Run(
        path, {"log_format": "jsonl", "columns": {}, "notes": notes}, columns_of("train"), columns_of("eval"), events
    )


def _flat(line: dict[str, Any]) -> dict[str, Any]:
    """`{"train": {"loss": 2.1}}` as `{"train/loss": 2.1}`."""
    flat: dict[str, Any] = {}
    for key, value in line.items():
        if isinstance(value, dict):
            flat |= {f"{key}/{inner}": each for inner, each in value.items()}
        else:
            flat[key] = value
    return flat


def _is_number(value: Any) -> bool:
    try:
        np.array([value], dtype=np.float64)
    except (TypeError, ValueError):
        return False
    return True
