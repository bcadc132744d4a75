"""Whether a record has changed since it was read: asked every other second, and without reading it."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fabula.record.lock import writer_of
from fabula.record.reader import is_run

QUIET_SECONDS = 10.0
"""A log without a lock that was not written for so long has its last line whole."""
OF_A_LADDER = ("ladder.json", "plan.json", "test.json")
OF_A_RUN = (
    "run.json", "recipe.toml", "metrics.jsonl", "samples.jsonl", "evaluations.jsonl", "judgements.jsonl",
    "internals.jsonl",
)  # fmt: skip
"""The files that a page is made from, each perhaps packed (.gz). Weights, locks and notes beside them are not read."""
MOST_FILES = 10_000
"""Of a folder of logs: more are not looked at."""


@dataclass(frozen=True)
class Stamp:
    files: tuple[tuple[str, int, int, int], ...]
    """Name, inode, bytes and time of the last change: a file that was replaced or cut is another one."""
    written: bool
    """Whether somebody is writing it: of a run its lock says so, of a log its last change."""


def stamp_of(path: Path) -> Stamp:
    """Of a run folder, of a file, or of a folder of logs; empty where nothing is."""
    if is_run(path):
        there = [each for name in OF_A_RUN for each in (path / name, path / f"{name}.gz")]
        return Stamp(tuple(_stats(there)), writer_of(path) is not None)
    files = tuple(_stats(_below(path) if path.is_dir() else [path]))
    newest = max((changed for *_, changed in files), default=0)
    return Stamp(files, time.time() - newest / 1e9 < QUIET_SECONDS)


def _below(folder: Path) -> list[Path]:
    found: list[Path] = []
    for here, _, names in os.walk(folder):
        found += [Path(here, name) for name in names]
        if len(found) > MOST_FILES:
            break
    return sorted(found)[:MOST_FILES]


def _stats(paths: list[Path]) -> Iterator[tuple[str, int, int, int]]:
    for path in paths:
        try:
            stat = path.stat()
        except OSError:
            continue
        yield str(path), stat.st_ino, stat.st_size, stat.st_mtime_ns
