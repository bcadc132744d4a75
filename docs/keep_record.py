"""Keeps the small files of a run, or of a ladder's runs, under docs/: what a report needs, without weights.

python docs/keep_record.py RUN_OR_LADDER docs/runs/NAME
"""

from __future__ import annotations

import gzip
import shutil
import sys
from pathlib import Path

from fabula.record.reader import find_runs

COPIED = ("run.json", "recipe.toml", "samples.jsonl")
LARGEST_PLAIN_BYTES = 200_000
"""A longer metrics.jsonl is packed; the reader takes metrics.jsonl.gz as well."""


def keep_run(run: Path, kept: Path) -> None:
    kept.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        shutil.copyfile(run / name, kept / name)
    metrics = (run / "metrics.jsonl").read_bytes()
    for name in ("metrics.jsonl", "metrics.jsonl.gz"):
        (kept / name).unlink(missing_ok=True)
    if len(metrics) <= LARGEST_PLAIN_BYTES:
        (kept / "metrics.jsonl").write_bytes(metrics)
    else:
        # Without a time stamp, so that keeping the same record twice gives the same file.
        (kept / "metrics.jsonl.gz").write_bytes(gzip.compress(metrics, mtime=0))


def main(source: Path, kept: Path) -> None:
    for run in find_runs(source):
        keep_run(run, kept / run.relative_to(source))
    for name in ("ladder.json", "report.md"):
        if (source / name).is_file():
            shutil.copyfile(source / name, kept / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
