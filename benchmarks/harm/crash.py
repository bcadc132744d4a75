"""What is promised of runs and of prepared stories, tried by force. Bounded in time and seeded.

python benchmarks/harm/crash.py [--seconds S] [--seed N] [--out FILE]

Each row is one promise with its trials and failures. The rows take turns, so that every one has its share of the time.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

os.environ["OMP_NUM_THREADS"] = "1"  # before torch: a fork of a process with threads may stand still
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from harm.forked import forked, start

from fabula.data.dataset import open_dataset
from fabula.data.prepare import prepare
from fabula.errors import InputError
from fabula.findings import diagnose
from fabula.model.load import read_weights
from fabula.recipe.schema import Recipe
from fabula.recipe.toml import to_toml
from fabula.record.checkpoint import read_checkpoint
from fabula.record.reader import read_run

STEPS = 40
TRAIN = ["train", "tiny.toml", "--data", "stories", "--out"]
TREE = {
    "name": "tiny", "tokenizer": "bpe:300", "steps": STEPS, "schedule": {"peak": 1e-2, "floor": 1e-3, "warmup": 3},
    "model": {"layers": 1, "width": 16, "heads": 2, "context": 32, "positions": "rope", "norm": "rmsnorm",
              "feed_forward": "swiglu", "head_bias": False, "embedding_scale": "one", "feed_forward_bias": False},
    "batch": {"rows": 4}, "compute": {"precision": "float32", "compile": "off"},
    "evaluation": {"every": 10, "prompts": ["A fox"], "sample_tokens": 4}, "checkpoint": {"every": 4, "keep": 0},
}  # fmt: skip
Trial = Callable[[Random], str]
"""A trial returns what went wrong; empty where nothing did."""


def main() -> None:
    arguments = _arguments()
    place = Path(tempfile.mkdtemp())
    rows = {name: {"trials": 0, "failures": 0, "told": list[str]()} for name in ROWS}
    with contextlib.chdir(place):
        _set_up()
        began, number = time.monotonic(), 0
        while time.monotonic() - began < arguments.seconds:
            for name, trial in ROWS.items():
                wrong = trial(Random(f"{arguments.seed}-{name}-{number}"))
                rows[name]["trials"] += 1
                if wrong:
                    rows[name]["failures"] += 1
                    rows[name]["told"] = [*rows[name]["told"], f"{number}: {wrong}"][:5]
                    print(f"{name}, {number}: {wrong}", flush=True)
            number += 1
    shutil.rmtree(place)
    record = {"seed": arguments.seed, "seconds": round(time.monotonic() - began), "rows": rows}
    if arguments.out:
        arguments.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    for name, row in rows.items():
        print(f"{row['trials']:>6} trials {row['failures']:>4} failures  {name}")
    sys.exit(any(row["failures"] for row in rows.values()))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    given.out = given.out.resolve() if given.out else None
    return given


def _set_up() -> None:
    """Stories, a run that nothing happened to, and how long it takes."""
    prepare("grammar", Path("stories"), tokenizer="bpe:300", validation="0.2", limit=60)
    Path("tiny.toml").write_text(to_toml(Recipe.from_tree(TREE).as_tree()), encoding="utf-8")
    ended = forked([*TRAIN, "whole"], Path("log"))
    assert ended.code == 0, ended.said
    Path("seconds").write_text(str(ended.seconds), encoding="utf-8")


def _seconds() -> float:
    return float(Path("seconds").read_text(encoding="utf-8"))


def _fresh(*names: str) -> None:
    for name in names:
        for path in Path().glob(f"*{name}*"):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def killed_training(random: Random) -> str:
    _fresh("killed")
    for _ in range(30):
        again = Path("killed", "run.json").is_file()
        ended = forked(
            [*TRAIN, "killed", "--resume"] if again else [*TRAIN, "killed"],
            Path("log"),
            random.uniform(0.01, _seconds()),
        )
        if ended.code == 0:
            return _differs(Path("killed"))
        if ended.code != -9:
            return _last(ended.said)
    ended = forked([*TRAIN, "killed", "--resume"], Path("log"))
    return _differs(Path("killed")) if ended.code == 0 else _last(ended.said)


def _differs(folder: Path) -> str:
    """In what a run is not the one that nothing happened to, bit by bit."""
    mine, whole = read_run(folder), read_run(Path("whole"))
    for name in ("step", "loss", "grad_norm", "learning_rate"):
        if not np.array_equal(mine.train[name], whole.train[name], equal_nan=True):
            return f"{name} differs"
    one, other = (read_weights(read_checkpoint(each).model) for each in (folder, Path("whole")))
    return "" if all((one[name] == other[name]).all() for name in other) else "the weights differ"


def killed_preparation(random: Random) -> str:
    _fresh("fresh")
    command = ["prepare", "grammar", "--limit", "60", "--tokenizer", "bpe:300", "--out", "fresh"]
    forked(command, Path("log"), random.uniform(0.01, 1.0))
    there = Path("fresh").exists()
    ended = forked(command, Path("log"))
    if ended.code != 0 and not there:
        return _last(ended.said)
    open_dataset(Path("fresh"))
    return "litter is left" if list(Path().glob(".fresh*partial")) else ""


def killed_export(random: Random) -> str:
    _fresh("out")
    command = ["export", "whole", "--to", "hf", "--out", "out"]
    forked(command, Path("log"), random.uniform(0.01, 0.5))
    if Path("out").exists():
        return "" if (Path("out") / "config.json").is_file() and read_weights(Path("out/model.safetensors")) else "half"
    ended = forked(command, Path("log"))
    return "" if ended.code == 0 else _last(ended.said)


def killed_report(random: Random) -> str:
    _fresh("page")
    forked(["report", "whole", "--out", "page.html"], Path("log"), random.uniform(0.01, 2.0))
    for name in ("page.html", "page.md"):
        if Path(name).exists() and not Path(name).read_text(encoding="utf-8").endswith("\n"):
            return f"half of {name}"
    return ""


def limited(which: int, least: int, most: int) -> Trial:
    """Any command under a limit: done, or refused in words, and what it had written before is sound."""

    def trial(random: Random) -> str:
        _fresh("limited")
        command = random.choice(
            [
                [*TRAIN, "limited"],
                ["export", "whole", "--to", "hf", "--out", "limited"],
                ["report", "whole", "--out", "limited.html"],
                ["prepare", "grammar", "--limit", "60", "--tokenizer", "bpe:300", "--out", "limited"],
                ["diagnose", "whole"],
            ]
        )
        ended = forked(command, Path("log"), limits={which: random.randint(least, most)})
        if not ended.clean:
            return f"{command[0]}: code {ended.code}, {_last(ended.said)}"
        if command[0] == "train" and Path("limited", "run.json").is_file():
            again = forked([*TRAIN, "limited", "--resume"], Path("log"))
            return _differs(Path("limited")) if again.code == 0 else _last(again.said)
        return ""

    return trial


def two_writers(random: Random) -> str:
    """One of them trains, the other is refused in a line that names it."""
    _fresh("both")
    other = start([*TRAIN, "both"], Path("log-1"))
    time.sleep(random.uniform(0.0, 0.6 * _seconds()))
    mine = forked([*TRAIN, "both"], Path("log-2"))
    _, status = os.waitpid(other, 0)
    codes = sorted([mine.code, os.waitstatus_to_exitcode(status)])
    return _differs(Path("both")) if codes == [0, 2] else f"codes {codes}: {_last(mine.said)}"


def flipped_run(random: Random) -> str:
    """A flipped bit in a run folder: refused or said, or what is read is what was written."""
    _fresh("flipped")
    shutil.copytree("whole", "flipped")
    path = _flip(Path("flipped"), random)
    try:
        mine, whole = read_run(Path("flipped")), read_run(Path("whole"))
        told = diagnose(mine).as_json()
        checkpoint = read_checkpoint(Path("flipped"))
    except InputError:
        return ""
    same = all(
        np.array_equal(one[name], other[name], equal_nan=True)
        for one, other in ((mine.train, whole.train), (mine.evals, whole.evals))
        for name in other
    )
    if same and told == diagnose(whole).as_json() and checkpoint.state == read_checkpoint(Path("whole")).state:
        return ""
    return f"silent: {path.relative_to('flipped')}"


def flipped_stories(random: Random) -> str:
    _fresh("flipped")
    shutil.copytree("stories", "flipped")
    path = _flip(Path("flipped"), random)
    try:
        mine, whole = open_dataset(Path("flipped")), open_dataset(Path("stories"))
        for name in ("train", "tune", "validation"):
            one, other = mine.split(name), whole.split(name)
            if one.num_stories != other.num_stories:
                return f"silent: {path.relative_to('flipped')}"
            for story in range(one.num_stories):
                if not np.array_equal(one.story(story), other.story(story)):
                    return f"silent: {path.relative_to('flipped')}"
        if mine.tokenizer.hash != whole.tokenizer.hash or mine.hash != whole.hash:
            return f"silent: {path.relative_to('flipped')}"
    except InputError:
        return ""
    return ""


def _flip(folder: Path, random: Random) -> Path:
    """Flip one to eight bits of one file."""
    path = random.choice(sorted(each for each in folder.rglob("*") if each.is_file() and each.stat().st_size))
    content = bytearray(path.read_bytes())
    for _ in range(random.choice([1, 1, 1, 8])):
        content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    path.write_bytes(content)
    return path


def _last(said: str) -> str:
    return (said.strip().splitlines() or ["nothing said"])[-1][:200]


ROWS: dict[str, Trial] = {
    "SIGKILL while training, again and again: it ends bit by bit as if nothing had happened": killed_training,
    "SIGKILL while preparing: the folder is whole or absent, and the next call makes it": killed_preparation,
    "SIGKILL while exporting: the folder is whole or absent": killed_export,
    "SIGKILL while reporting: the page is whole or absent": killed_report,
    "files may not grow (a full disk): words and no traceback, training goes on later": limited(
        resource.RLIMIT_FSIZE, 1 << 10, 1 << 18
    ),
    "too many open files: words and no traceback": limited(resource.RLIMIT_NOFILE, 8, 40),
    "two processes on one run: one is refused": two_writers,
    "flipped bits in a run: said, or harmless": flipped_run,
    "flipped bits in prepared stories: said, or harmless": flipped_stories,
}

if __name__ == "__main__":
    main()
