"""MLflow's runs: in the database mlflow.db, or in folders, mlruns/EXPERIMENT/RUN/{meta.yaml, metrics/NAME}."""

import math
import re
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fabula.errors import InputError
from fabula.record.foreign.forms import jsonl
from fabula.record.foreign.stores.sqlite import columns, opened
from fabula.record.reader import Run

Value = tuple[str, int, float]
"""Name, step and value, in the order in which they were logged."""


def is_one(database: sqlite3.Connection) -> bool:
    return {"run_uuid", "key", "value", "step"} <= columns(database, "metrics")


def is_folder(folder: Path) -> bool:
    """Whether `folder` is a run's."""
    return (folder / "meta.yaml").is_file() and (folder / "metrics").is_dir()


def read(path: Path, wanted: Mapping[str, str] | None = None) -> list[Run]:
    """The runs of a database but for deleted ones, in the order in which they began. Raises InputError for a damaged
    one, and where no run has a loss."""
    runs: dict[str, tuple[str, list[Value]]] = {}
    with opened(path) as database:
        named = dict(database.execute("select run_uuid, name from runs"))
        tags = "select run_uuid, value from tags where key = 'mlflow.runName'"
        named |= {run: name for run, name in database.execute(tags) if not named.get(run)}  # before MLflow 2
        kept = "select run_uuid from runs where lifecycle_stage = 'active' order by start_time"
        for (run,) in database.execute(kept):
            runs[run] = (str(named.get(run) or run), [])
        rows = "select run_uuid, key, step, value, is_nan from metrics order by timestamp"
        for run, key, step, value, is_nan in database.execute(rows):
            if run in runs:
                runs[run][1].append((key, int(step), math.nan if is_nan else float(value)))
    return jsonl.runs_of_store(path, "mlflow", [(name, _lines(each)) for name, each in runs.values()], wanted)


def read_folder(folder: Path, wanted: Mapping[str, str] | None = None) -> list[Run]:
    """The run of one folder. Raises InputError for a line that is none of MLflow's."""
    values: list[Value] = []
    for file in sorted(each for each in (folder / "metrics").rglob("*") if each.is_file()):
        name = file.relative_to(folder / "metrics").as_posix()
        for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
            parts = line.split()
            try:
                values.append((name, int(parts[2]) if len(parts) > 2 else number - 1, float(parts[1])))
            except (ValueError, IndexError) as error:
                raise InputError(
                    f"{file}, line {number}: not a time, a value and a step; the file is damaged"
                ) from error
    name_tag = folder / "tags" / "mlflow.runName"
    name = name_tag.read_text(encoding="utf-8", errors="replace").strip() if name_tag.is_file() else ""
    if not name:
        found = re.search(r"^run_name: *(.+)$", (folder / "meta.yaml").read_text("utf-8", "replace"), re.MULTILINE)
        name = found[1].strip("'\" ") if found else folder.name
    return jsonl.runs_of_store(folder, "mlflow", [(name, _lines(values))], wanted)


def _lines(values: Iterable[Value]) -> list[dict[str, Any]]:
    """A line a step; of a quantity that was logged twice at a step the later value counts."""
    lines: dict[int, dict[str, Any]] = {}
    for name, step, value in values:
        lines.setdefault(step, {"step": step})[name] = value if math.isfinite(value) else "nan"
    return [lines[step] for step in sorted(lines)]
