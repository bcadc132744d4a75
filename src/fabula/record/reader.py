"""Reading a run folder, without torch and without trusting it."""

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from fabula.errors import InputError
from fabula.record.files import PARTIAL, refuse_pointer, toml_hash
from fabula.record.lock import writer_of

Columns = dict[str, np.ndarray]
"""Name -> float64 array, one value a line; NaN where a line lacks the field or holds null."""


@dataclass(frozen=True)
class StoryLosses:
    """One protocol of a final evaluation, story by story, in the order of the split."""

    split: str
    ruler: str
    tokens_S: np.ndarray
    nats_S: np.ndarray
    """NaN where a story's loss was not finite."""


@dataclass(frozen=True)
class Run:
    """What a run wrote, as read from its folder (or, with fewer fields, from a foreign log).

    `train` has a line for each optimizer update, `evals` one for each evaluation; both always hold "step".
    """

    path: Path
    info: dict[str, Any]
    train: Columns
    evals: Columns
    events: list[dict[str, Any]] = field(default_factory=list)
    samples: list[dict[str, Any]] = field(default_factory=list)
    looks: list[dict[str, Any]] = field(default_factory=list)
    """Looks inside that a foreign log's columns make; a run folder has them in internals.jsonl."""

    @property
    def status(self) -> str:
        return str(self.info.get("status", "unknown"))

    @cached_property
    def recipe_toml(self) -> str:
        """Raises InputError where it is not the one that the run was made with."""
        return read_recipe_toml(self.path, self.info)

    @cached_property
    def stories(self) -> dict[str, StoryLosses]:
        """The final evaluation story by story, a protocol each; empty where the run has not come to its end, or was
        made by another tool. Raises InputError when evaluations.jsonl is damaged."""
        found = {}
        for line in _json_lines(self.path / "evaluations.jsonl"):
            if line.get("kind") != "stories":
                continue
            try:
                tokens_S, nats_S = (np.array(line[name], np.float64) for name in ("tokens", "nats"))
                found[str(line["protocol"])] = StoryLosses(str(line["split"]), str(line["ruler"]), tokens_S, nats_S)
            except (KeyError, TypeError, ValueError) as error:
                path = self.path / "evaluations.jsonl"
                raise InputError(f"{path}: a line of stories is damaged ({error!r}); remove that line") from error
        return found

    @cached_property
    def internals(self) -> list[dict[str, Any]]:
        """The looks inside, where the recipe asked for them. Raises InputError when internals.jsonl is damaged."""
        return self.looks or list(_json_lines(self.path / "internals.jsonl"))

    def full_evals(self) -> Columns:
        """The evaluations over the whole validation split (step 0 and the end)."""
        if "full" not in self.evals:
            return {name: values[:0] for name, values in self.evals.items()}
        chosen = self.evals["full"] == 1.0
        return {name: values[chosen] for name, values in self.evals.items()}


def is_run(folder: Path) -> bool:
    """Whether `folder` holds a run.json; what is in it, `read_run` tells."""
    return (folder / "run.json").is_file()


def find_runs(folder: Path) -> list[Path]:
    """Every run folder at or below `folder`, in the order of their names."""
    if is_run(folder):
        return [folder]
    found = (path.parent for path in folder.rglob("run.json"))
    return sorted(path for path in found if not path.name.endswith(PARTIAL))  # left by a process that was killed


def read_run(folder: Path) -> Run:
    """Read one run folder.

    Raises InputError when it is missing, is not a run, or is damaged. A half-written last line (a crash while
    writing) is dropped; a damaged line anywhere else is an error.
    """
    info = read_info(folder)
    by_kind: dict[str, list[dict[str, Any]]] = {"train": [], "eval": [], "event": []}
    for line in _json_lines(folder / "metrics.jsonl"):
        by_kind.setdefault(str(line.get("kind")), []).append(line)
        if line.get("event") == "rolled_back":
            for kind in ("train", "eval"):
                by_kind[kind] = _not_given_up(by_kind[kind], [line])
    samples = _not_given_up(list(_json_lines(folder / "samples.jsonl")), by_kind["event"])
    run = Run(folder, info, to_columns(by_kind["train"]), to_columns(by_kind["eval"]), by_kind["event"], samples)
    _check_end(run)
    return run


