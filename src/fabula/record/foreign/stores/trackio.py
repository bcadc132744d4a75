"""trackio's databases, one a project: a row for each line that was logged, as JSON."""

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fabula.errors import InputError
from fabula.record.content.parsing import json_value
from fabula.record.foreign.forms import jsonl
from fabula.record.foreign.stores.sqlite import columns, opened
from fabula.record.reader import Run


def is_one(database: sqlite3.Connection) -> bool:
    return {"run_name", "step", "metrics"} <= columns(database, "metrics")


def read(path: Path, wanted: Mapping[str, str] | None = None) -> list[Run]:
    """The runs of a project, in the order in which they began. A run that logged nothing that counts is left out.

    Raises InputError for a damaged database, and where no run has a loss.
    """
    runs: dict[tuple[str, str], list[dict[str, Any]]] = {}
    with opened(path) as database:
        id = "run_id" if "run_id" in columns(database, "metrics") else "run_name"  # early ones went by names alone
        for run, name, step, content in database.execute(
            f"select {id}, run_name, step, metrics from metrics order by id"
        ):
            try:
                line = json_value(content)
            except ValueError as error:
                raise InputError(f"{path}: a line of the run {name} is not valid JSON ({error})") from error
            if isinstance(line, dict):
                numbers = {key: value for key, value in line.items() if not isinstance(value, dict)}
                runs.setdefault((str(run), str(name)), []).append({"step": step, **numbers})
    return jsonl.runs_of_store(path, "trackio", [(name, lines) for (_, name), lines in runs.items()], wanted)
