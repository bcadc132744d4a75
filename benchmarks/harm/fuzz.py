"""Mutated inputs over everything that reads: no traceback, no hang, no gigabyte. Bounded in time and seeded.

python benchmarks/harm/fuzz.py [--inputs N] [--seconds S] [--seed N] [--jobs N] [--out FILE]
    [--keep FOLDER]

Each input is drawn from its number alone, so that `--first N --inputs 1 --keep FOLDER` makes the N-th one again.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parents[1]))

from harm.asking import Answer, ask
from harm.folders import ladder_folder, run_folder
from harm.logs import Content, logs
from harm.mutations import mutated
from harm.settings import NAMES, asked, settings

REPORT_EVERY = 25
"""A page takes 20 times as long as a diagnosis: each so many inputs get one as well."""
POOL = 8
"""Healthy originals of a run and of a ladder, drawn once: they cost more than what is done with them."""
Drawn = tuple[str, Content, str]
"""What an input is called in the table, its files, and the place that is given to the command."""


@dataclass
class Found:
    """What a process has tried, and what became of it."""

    kinds: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    failures: list[dict[str, str]] = field(default_factory=list)
    slowest: float = 0.0
    peak: int = 0

    def add(self, other: Found) -> None:
        self.kinds += other.kinds
        self.answers += other.answers
        self.failures += other.failures
        self.slowest, self.peak = max(self.slowest, other.slowest), max(self.peak, other.peak)


def main() -> None:
    arguments = _arguments()
    began, numbers, found = time.monotonic(), range(arguments.first, arguments.first + arguments.inputs), Found()
    with ProcessPoolExecutor(arguments.jobs, mp_context=get_context("spawn")) as pool:
        shares = (numbers[at :: arguments.jobs] for at in range(arguments.jobs))
        for part in pool.map(_found, [arguments] * arguments.jobs, shares):
            found.add(part)
    record = {
        "seed": arguments.seed,
        "inputs": found.kinds.total(),
        "seconds": round(time.monotonic() - began),
        "slowest_seconds": round(found.slowest, 1),
        "peak_megabytes": found.peak >> 20,
        "answers": dict(sorted(found.answers.items())),
        "kinds": dict(sorted(found.kinds.items())),
        "failures": found.failures,
    }
    if arguments.out:
        arguments.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(
        f"{record['inputs']:,} inputs, {len(found.failures)} failures, slowest {found.slowest:.1f} s, "
        f"peak {found.peak >> 20} MB: {dict(found.answers)}"
    )
    sys.exit(bool(found.failures))


def _found(arguments: argparse.Namespace, numbers: range) -> Found:
    """Of the inputs of these numbers, as many as there is time for."""
    began, found, draw = time.monotonic(), Found(), _sources()
    place = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    with contextlib.chdir(place):
        _warm_up()
        for number in numbers:
            if time.monotonic() - began > arguments.seconds:
                break
            kind, tried = _tried(number, arguments.seed, draw, arguments.keep)
            found.kinds[kind] += 1
            for command, answer in tried:
                found.slowest, found.peak = max(found.slowest, answer.seconds), max(found.peak, answer.peak)
                found.answers[_outcome(answer)] += 1
                if answer.failure:
                    found.failures.append(
                        {"input": str(number), "what": f"{kind}, {command}", "failure": answer.failure}
                    )
                    print(f"{number} {kind}, {command}: {answer.failure}", flush=True)
    shutil.rmtree(place)
    return found


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="processes side by side")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--keep", type=Path, help="where inputs that fail are kept")
    given = parser.parse_args()
    given.out, given.keep = (path.resolve() if path else None for path in (given.out, given.keep))
    return given


def _sources() -> list[tuple[float, Callable[[Random], Drawn]]]:
    """Each with its share of the inputs."""
    runs, ladders = ([make(Random(at)) for at in range(POOL)] for make in (run_folder, ladder_folder))

    drawn = [settings(Random(at)) for at in range(POOL)]

    def log(random: Random) -> Drawn:
        made = logs(random)
        kind = random.choice(list(made))
        return kind, made[kind], "log" if "log" in made[kind] else "."

    def setting(random: Random) -> Drawn:
        kind = random.choice(list(NAMES))
        return kind, random.choice(drawn)[kind], "."

    return [
        (0.4, log),
        (0.2, lambda random: ("run folder", random.choice(runs), "run")),
        (0.3, setting),
        (0.1, lambda random: ("ladder", random.choice(ladders), "ladder")),
    ]


def _warm_up() -> None:
    """Libraries are loaded by the first page, and count for no input."""
    Path("log").write_text("step,loss\n" + "".join(f"{step},{3 / step}\n" for step in range(1, 50)), encoding="utf-8")
    assert ask(["report", "log", "--out", "page.html"]).code == 0


def _tried(
    number: int, seed: int, sources: list[tuple[float, Callable[[Random], Drawn]]], keep: Path | None
) -> tuple[str, list[tuple[str, Answer]]]:
    """What the input is, and the answer to each command."""
    random = Random(f"{seed}-{number}")
    (draw,) = random.choices([each for _, each in sources], [share for share, _ in sources])
    kind, content, given = draw(random)
    victim = random.choice(sorted(content))
    others = [each for name, each in content.items() if name != victim]
    content = {**content, victim: mutated(content[victim], random, others)}
    folder = Path("given")
    shutil.rmtree(folder, ignore_errors=True)
    for name, each in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(each)
    what = str(folder / given)
    if kind in NAMES:
        return kind, [("read", asked(kind, folder))]
    commands = [["diagnose", what, *(["--json"] if random.random() < 0.5 else [])]]
    if number % REPORT_EVERY == 0:
        commands.append(["report", what, "--out", "page.html"])
    found = [(command[0], ask(command)) for command in commands]
    if keep is not None and any(answer.failure for _, answer in found):
        shutil.copytree(folder, keep / f"{seed}-{number}", dirs_exist_ok=True)
    return kind, found


def _outcome(answer: Answer) -> str:
    return "failure" if answer.failure else "refused in one line" if answer.code == 2 else "read"


if __name__ == "__main__":
    os.environ.setdefault("NO_COLOR", "1")
    main()