def _not_given_up(lines: list[dict[str, Any]], events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines but for those of steps that were made again in a later attempt, after a rollback."""
    back = [each for each in events if each.get("event") == "rolled_back" and isinstance(each.get("to_step"), int)]
    if not back:
        return lines

    def given_up(line: dict[str, Any]) -> bool:
        attempt, step = line.get("attempt", 1), line.get("step", 0)
        return any(step > each["to_step"] and attempt <= each.get("attempt", 1) for each in back)

    return [line for line in lines if not given_up(line)]


def read_info(folder: Path) -> dict[str, Any]:
    """run.json of a run folder, whatever its record is worth; a run whose process is gone is `interrupted`.

    Raises InputError when it is missing, is not a run, or run.json is damaged.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} does not exist or is not a folder; give the folder of a run")
    if not is_run(folder):
        raise InputError(f"{folder} is not a run folder: it has no run.json; `fabula train` writes run folders")
    try:
        info = json.loads(_read_text(folder / "run.json"))
    except ValueError as error:
        raise InputError(f"{folder / 'run.json'} is not valid JSON ({error}); the run folder is damaged") from error
    if not isinstance(info, dict):
        raise InputError(f"{folder / 'run.json'} is not a JSON object; the run folder is damaged")
    if info.get("status") == "running" and writer_of(folder) is None:
        info["status"] = "interrupted"  # its process is gone and could not say so any more
    return info


def read_recipe_toml(folder: Path, info: Mapping[str, Any]) -> str:
    """The text of recipe.toml. Raises InputError where `info`, the run's run.json, knows another one."""
    text = _read_text(folder / "recipe.toml")
    known = [info[name] for name in ("recipe_hash", "recipe_hash_before") if info.get(name)]
    try:
        if known and toml_hash(text) not in known:
            raise InputError("it is not the recipe that the run was made with (run.json has its hash)")
    except InputError as error:
        path = folder / "recipe.toml"
        raise InputError(
            f"{path}: {error}; put the first one back, or train the changed one into a new --out"
        ) from None
    return text


def _check_end(run: Run) -> None:
    """Raise InputError where run.json says that all steps were made, and the record does not have them."""
    steps = run.info.get("steps_done")
    if run.status != "finished" or not isinstance(steps, int):
        return
    last = max((columns["step"][-1] for columns in (run.train, run.evals) if len(columns["step"])), default=0)
    if last < steps:
        raise InputError(
            f"{run.path / 'metrics.jsonl'} ends at step {int(last):,}, but run.json says that the run finished "
            f"{steps:,} steps; the record is damaged: put the file back from a copy (the model is in checkpoints/)"
        )


def to_columns(lines: list[dict[str, Any]]) -> Columns:
    """Turn lines into arrays; text fields are left out, booleans count as 0 and 1."""
    names = dict.fromkeys(
        name for line in lines for name, value in line.items() if value is None or isinstance(value, (int, float))
    )
    nan = float("nan")
    columns = {}
    for name in names:
        values = (line.get(name) for line in lines)
        columns[name] = np.array([nan if value is None else value for value in values], dtype=np.float64)
    columns.setdefault("step", np.array([], dtype=np.float64))
    return columns


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a .jsonl file; of NAME.jsonl.gz where only that is there (archived records)."""
    packed = path.with_name(path.name + ".gz")
    if not path.is_file() and packed.is_file():
        try:
            content = gzip.decompress(packed.read_bytes())
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(f"{packed} cannot be unpacked ({error}); the record is damaged") from error
    else:
        content = path.read_bytes() if path.is_file() else b""
        refuse_pointer(path, content)
    lines = content.split(b"\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            if number == len(lines):  # no newline behind it: the writer was cut off in this line
                return
            raise InputError(f"{path}, line {number}: not valid JSON ({error}); the record is damaged") from error
        if not isinstance(value, dict):
            raise InputError(f"{path}, line {number}: not a JSON object; the record is damaged")
        yield value


def _read_text(path: Path) -> str:
    try:
        refuse_pointer(path, content := path.read_bytes())
        return content.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}); the run folder is damaged") from error
