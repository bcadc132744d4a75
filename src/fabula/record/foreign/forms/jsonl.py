"""JSON lines: an object a line, or one list of objects; also the lines of fabula's own metrics.jsonl."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from fabula.errors import InputError
from fabula.record.content.columns import Columns
from fabula.record.content.parsing import json_value
from fabula.record.content.shape import EVENT, refuse_misfits
from fabula.record.foreign.lines.reading import runs_of
from fabula.record.foreign.lines.table import Table
from fabula.record.foreign.names import WHOLE_RUN_AVERAGE, normalized, of_one, recognize
from fabula.record.foreign.notes import Note, note
from fabula.record.reader import Run, own_columns

OWN_KINDS = {"train", "eval", "event"}
MOST_INSIDE = 8
"""Objects within objects, as deep as a log goes."""
WRAPPED_IN = ("log", "message", "MESSAGE", "msg", "textPayload", "text", "line", "event")
"""Fields in which docker, loggers and clouds keep what was printed."""
_SAYS_LOSS = re.compile(r"loss|perplexity|\bppl\b", re.IGNORECASE)


def looks_like(text: str) -> bool:
    """Whether `text` is one value of JSON or lines of it, and no program printed anything else among them."""
    if not re.match(r"\[?\s*\{\s*\"", text):
        return False
    lines = text.split("\n", 50)[:50]
    printed = any(line.strip() and line.lstrip()[0] not in "{[" for line in lines)
    return not printed or text.startswith("[") or not lines[0].rstrip().endswith("}")


def read(path: Path, text: str, wanted: Mapping[str, str] | None = None) -> list[Run]:
    """The runs of a file of JSON lines, of which there is mostly one. A half-written last line is left out.

    Raises InputError for any other line that is not a JSON object, and where there are no steps.
    """
    lines, notes = objects(path, text)
    if str(lines[0].get("kind")) in OWN_KINDS and not wanted and _names_are_ours(lines):
        return [_own(path, lines, notes)]
    return runs_in(path, "jsonl", lines, notes, wanted)


def messages(path: Path, text: str) -> str | None:
    """The lines that a program printed where a logger or a container wrapped each in an object; None where objects
    hold numbers themselves. Raises InputError for a line that is no object."""
    if not _SAYS_LOSS.search(text, 0, 1 << 20):
        return None
    try:
        if is_list := text.lstrip().startswith("["):
            lines = (whole := json_value(text))[:50]
        else:
            lines = [json_value(line) for line in text.split("\n", 50)[:50] if line.strip()][:-1]
    except ValueError:
        return None
    if not lines or not all(isinstance(line, dict) for line in lines):
        return None
    flat = [_flat(line) for line in lines]
    if recognize(dict.fromkeys(chain.from_iterable(flat))).keys() & {
        "step",
        "epoch",
        "loss",
        "train_loss",
        "val_loss",
    }:
        return None
    wrapped = (name for each in WRAPPED_IN for name in flat[0] if name.rpartition("/")[2] == each)
    name = next((each for each in wrapped if all(isinstance(line.get(each), str) for line in flat)), None)
    if name is None:
        return None
    values = whole if is_list else _of_lines(path, [line for line in text.split("\n") if line.strip()], ended=False)[0]
    told = (str(_flat(value).get(name, "")) for value in values if isinstance(value, dict))
    return "".join(f"{each.rstrip()}\n" for each in told)


def _names_are_ours(lines: list[dict[str, Any]]) -> bool:
    """Whether all quantities have the names of our own record: others write `kind` as well, beside `lr`."""
    names = dict.fromkeys(name for line in lines[:1000] for name in line)
    return all(name == given for name, given in recognize(names).items())


def objects(path: Path, text: str) -> tuple[list[dict[str, Any]], list[Note]]:
    """The objects of JSON lines, of one JSON list, or of one JSON object that has lists."""
    notes: list[Note] = []
    if text.lstrip().startswith("["):
        try:
            values = json_value(text)
        except ValueError as error:
            values, notes = _of_cut_list(text), [note("cut_off")]
            if not values:
                raise InputError(f"{path} is not valid JSON ({error})") from error
    elif (whole := _one_object(text)) is not None:
        values, notes = _inside(whole)
    else:
        lines = [line.strip().removesuffix(",") for line in text.split("\n") if line.strip()]
        values, notes = _of_lines(path, lines, text.endswith("\n"))
    curves = [dict(value) for value in values if isinstance(value, dict) and {"name", "x", "y"} <= value.keys()]
    if curves and len(curves) == len(values):  # as ClearML and Plotly keep them
        pairs = {str(each["name"]): list(zip(*map(_listed, (each["x"], each["y"])), strict=False)) for each in curves}
        if all(map(_is_curve, pairs.values())):
            values = _of_curves(pairs)
    for number, value in enumerate(values, start=1):
        if not isinstance(value, dict):
            raise InputError(f"{path}, line {number}: not a JSON object; each line must be one, with a step and values")
    if not values:
        raise InputError(f"{path} has no complete line; nothing was logged")
    return values, notes


def _of_cut_list(text: str) -> list[Any]:
    """The objects of a list that its writer did not come to close; none where something else is wrong with it."""
    end = len(text) if not text.rstrip().endswith("]") else 0
    for _ in range(MOST_INSIDE):  # the last `},` may be that of an object inside the one that was cut
        if (end := text.rfind("},", 0, end)) < 0:
            break
        with suppress(ValueError):
            return list(json_value(f"{text[: end + 1]}]"))
    return []


def _one_object(text: str) -> dict[str, Any] | None:
    """The object that `text` is as a whole, over one or several lines."""
    try:
        value = json_value(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _inside(whole: dict[str, Any]) -> tuple[list[dict[str, Any]], list[Note]]:
    """The lines in one object: its longest list of objects, an object for each step, or a list for each quantity, as
    Keras's history has."""
    by_step = {key: value for key, value in whole.items() if key.isdecimal()}
    if len(by_step) > 1 and all(isinstance(value, dict) for value in by_step.values()):
        return [{"step": int(key), **value} for key, value in by_step.items()], []
    if curves := {name: value for name, value in {**whole, **_drawn(whole)}.items() if _is_curve(value)}:
        return _of_curves(curves), []
    whole = {name: _as_list(value) for name, value in whole.items()}
    lists = {name: value for name, value in whole.items() if isinstance(value, list) and value}
    lines = max(
        (each for each in lists.values() if all(isinstance(line, dict) for line in each)), key=len, default=None
    )
    if lines:
        return lines, []
    inner = next((value for value in whole.values() if isinstance(value, dict)), None)
    if not lists and inner is not None and any(isinstance(value, list) and value for value in inner.values()):
        return _inside(inner)
    columns = {
        name: value for name, value in lists.items() if not any(isinstance(each, (list, dict)) for each in value)
    }
    return of_lists(columns) if columns else ([whole], [])


