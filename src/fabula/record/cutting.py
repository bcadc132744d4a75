"""Cutting the record of a run back to a checkpoint, also one that has not what the checkpoint counts on.

After a crash the record is longer than the checkpoint says, and its tail is set aside. After a power cut on a file
system that syncs in another order, or a bad copy, it may be shorter, or lines of it may be no JSON: then what can be
read is kept, and what is lost is named.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fabula.record.content.parsing import json_value
from fabula.record.files import sync_folder, write_bytes
from fabula.record.sessions.evaluations import without_added
from fabula.record.wording import plural


@dataclass(frozen=True)
class Loss:
    """What of a stream a checkpoint counts on, and is not there."""

    stream: str
    missing_bytes: int
    """By which the stream is shorter than the checkpoint says."""
    unreadable_lines: int
    last_step: int
    """Of the last line that is left; 0 where none is."""
    to_step: int
    """The checkpoint's."""

    @property
    def told(self) -> str:
        """`metrics.jsonl is 3,100 bytes shorter than at step 12: what it said of steps 5 to 12 is lost`."""
        missing, unreadable, at = self.missing_bytes, self.unreadable_lines, f"step {self.to_step:,}"
        parts = [f"is {plural(missing, 'byte')} shorter than at {at}"] if missing else []
        parts += [f"has {plural(unreadable, 'line')} up to {at} that cannot be read"] if unreadable else []
        parts = parts or [f"is not what it was at {at}"]
        lost = ""
        if self.stream == "metrics" and self.last_step < self.to_step:
            lost = f": what it said of steps {self.last_step + 1:,} to {self.to_step:,} is lost"
        return f"{self.stream}.jsonl {' and '.join(parts)}{lost}"


def cut_back(path: Path, offset: int, step: int | None, digest: str | None = None) -> Loss | None:
    """Keep what `path` held at the checkpoint of `step`, its first `offset` bytes; append the rest to
    NAME.discarded.jsonl. Where it does not hold them, keep each line that can be read up to `step`, and say what is
    lost. `digest`: sha256 of those bytes, where the checkpoint knows it. What `fabula evaluate` added of that
    checkpoint or an earlier one stays as well: the training makes nothing of it again."""
    content = path.read_bytes() if path.exists() else b""
    kept, aside, loss = content[:offset], content[offset:], None
    if digest is not None:
        whole = hashlib.sha256(kept).hexdigest() == digest
    else:
        whole = step is None or _is_whole(kept, offset, step)
    if step is not None and not whole:
        kept, aside, unreadable, last = _readable(content, step)
        loss = Loss(path.stem, max(0, offset - len(content)), unreadable, last, step)
    stay, others = without_added(aside.splitlines(keepends=True), step)
    kept, aside = kept + b"".join(stay), b"".join(others)
    if aside:
        with open(path.with_name(f"{path.stem}.discarded.jsonl"), "ab") as discarded:
            discarded.write(aside if aside.endswith(b"\n") else aside + b"\n")  # the last line may be cut off
            discarded.flush()
            os.fsync(discarded.fileno())
        sync_folder(path.parent)  # before the only other copy goes
    if not content.startswith(kept):
        write_bytes(path, kept)
    elif kept != content:
        os.truncate(path, len(kept))
    return loss


def _is_whole(kept: bytes, offset: int, step: int) -> bool:
    """Whether the first `offset` bytes are lines up to `step`, and no more."""
    if len(kept) < offset or (kept and not kept.endswith(b"\n")):
        return False
    lines = [_parsed(line) for line in kept.split(b"\n")[:-1] if line.strip()]
    return all(line is not None for line in lines) and (not lines or _step_of(lines[-1]) <= step)


def _readable(content: bytes, step: int) -> tuple[bytes, bytes, int, int]:
    """The lines up to the last one of `step` or before, without those that cannot be read; the others; how many of
    those before cannot be read, and the step of the last one kept."""
    lines = content.splitlines(keepends=True)
    parsed = [_parsed(line) if line.endswith(b"\n") else None for line in lines]
    good = [index for index, line in enumerate(parsed) if line is not None and _step_of(line) <= step]
    end = good[-1] + 1 if good else 0
    keep = [index for index in range(end) if parsed[index] is not None]
    unreadable = [index for index in range(end) if parsed[index] is None]
    aside = b"".join(lines[index] for index in (*unreadable, *range(end, len(lines))))
    last = max((_step_of(parsed[index]) for index in keep), default=0)
    return b"".join(lines[index] for index in keep), aside, len(unreadable), min(last, step)


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        value = json_value(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _step_of(line: dict[str, Any] | None) -> int:
    step = (line or {}).get("step")
    return step if isinstance(step, int) else 0
