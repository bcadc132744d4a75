"""Exports of Weights & Biases: a chart's CSV (a column a run), and the CSV of run.history()."""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from fabula.errors import InputError
from fabula.record.foreign.forms import csv
from fabula.record.foreign.lines.inside import inside_of
from fabula.record.foreign.lines.machine import machine_of
from fabula.record.foreign.lines.numbers import numbers
from fabula.record.foreign.lines.reading import runs_of
from fabula.record.foreign.lines.units import in_nats
from fabula.record.foreign.names import recognize
from fabula.record.foreign.notes import note
from fabula.record.foreign.tables import to_run
from fabula.record.reader import Run

_CURVE = re.compile(r"(?P<run>.+) - (?P<name>.+?)(?P<bound>__(MIN|MAX))?$")


def looks_like(line: str) -> bool:
    """Whether `line` is the header of an export."""
    names = re.split(r'"?[,;]"?', line.strip().strip('"'))
    charted = len(names) > 1 and re.fullmatch(r"[A-Za-z_][\w /.-]*", names[0]) is not None
    charted = charted and all(" - " in name for name in names[1:])
    return charted or {"_step", "_runtime"} <= set(names)


def read(path: Path, text: str, wanted: Mapping[str, str] | None = None) -> list[Run]:
    """The runs of an export: as many as a chart shows, one of a history. Raises InputError as for any CSV."""
    header, rows, notes = csv.read_table(path, text)
    if "_step" in header:
        return runs_of(csv.as_table(path, "wandb", header, rows, [*notes, note("sampled_history")]), wanted)
    curves: dict[str, dict[str, int]] = {}
    for place, name in enumerate(header[1:], start=1):
        match = _CURVE.match(name)
        if match and not match["bound"]:
            curves.setdefault(match["run"], {})[match["name"]] = place
    steps = numbers(path, [row[0] for row in rows], header[0], whole=True)
    runs = []
    for run, places in curves.items():
        chosen = {**recognize(places), **{known: name for known, name in (wanted or {}).items() if name in places}}
        chosen.pop("step", None)  # a run may have its own `_step` column beside the chart's axis
        if not chosen:
            continue
        values = {name: numbers(path, [row[places[each]] for row in rows], each) for name, each in chosen.items()}
        if np.isnan(np.array(list(values.values()))).all():
            continue
        told = [*notes, note("sampled_chart")]
        values = in_nats(values, told)
        cells = {name: [row[place] for row in rows] for name, place in places.items()}
        values |= inside_of(cells, chosen.values(), told)
        machine, called = machine_of(cells, chosen.values())
        values |= machine
        names = {"step": header[0], **chosen, **called}
        runs.append(to_run(path, "wandb", {"step": steps, **values}, names=names, notes=told, name=run))
    if not runs:
        raise InputError(
            f"{path} has no loss, gradient norm or learning rate under a name that fabula knows; its columns are: "
            + ", ".join(header[:12])
        )
    axis = recognize([header[0]]).keys()
    if axis == {"tokens"}:
        for each in runs:
            each.info["notes"].append(note("tokens_are_steps", name=header[0]))
            each.info["steps_are_lines"] = True
    elif axis != {"step"}:
        raise InputError(f'{path}: its axis is "{header[0]}"; export the chart with steps on its x axis')
    return runs
