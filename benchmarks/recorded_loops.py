"""Three real loops with `fabula.Record`, with faults in them: watched, killed in the middle, resumed, diagnosed,
compared; and our own trainer beside them.

python benchmarks/recorded_loops.py --data DIR --out docs/benchmarks/recorded_loops.json

DIR is a prepared folder (fabula prepare STORIES --tokenizer bpe:1024 --limit 10000 --validation 0.02). Each loop of
four_loops.py is trained with each fault and `--seeds` seeds, in processes of its own, `--beside` at once. Of one fault
the first seed of each loop that is not ours is watched from its beginning, killed, and goes on from its own checkpoint.
Twenty minutes on two cores. With `--work` the runs are kept there, and what was made is not made again.
"""

from __future__ import annotations

import argparse
import json
import logging
import subprocess
import sys
import tempfile
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from four_loops import FAULTS, FOREVER, LOOPS, OURS, STEPS, Fate, Stories, model_of
from results import write
from watched_loops import watched

import fabula
from fabula.findings import diagnose
from fabula.record.reader import Run, is_run, read_run

KILLED, PAUSE = 155, 0.1
"""At which step a loop is killed that is watched, and how many seconds it rests after each step, to be seen growing."""
WATCHED = ("odd",)
BARE = "ours, without its evaluations on training stories"


def folder(scratch: Path, loop: str, fault: str, seed: int) -> Path:
    return scratch / f"{loop}-{fault}-{seed}"


def child(loop: str, data: Path, scratch: Path, seed: int, fate: Fate, faults: list[str]) -> None:
    """Trainings of one loop, in a process that may be killed."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)  # so small a model gains nothing from a second one
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    for fault in faults:
        out, ends = folder(scratch, loop, fault, seed), "failed" if FAULTS[fault].guard == "stop" else "finished"
        if is_run(out) and fabula.read(out).status == ends:
            continue
        LOOPS[loop](Stories(data, seed, FAULTS[fault]), FAULTS[fault], out, seed, fate)


def start(loop: str, data: Path, scratch: Path, seed: int, faults: list[str], fate: Fate = Fate()) -> int:  # noqa: B008
    told = [loop, str(scratch), str(seed), str(fate.dies_at), str(fate.pause), *faults]
    command = [sys.executable, __file__, "--data", str(data), "--child", *told]
    return subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode


def seen(loop: str, data: Path, scratch: Path, fault: str) -> dict[str, Any]:
    """What `fabula watch` showed of the first seed of a loop, which was killed under it."""

    def train(is_killed: bool) -> int:
        return start(loop, data, scratch, 0, [fault], Fate(KILLED if is_killed else FOREVER, PAUSE))

    kept = scratch / f"{loop}-{fault}.watched.json"
    if not kept.is_file():
        write(watched(folder(scratch, loop, fault, 0), train), kept)
    return json.loads(kept.read_text(encoding="utf-8"))


def trained(data: Path, scratch: Path, seeds: int, beside: int) -> dict[str, dict[str, dict[str, Any]]]:
    """Every run; and of each loop and fault that was watched, what was seen."""
    foreign = [loop for loop in LOOPS if loop != OURS]
    with ThreadPoolExecutor(len(foreign)) as resting, ThreadPoolExecutor(beside) as pool:
        looks = {
            (loop, fault): resting.submit(seen, loop, data, scratch, fault) for fault in WATCHED for loop in foreign
        }
        runs = {}
        for seed in range(seeds):
            for loop in LOOPS:
                is_watched = loop != OURS and seed == 0
                faults = [fault for fault in FAULTS if not (is_watched and fault in WATCHED)]
                runs[loop, seed] = pool.submit(start, loop, data, scratch, seed, faults)
        for which, run in runs.items():
            assert run.result() == 0, which
        return {fault: {loop: looks[loop, fault].result() for loop in foreign} for fault in WATCHED}


def measured(data: Path, scratch: Path, seeds: int, beside: int) -> dict[str, Any]:
    looks = trained(data, scratch, seeds, beside)
    found: dict[str, dict[str, list[list[str]]]] = {}
    compared: dict[str, dict[str, str]] = {}
    for fault in FAULTS:
        runs = {loop: [folder(scratch, loop, fault, seed) for seed in range(seeds)] for loop in LOOPS}
        found[fault] = {loop: [alarms(read_run(run)) for run in each] for loop, each in runs.items()}
        found[fault][BARE] = [alarms(without_training_stories(read_run(run))) for run in runs[OURS]]
        if fault != "none":
            compared[fault] = {
                loop: fabula.compare({name: f"{scratch}/{loop}-{name}-[0-9]" for name in ("none", fault)}).decision
                for loop in LOOPS
            }
    parameters = sum(
        each.numel() for each in model_of(fabula.read(runs["plain"][0]).info["vocabulary"], 0).parameters()
    )
    return {
        "steps": STEPS,
        "seeds": seeds,
        "parameters": parameters,
        "faults": {name: fault.what for name, fault in FAULTS.items()},
        "found": found,
        "compared": compared,
        "watched": looks,
    }


def without_training_stories(run: Run) -> Run:
    """As if it had evaluated nothing but what the other loops evaluate."""
    return replace(run, evals={name: values for name, values in run.evals.items() if name != "train_loss"})


def alarms(run: Run) -> list[str]:
    """The kinds of its warnings and failures."""
    return sorted({each.kind for each in diagnose(run).findings if each.severity in ("warning", "failure")})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--beside", type=int, default=2)
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        loop, scratch, seed, dies_at, pause, *faults = given.child
        child(loop, given.data, Path(scratch), int(seed), Fate(int(dies_at), float(pause)), faults)
        return
    with tempfile.TemporaryDirectory() as scratch:
        write(measured(given.data, given.work or Path(scratch), given.seeds, given.beside), given.out)


if __name__ == "__main__":
    main()
