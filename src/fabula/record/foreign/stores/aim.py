"""Aim's repository, the folder .aim: read by the package aim, if it is installed, for its format has no description.

It stands in RocksDB, in an encoding of Aim's own; a reader of ours would be another half of Aim.
"""

import importlib
import importlib.util
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fabula.errors import InputError
from fabula.record.foreign.forms import jsonl
from fabula.record.reader import Run

NAME = ".aim"


def is_one(folder: Path) -> bool:
    return folder.name == NAME and (folder / "run_metadata.sqlite").is_file()


def read(folder: Path, wanted: Mapping[str, str] | None = None) -> list[Run]:
    """The runs of a repository, the oldest first. Raises InputError where aim is not installed."""
    if importlib.util.find_spec("aim") is None:
        raise InputError(f"{folder} is read by Aim's own package; install it with: pip install 'fabula[aim]'")
    aim = importlib.import_module("aim")  # takes two seconds, and most who read logs have no such folder
    place = str(folder.parent)
    runs: list[tuple[str, list[dict[str, Any]]]] = []
    # Not Repo.iter_runs, which has none that `aim up` has not put into its index.
    opened = [aim.Run(each, repo=place, read_only=True) for each in aim.Repo.from_path(place).list_all_runs()]
    for run in sorted(opened, key=lambda each: each.creation_time):
        lines: dict[int, dict[str, Any]] = {}
        for metric in run.metrics():
            context = metric.context.to_dict()
            group = str(context.get("subset") or context.get("split") or "")
            name = f"{group}/{metric.name}" if group else metric.name
            steps, (values,) = metric.data.view("val").items_list()  # `values` itself goes by hashes of steps
            for step, value in zip(steps, values, strict=True):
                lines.setdefault(int(step), {"step": int(step)})[name] = value if math.isfinite(value) else "nan"
        runs.append((str(run.name or run.hash), [lines[step] for step in sorted(lines)]))
    if runs and not any(lines for _, lines in runs):
        raise InputError(f"{folder} has no values in Aim's index; `aim up` brings it up to date, then try again")
    return jsonl.runs_of_store(folder, "aim", runs, wanted)
