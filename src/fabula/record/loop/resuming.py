"""Where a record that goes on is cut: what it holds of the first new step, and of later ones, is made again."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fabula.errors import InputError
from fabula.record.content.parsing import json_value
from fabula.record.content.shape import count_or_zero
from fabula.record.reader import given_up, is_run, read_info
from fabula.record.writer import STREAMS


@dataclass
class Kept:
    """What the part that is kept had come to."""

    seconds: float = 0.0
    attempt: int = 1
    num_lines: int = 0
    num_evaluations: int = 0
    are_texts: dict[tuple[str, str], bool] = field(default_factory=dict)
    """Of a kind of line and a name in it, whether its values are texts: the others are numbers."""
    steps: list[int] = field(default_factory=list)
    """Of updates and evaluations, without those that were given up in a rollback."""

    @property
    def last_step(self) -> int:
        return max(self.steps, default=0)

    def add(self, line: dict[str, Any]) -> None:
        self.num_lines += 1
        if _goes_back(line):
            self.attempt = max(self.attempt, _attempt(line) + 1)
            self.steps = [step for step in self.steps if step <= line["to_step"]]
        if (kind := line.get("kind")) not in ("train", "eval"):
            return
        self.num_evaluations += kind == "eval"
        self.steps.append(count_or_zero(line.get("step")))
        self.attempt = max(self.attempt, _attempt(line))
        if isinstance(seconds := line.get("seconds"), (int, float)):
            self.seconds = float(seconds)
        for name, value in line.items():
            if value is not None:
                self.are_texts[kind, name] = isinstance(value, str)


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


def ends_of(folder: Path) -> tuple[dict[str, int], Kept]:
    """Bytes of each stream up to its last whole line."""
    return place_of(folder, None, 0)


def place_of(folder: Path, kind: str | None, step: int) -> tuple[dict[str, int], Kept]:
    """Bytes of each stream that come before a line of `kind` at `step`, and what they had come to.

    Steps that were given up in a rollback are no reason to cut: what came after it is kept.
    """
    back = [
        {"to_step": line["to_step"], "attempt": _attempt(line)}
        for line, _ in _whole_lines(folder / "metrics.jsonl")
        if _goes_back(line)
    ]
    offsets, kept = {}, Kept()
    for stream in STREAMS:
        offsets[stream] = 0
        for line, end in _whole_lines(folder / f"{stream}.jsonl"):
            at = count_or_zero(line.get("step"))
            is_made_again = kind is not None and (at > step or (at == step and not _precedes(line, kind)))
            if is_made_again and not given_up(at, _attempt(line), back):
                break
            offsets[stream] = end
            kept.add(line)
    return offsets, kept


def _goes_back(line: dict[str, Any]) -> bool:
    return line.get("event") == "rolled_back" and isinstance(line.get("to_step"), (int, float))


def _attempt(line: dict[str, Any]) -> int:
    return max(1, count_or_zero(line.get("attempt")))


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
