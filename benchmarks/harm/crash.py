"""What is promised of runs and of prepared stories, tried by force. Bounded in time and seeded.

python benchmarks/harm/crash.py [--seconds S] [--kills N] [--trials N] [--rows TEXT] [--seed N] [--first N] [--out FILE]

Each row is one promise with its trials and failures. The next trial is one of the row that has had the least time, so
that every one has its share of it. A failure names its row and number: `--rows TEXT --first NUMBER` tries it again.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path
from random import Random

os.environ["OMP_NUM_THREADS"] = "1"  # before torch: a fork of a process with threads may stand still
sys.path.insert(0, str(Path(__file__).parents[1]))

from harm.trials import failing, flips, forked, kills, limits, power, signals
from harm.trials.place import Trial, set_up

DISK = "a disk that is full: words and no traceback, training goes on when there is room"
ROWS: dict[str, Trial] = {
    "SIGKILL while training, again and again: it ends bit by bit as if nothing had happened": kills.training,
    "SIGKILL while preparing: the folder is whole or absent, and the next call makes it": kills.preparation,
    "SIGKILL while exporting: the folder is whole or absent": kills.export,
    "SIGKILL while reporting: the page is whole or absent": kills.report,
    **power.ROWS,
    "files may not grow: words and no traceback, training goes on later": limits.full,
    **({DISK: limits.small_disk} if limits.can_mount() else {}),
    "too many open files: words and no traceback": limits.descriptors,
    "a disk that fails (EIO): words and no traceback, training goes on later": failing.disk,
    "memory that is too small: words and no traceback": limits.memory,
    "SIGTERM, SIGINT, SIGHUP, SIGUSR1, once or twice: its exit code, nothing half-written": signals.commands,
    "SIGUSR1 to a training: it goes on and ends as if nothing had happened": signals.checkpoint_now,
    "two processes on one run: one is refused": kills.two_writers,
    "flipped bits in a run: said, or harmless": flips.run,
    "flipped bits in prepared stories: said, or harmless": flips.stories,
    # Last, since each takes as long as many of the others together.
    "SIGKILL of a ladder with two workers: none trains on, the next call ends as if nothing had happened": kills.ladder(
        "parent"
    ),
    "SIGKILL of a worker of a ladder: said, and the next call ends as if nothing had happened": kills.ladder("worker"),
    "signals to a ladder with two workers: its exit code, none trains on, the next call ends it": signals.ladder,
}


def main() -> None:
    arguments = _arguments()
    chosen = {name: trial for name, trial in ROWS.items() if re.search(arguments.rows, name)}
    rows = {name: {"trials": 0, "failures": 0, "kills": 0, "seconds": 0.0, "told": list[str]()} for name in chosen}
    if DISK not in ROWS:
        print(f"left out, since nothing may be mounted here: {DISK}")
    place, began = Path(tempfile.mkdtemp()), time.monotonic()
    with contextlib.chdir(place):
        set_up()
        while True:
            left = [name for name in chosen if rows[name]["trials"] < arguments.trials]
            if time.monotonic() - began > arguments.seconds:
                left = [name for name in left if "SIGKILL" in name and forked.killed < arguments.kills]
            if not left:
                break
            name = min(left, key=lambda each: rows[each]["seconds"])
            _try(chosen[name], name, rows[name], arguments)
    shutil.rmtree(place)
    record = {
        "seed": arguments.seed,
        "seconds": round(time.monotonic() - began),
        "kills": forked.killed,
        "rows": {name: {**row, "seconds": round(row["seconds"])} for name, row in rows.items()},
    }
    if arguments.out:
        arguments.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    for name, row in rows.items():
        print(f"{row['trials']:>6} trials {row['kills']:>5} kills {row['failures']:>4} failures  {name}")
    sys.exit(any(row["failures"] for row in rows.values()))


def _try(trial: Trial, name: str, row: dict, arguments: argparse.Namespace) -> None:
    number, before, began = arguments.first + row["trials"], forked.killed, time.monotonic()
    wrong = trial(Random(f"{arguments.seed}-{name}-{number}"))
    row["trials"] += 1
    row["kills"] += forked.killed - before
    row["seconds"] += time.monotonic() - began
    if wrong:
        row["failures"] += 1
        row["told"] = [*row["told"], f"{number}: {wrong}"][:5]
        print(f"{name}, {number}: {wrong}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--kills", type=int, default=0, help="then go on until so many processes were killed")
    parser.add_argument("--trials", type=float, default=float("inf"), help="so many of each row at most")
    parser.add_argument("--rows", default="", help="only the rows whose names this expression finds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="the number of the first trial of each row")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    given.out = given.out.resolve() if given.out else None
    return given


if __name__ == "__main__":
    main()