def of_lists(columns: Mapping[str, list[Any]]) -> tuple[list[dict[str, Any]], list[Note]]:
    """The lines of lists, one for each quantity, of which the longest have a value for each line."""
    singles = Counter(dict.fromkeys(columns, 1)) + Counter(map(of_one, columns))
    columns = {of_one(name) if singles[of_one(name)] == 1 else name: values for name, values in columns.items()}
    longest = max(map(len, columns.values()))
    shorter = {name: value for name, value in columns.items() if len(value) < longest}
    columns = {name: value for name, value in columns.items() if len(value) == longest}
    told = [] if recognize(columns).keys() & {"step", "epoch"} else [note("lines_are_steps")]
    if told:
        columns["step"] = list(range(1, longest + 1))
    lines = [dict(zip(columns, line, strict=True)) for line in zip(*columns.values(), strict=True)]
    return lines, [*told, *_spread(lines, {name: shorter[name] for name in recognize(shorter).values()})]


def _spread(lines: list[dict[str, Any]], shorter: Mapping[str, list[Any]]) -> list[Note]:
    """Put each list of fewer values than there are lines, as one of evaluations is, on the lines that it is of: where
    the one number is a multiple of the other, they are equally far apart."""
    told = []
    for name, values in shorter.items():
        apart, rest = divmod(len(lines), len(values))
        if rest:
            told.append(note("uneven_list", name=name, values=f"{len(values):,}", lines=f"{len(lines):,}"))
            continue
        for place, value in enumerate(values, start=1):
            lines[place * apart - 1][name] = value
        told.append(note("spread_list", name=name, values=f"{len(values):,}", lines=f"{len(lines):,}", apart=apart))
    return told


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _drawn(whole: dict[str, Any], deep: int = 0) -> dict[str, Any]:
    """The curves in `{"loss": {"train": {"x": [...], "y": [...]}}}`, as ClearML gives them, by their names."""
    found: dict[str, Any] = {}
    for name, value in whole.items():
        if isinstance(value, dict) and {"x", "y"} <= value.keys():
            found[name] = list(zip(*map(_listed, (value["x"], value["y"])), strict=False))
        elif isinstance(value, dict) and deep < MOST_INSIDE:
            found |= {f"{name}/{inner}": each for inner, each in _drawn(value, deep + 1).items()}
    return found


def _is_curve(value: Any) -> bool:
    """`[[10, 3.2], [20, 3.1]]`: steps with values."""
    if not isinstance(value, list) or len(value) < 2:
        return False
    return all(
        isinstance(point, (list, tuple)) and len(point) == 2 and all(type(each) in (int, float) for each in point)
        for point in value
    )


def _of_curves(curves: Mapping[str, Iterable[Any]]) -> list[dict[str, Any]]:
    lines: dict[float, dict[str, Any]] = {}
    for name, points in curves.items():
        for step, value in points:
            lines.setdefault(step, {"step": step})[name] = value
    return [lines[step] for step in sorted(lines)]


def _as_list(value: Any) -> Any:
    """`{"0": 3.2, "1": 3.1}` as a list: so pandas writes a column."""
    if isinstance(value, dict) and len(value) > 1 and list(value) == [str(place) for place in range(len(value))]:
        return list(value.values())
    return value


