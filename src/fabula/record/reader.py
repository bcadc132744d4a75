"""Reading a run folder, without torch and without trusting it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from fabula.errors import InputError
from fabula.record.content.columns import Columns, joined, refuse_uncounted, to_columns
from fabula.record.content.lines import blocks_of_objects
from fabula.record.content.parsing import json_value
from fabula.record.content.shape import EVENT, LOOK, RUN, SAMPLE, STORIES, Shape, misfit, refuse_misfits
from fabula.record.files import PARTIAL, refuse_pointer, sha256_of, toml_hash
from fabula.record.lock import writer_of
from fabula.record.sessions.evaluations import NAME as EVALUATIONS
from fabula.record.sessions.evaluations import Session, is_as_written, read_sessions

MOST_KEPT = 1 << 27
"""Bytes of a file whose lines are all kept as they are: 128 MB, with which Python's objects stay below a gigabyte."""
EMPTY = hashlib.sha256().hexdigest()
"""Of a file without content, which need not be kept."""


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
        path = self.path / "evaluations.jsonl"
        lines = [line for line in _kept(path, {}, ()) if line.get("kind") == "stories"]
        refuse_misfits(f"{path}, lines of stories", lines, STORIES, ("protocol", "split", "ruler", "tokens", "nats"))
        return {line["protocol"]: _story_losses(path, line) for line in lines}

    @cached_property
    def sessions(self) -> list[Session]:
        """What `fabula evaluate` added: completions with their measures. Raises InputError where it is damaged."""
        return read_sessions(self.path / "evaluations.jsonl", MOST_KEPT)

    @cached_property
    def internals(self) -> list[dict[str, Any]]:
        """The looks inside, where the recipe asked for them. Raises InputError when internals.jsonl is damaged."""
        return self.looks or _kept(self.path / "internals.jsonl", LOOK, ("step",))

    def full_evals(self) -> Columns:
        """The evaluations over the whole validation split (step 0 and the end)."""
        if "full" not in self.evals:
            return {name: values[:0] for name, values in self.evals.items()}
        chosen = self.evals["full"] == 1.0
        return {name: values[chosen] for name, values in self.evals.items()}


def _story_losses(path: Path, line: dict[str, Any]) -> StoryLosses:
    tokens_S, nats_S = (np.array(line[name], np.float64) for name in ("tokens", "nats"))
    if len(tokens_S) != len(nats_S):
        raise InputError(
            f"{path}: of {line['protocol']} it has {len(tokens_S)} tokens and {len(nats_S)} nats; the record is damaged"
        )
    return StoryLosses(line["split"], line["ruler"], tokens_S, nats_S)


def is_run(folder: Path) -> bool:
    """Whether `folder` holds a run.json; what is in it, `read_run` tells."""
    return (folder / "run.json").is_file()


def is_of_others(folder: Path) -> bool:
    """Whether a loop that is not fabula's wrote the run there (`fabula.Record`): a log in a run folder. What is damaged
    is told where it is read."""
    try:
        return "log_format" in read_info(folder)
    except InputError:
        return False


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
    train, evals, events = _metrics(folder / "metrics.jsonl", own="log_format" not in info)
    back = [each for each in events if each["event"] == "rolled_back" and each.get("to_step") is not None]
    samples = _kept(folder / "samples.jsonl", SAMPLE, ("step",))
    samples = [each for each in samples if not given_up(each["step"], each.get("attempt") or 1, back)]
    run = Run(folder, info, _of_last_attempts(train, back), _of_last_attempts(evals, back), events, samples)
    _check_end(run)
    _check_hashes(run)
    return run


def _of_last_attempts(columns: Columns, back: list[dict[str, Any]]) -> Columns:
    """The lines but for those of steps that were made again in a later attempt, after a rollback (`back`)."""
    if not back:
        return columns
    attempts = np.nan_to_num(columns.get("attempt", np.ones(len(columns["step"]))), nan=1.0)
    keep = np.array([not given_up(*each, back) for each in zip(columns["step"], attempts, strict=True)], dtype=bool)
    return {name: values[keep] for name, values in columns.items()}


