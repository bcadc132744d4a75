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
APPENDED = ("metrics", "evaluations", "judgements")
LARGEST_PLAIN_BYTES = 20_000
"""A longer NAME.jsonl is packed; the reader takes NAME.jsonl.gz as well."""


def keep_run(run: Path, kept: Path) -> None:
    kept.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        shutil.copyfile(run / name, kept / name)
    for name in APPENDED:
        content = (run / f"{name}.jsonl").read_bytes() if (run / f"{name}.jsonl").is_file() else b""
        plain, packed = kept / f"{name}.jsonl", kept / f"{name}.jsonl.gz"
        plain.unlink(missing_ok=True)
        packed.unlink(missing_ok=True)
        if len(content) > LARGEST_PLAIN_BYTES:
            # Without a time stamp, so that keeping the same record twice gives the same file.
            packed.write_bytes(gzip.compress(content, mtime=0))
        elif content:
            plain.write_bytes(content)


def main(source: Path, kept: Path) -> None:
    for run in find_runs(source):
        keep_run(run, kept / run.relative_to(source))
    for name in ("ladder.json", "report.md"):
        if (source / name).is_file():
            shutil.copyfile(source / name, kept / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
