"""What is added to RUN/evaluations.jsonl after the training: completions of prompt sets, and what was said of them.

The training's own lines (`stories`) come first, and run.json has their hash; `fabula evaluate` appends behind them,
whole sessions at a time. docs/run-folder.md tells the fields.
"""

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fabula.errors import InputError
from fabula.record.content.lines import blocks_of_objects
from fabula.record.content.parsing import json_value
from fabula.record.content.shape import (
    COUNT,
    FLAG,
    NUMBER,
    OBJECT,
    TEXT,
    Kind,
    Shape,
    list_of,
    or_null,
    refuse_misfits,
    table_of,
)
from fabula.record.files import sync_folder

NAME = "evaluations.jsonl"
ADDED = ("completion", "session")
"""Kinds of the lines that are not the training's own. A session's completions come before the line of the session, so
that one without it was cut off while it was written."""
STRETCH = Kind("the places of two letters", lambda value: list_of(COUNT).fits(value) and len(value) == 2)
COMPLETION: Shape = {
    **dict.fromkeys(("session", "prompt_set", "prompt", "text"), TEXT),
    **dict.fromkeys(("step", "number", "seed", "tokens"), COUNT),
    **dict.fromkeys(("human", "ended"), FLAG),
    "measures": table_of(or_null(NUMBER)),
    "copied": list_of(STRETCH),
}
SESSION: Shape = {
    "session": TEXT,
    "step": COUNT,
    **dict.fromkeys(("settings", "prompt_sets", "hashes", "versions", "summary"), OBJECT),
}


@dataclass(frozen=True)
class Session:
    """One call of `fabula evaluate`: its settings, and its completions in their order."""

    info: dict[str, Any]
    completions: tuple[dict[str, Any], ...]

    @property
    def step(self) -> int:
        return int(self.info["step"])


def read_sessions(path: Path, most_bytes: int) -> list[Session]:
    """The whole sessions of an evaluations.jsonl, the oldest first. Raises InputError where it is damaged."""
    lines = [line for block in blocks_of_objects(path, most_bytes) for line in block]
    completions = [line for line in lines if line.get("kind") == "completion"]
    infos = [line for line in lines if line.get("kind") == "session"]
    needs = ("session", "step", "prompt_set", "prompt", "text", "number", "human")
    refuse_misfits(f"{path}, lines of completions", completions, COMPLETION, needs)
    refuse_misfits(f"{path}, lines of sessions", infos, SESSION, ("session", "step"))
    of: dict[str, list[dict[str, Any]]] = {}
    for line in completions:
        of.setdefault(line["session"], []).append(line)
    return [Session(info, tuple(of.get(info["session"], ()))) for info in infos]


def refuse_packed(run: Path) -> None:
    """Raise InputError where the file is packed: lines would be added beside it."""
    path = run / NAME
    if not path.is_file() and path.with_name(f"{NAME}.gz").is_file():
        raise InputError(f"{path}.gz is packed, and nothing can be added to it; unpack it first: gunzip {path}.gz")


def append_lines(run: Path, lines: Iterable[str]) -> None:
    """Add lines to RUN/evaluations.jsonl in one piece. What a killed writer left of a last line goes first."""
    path = run / NAME
    with open(path, "a+b") as file:
        file.seek(0)
        content = file.read()
        if content and not content.endswith(b"\n"):
            file.truncate(content.rfind(b"\n") + 1)
        file.write("".join(lines).encode())
        file.flush()
        os.fsync(file.fileno())
    sync_folder(run)


def is_as_written(content: bytes, digest: str) -> bool:
    """Whether `content` is what the training wrote, whose sha256 is `digest`, but for what was added behind it. The
    last line of that may have been cut off."""
    lines = content.splitlines(keepends=True)
    if lines and not lines[-1].endswith(b"\n"):
        lines.pop()
    first_added = len(lines)
    while first_added and is_added(lines[first_added - 1]):
        first_added -= 1
    so_far = hashlib.sha256(b"".join(lines[:first_added]))
    for line in lines[first_added:]:
        if so_far.hexdigest() == digest:
            return True
        so_far.update(line)
    return so_far.hexdigest() == digest


def is_added(line: bytes, up_to_step: int | None = None) -> bool:
    """Whether a line was added after the training, of a checkpoint of at most `up_to_step`."""
    if not line.endswith(b"\n") or not any(kind.encode() in line for kind in ADDED):
        return False
    try:
        value = json_value(line)
    except ValueError:
        return False
    if not isinstance(value, dict) or value.get("kind") not in ADDED:
        return False
    step = value.get("step")
    return up_to_step is None or (isinstance(step, int) and step <= up_to_step)


def without_added(lines: Sequence[bytes], up_to_step: int | None) -> tuple[list[bytes], list[bytes]]:
    """`lines` apart: those that were added and stay whatever the training does next, and the others."""
    stay = [line for line in lines if is_added(line, up_to_step)]
    kept = set(map(id, stay))
    return stay, [line for line in lines if id(line) not in kept]