def given_up(step: float, attempt: float, back: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a line of `step` was made again later, after one of the rollbacks `back`."""
    return any(step > each["to_step"] and attempt <= (each.get("attempt") or 1) for each in back)


def read_info(folder: Path) -> dict[str, Any]:
    """run.json of a run folder, whatever its record is worth; a run whose process is gone is `interrupted`.

    Raises InputError when it is missing, is not a run, or run.json is damaged.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} does not exist or is not a folder; give the folder of a run")
    if not is_run(folder):
        raise InputError(f"{folder} is not a run folder: it has no run.json; `fabula train` writes run folders")
    try:
        info = json_value(_read_text(folder / "run.json"))
    except ValueError as error:
        raise InputError(f"{folder / 'run.json'} is not valid JSON ({error}); the run folder is damaged") from error
    if not isinstance(info, dict):
        raise InputError(f"{folder / 'run.json'} is not a JSON object; the run folder is damaged")
    if wrong := misfit(info, RUN):
        raise InputError(f"{folder / 'run.json'}: {wrong}; the run folder is damaged")
    if info.get("status") == "running" and writer_of(folder) is None:
        info["status"] = "interrupted"  # its process is gone and could not say so any more
    return info


def read_recipe_toml(folder: Path, info: Mapping[str, Any]) -> str:
    """The text of recipe.toml. Raises InputError where `info`, the run's run.json, knows another one."""
    if "log_format" in info:
        raise InputError(
            f"{folder} was recorded by a loop that is not fabula's, and has no recipe; go on with that loop"
        )
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
    last = max((columns["step"].max() for columns in (run.train, run.evals) if len(columns["step"])), default=0)
    if last < steps:
        raise InputError(
            f"{run.path / 'metrics.jsonl'} ends at step {int(last):,}, but run.json says that the run finished "
            f"{steps:,} steps; the record is damaged: put the file back from a copy (the model is in checkpoints/)"
        )


def _check_hashes(run: Run) -> None:
    """Raise InputError where a file of a finished run is not what the run wrote. (One that goes on has its checkpoints,
    which know; a packed file has a checksum of its own.)"""
    known = run.info.get("record_hashes")
    if run.status != "finished" or not isinstance(known, dict):
        return
    for stream, digest in known.items():
        path = run.path / f"{stream}.jsonl"
        if path.is_file():
            whole = sha256_of(path) == digest or (path.name == EVALUATIONS and is_as_written(path.read_bytes(), digest))
        else:
            whole = path.with_name(f"{path.name}.gz").is_file() or digest == EMPTY
        if not whole:
            raise InputError(f"{path} is not what the run wrote (run.json has its hash); put it back from a copy")


def _metrics(path: Path, own: bool = True) -> tuple[Columns, Columns, list[dict[str, Any]]]:
    """Updates, evaluations and events. Of a million lines, only a block at a time is more than its numbers. Of a record
    that is not fabula's own, where a line may lack what another has, infinity stands for what is not finite."""
    parts: dict[str, list[Columns]] = {"train": [], "eval": []}
    events: list[dict[str, Any]] = []
    for lines in blocks_of_objects(path):
        chosen: dict[str, list[dict[str, Any]]] = {"train": [], "eval": [], "event": events}
        if [line.get("kind") for line in lines].count("train") == len(lines):  # as nearly all blocks are
            chosen["train"] = lines
        else:
            for line in lines:
                if isinstance(kind := line.get("kind"), str) and kind in chosen:
                    chosen[kind].append(line)
        for kind, columns in parts.items():
            if chosen[kind]:
                columns.append(own_columns(chosen[kind], f"{path}, lines of kind {kind}"))
                if not own:
                    _mark_lost(columns[-1], chosen[kind])
    refuse_misfits(f"{path}, lines of kind event", events, EVENT, ("step", "event"))
    return joined(parts["train"]), joined(parts["eval"]), events


def _mark_lost(columns: Columns, lines: list[dict[str, Any]]) -> None:
    for place, line in enumerate(lines):
        names = line.get("non_finite")
        for name in names if isinstance(names, list) else ():
            if isinstance(name, str) and name in columns:
                columns[name][place] = np.inf


def own_columns(lines: list[dict[str, Any]], where: str) -> Columns:
    """The columns of lines that fabula wrote: each has a step. Raises InputError where one has not."""
    columns = to_columns(lines, where)
    refuse_uncounted(columns, len(lines), where)
    return columns


def _kept(path: Path, shape: Shape, needs: tuple[str, ...]) -> list[dict[str, Any]]:
    """Every object of a file, each checked."""
    lines = [line for block in blocks_of_objects(path, MOST_KEPT) for line in block]
    refuse_misfits(f"{path}, lines", lines, shape, needs)
    return lines


def _read_text(path: Path) -> str:
    try:
        refuse_pointer(path, content := path.read_bytes())
        return content.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}); the run folder is damaged") from error