def runs_in(
    path: Path,
    form: str,
    lines: list[dict[str, Any]],
    notes: Iterable[Note],
    wanted: Mapping[str, str] | None = None,
    **info: Any,
) -> list[Run]:
    """The runs of objects that other programs wrote."""
    if any(isinstance(value, dict) for line in lines[:100] for value in line.values()):
        lines = [_flat(line) for line in lines]
    notes = list(notes)
    summaries = [line for line in lines if "train_runtime" in line or "train/train_runtime" in line]
    if any("train_loss" in line for line in summaries) or any(
        normalized(key) == WHOLE_RUN_AVERAGE for key in lines[-1]
    ):
        notes.append(note("train_loss_is_average"))
    if summaries:
        lines = [line for line in lines if line not in summaries]
    names = dict.fromkeys(chain.from_iterable(lines))
    cells = {name: _cells(lines, name) for name in names}
    return runs_of(Table(path, form, cells, tuple(notes), info), wanted)


def runs_of_store(
    path: Path, form: str, named: Iterable[tuple[str, list[dict[str, Any]]]], wanted: Mapping[str, str] | None = None
) -> list[Run]:
    """The runs of a tracker's store, each a name and its lines. Of the same name there may be several; those that have
    no loss are left out.

    Raises InputError, with what is wrong with the first one, where none has.
    """
    runs: list[Run] = []
    wrong: list[InputError] = []
    names: dict[str, int] = {}
    for name, lines in named:
        names[name] = names.get(name, 0) + 1
        try:
            if not lines:
                raise InputError(f"{path}: nothing was logged in the run {name}")
            called = name if names[name] == 1 else f"{name} ({names[name]})"
            runs += runs_in(path, form, lines, [], wanted, name=called)
        except InputError as error:
            wrong.append(error)
    if not runs:
        raise wrong[0] if wrong else InputError(f"{path} has no run in it; nothing was logged")
    return runs


def _cells(lines: list[dict[str, Any]], name: str) -> list[Any]:
    """What a field holds, line by line, as a text or a number; "" for null, None where a line does not have it."""
    values = [line.get(name) for line in lines]
    if {list, dict} & set(map(type, values)):
        values = [str(value) if isinstance(value, (list, dict)) else value for value in values]
    if None in values:
        return ["" if value is None and name in line else value for line, value in zip(lines, values, strict=True)]
    return values


def _of_lines(path: Path, lines: list[str], ended: bool) -> tuple[list[Any], list[Note]]:
    try:
        return json_value(f"[{','.join(lines)}]"), []  # in one go: several times faster than line by line
    except ValueError:
        pass  # the line that is at fault is found below
    values = []
    for number, line in enumerate(lines, start=1):
        try:
            values.append(json_value(line))
        except ValueError as error:
            if number == len(lines) and not ended:
                return values, [note("cut_off")]
            raise InputError(f"{path}, line {number}: not valid JSON ({error}); repair or remove that line") from error
    return values, []


def _own(path: Path, lines: list[dict[str, Any]], notes: list[Note]) -> Run:
    """The lines of a metrics.jsonl that is away from its run folder."""

    def columns_of(kind: str) -> Columns:
        chosen = [line for line in lines if line.get("kind") == kind]
        columns = own_columns(chosen, f"{path}, lines of kind {kind}")
        for place, line in enumerate(chosen):
            names = line.get("non_finite")
            for name in names if isinstance(names, list) else ():
                if isinstance(name, str) and name in columns and name != "step":
                    columns[name][place] = np.inf
        return columns

    events = [line for line in lines if line.get("kind") == "event"]
    refuse_misfits(f"{path}, lines of kind event", events, EVENT, ("step", "event"))
    return Run(
        path, {"log_format": "jsonl", "columns": {}, "notes": notes}, columns_of("train"), columns_of("eval"), events
    )


def _flat(line: dict[str, Any], deep: int = 0) -> dict[str, Any]:
    """`{"train": {"loss": 2.1}}` as `{"train/loss": 2.1}`, however deep."""
    flat: dict[str, Any] = {}
    for key, value in line.items():
        if isinstance(value, dict) and value.get("_type") == "histogram":
            flat[key] = _norm_of(value)
        elif isinstance(value, dict) and deep < MOST_INSIDE:
            flat |= {f"{key}/{inner}": each for inner, each in _flat(value, deep + 1).items()}
        else:
            flat[key] = value
    return flat


def _norm_of(histogram: dict[str, Any]) -> float | None:
    """About the length of the vector whose values W&B counted in bins, as wandb.watch does with gradients."""
    counts, edges, packed = histogram.get("values"), histogram.get("bins"), histogram.get("packedBins")
    try:
        if isinstance(packed, dict):
            edges = float(packed["min"]) + float(packed["size"]) * np.arange(len(counts or ()) + 1)
        edges_N, counts_N = np.asarray(edges, dtype=np.float64), np.asarray(counts, dtype=np.float64)
        middles_N = (edges_N[1:] + edges_N[:-1]) / 2.0
        return float(np.sqrt((counts_N * middles_N**2).sum()))
    except (KeyError, TypeError, ValueError):
        return None
