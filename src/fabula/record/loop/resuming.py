"""Where a record that goes on is cut: what it holds of the first new step, and of later ones, is made again."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fabula.errors import InputError
from fabula.record.content.parsing import json_value
from fabula.record.content.shape import count_or_zero
from fabula.record.reader import is_run, read_info
from fabula.record.writer import STREAMS


@dataclass(frozen=True)
class Last:
    """What the part that is kept had come to."""

    step: int = 0
    seconds: float = 0.0
    attempt: int = 1


def stored_info(folder: Path, form: str) -> dict[str, Any] | None:
    """run.json of the run that goes on; None where there is none yet, so that one call begins and goes on.

    Raises InputError for a run that a program of another kind wrote.
    """
    if not is_run(folder):
        return None
    info = read_info(folder)
    if info.get("log_format") != form:
        raise InputError(
            f"{folder} is a run of `fabula train`, which `fabula train --resume` goes on with; choose another folder"
        )
    return info


def ends_of(folder: Path) -> tuple[dict[str, int], Last]:
    """Bytes of each stream up to its last whole line."""
    return place_of(folder, None, 0)


def place_of(folder: Path, kind: str | None, step: int) -> tuple[dict[str, int], Last]:
    """Bytes of each stream that come before a line of `kind` at `step`, and what they had come to."""
    offsets, last = {}, Last()
    for stream in STREAMS:
        offsets[stream] = 0
        for line, end in _whole_lines(folder / f"{stream}.jsonl"):
            at = count_or_zero(line.get("step"))
            if kind is not None and (at > step or (at == step and not _precedes(line, kind))):
                break
            offsets[stream] = end
            if line.get("kind") in ("train", "eval"):
                seconds = line.get("seconds")
                last = Last(
                    max(last.step, at),
                    float(seconds) if isinstance(seconds, (int, float)) else last.seconds,
                    max(last.attempt, count_or_zero(line.get("attempt"))),
                )
    return offsets, last


def _precedes(line: dict[str, Any], kind: str) -> bool:
    """Of one step: its update comes before its evaluation, and both before what is told of it."""
    order = ["train", "eval", "event", "sample"]
    own = str(line.get("kind", "sample"))
    return own in order and order.index(own) < order.index(kind)


def _whole_lines(path: Path) -> Iterator[tuple[dict[str, Any], int]]:
    """Each line that can be read, with the place behind it; the half line of a crash ends it."""
    end = 0
    for raw in path.read_bytes().splitlines(keepends=True) if path.is_file() else []:
        end += len(raw)
        try:
            line = json_value(raw) if raw.endswith(b"\n") else None
        except ValueError:
            return
        if not isinstance(line, dict):
            return
        yield line, end
