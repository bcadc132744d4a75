"""One run on several processes against the same run on one: losses, resumption, kills, speed. Everything is called from
the command line, as a user calls it, on built-in stories.

python benchmarks/processes.py parity|halves|chain|kills|speed [--steps N] [--recipes NAME ...] [--kills N]
    [--seconds S] [--seed N] [--out FILE]

parity  200 steps of five recipes on 2 and 4 processes, whole and sharded: how far the losses are from those of one
        process, and how far those of one process are apart on one and on two threads
halves  the same five on one process that adds up each batch in two halves: what another order of sums does by itself
chain   stopped on 1, gone on with on 2, then on 4, then on 1 again
kills   a process of the run, any of them, is killed at random moments; the run goes on by another call, or by torchrun
speed   tokens a second of two processes of one thread and of one process of two threads, in turns; nothing else may run
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import torch

from fabula.record.checkpoint import checkpoint_steps
from fabula.record.reader import Run, read_run

RECIPES = ("basic", "strong", "modern", "modern-portable", "gemma3-nano")
"""Between them: learned and rotary positions, all norms and feed-forwards, sliding windows, AdamW and Muon."""
PLACES = ((2, False), (4, False), (2, True), (4, True))
"""Processes, and whether they share the model out."""
TOKENIZER = "bpe:512"
SETTINGS = ("tokenizer=bpe:512", "batch.rows=4", "compute.precision=float32", "compute.compile=off",
            "evaluation.sample_tokens=0")  # fmt: skip
SMALL = ("model.layers=2", "model.width=32", "model.heads=2", "model.context=32")
"""Of `basic`, for the runs that are killed: a step takes milliseconds, so that a kill comes between many."""
FABULA = (sys.executable, "-m", "fabula")
TORCHRUN = (sys.executable, "-m", "torch.distributed.run")
LIMIT_SECONDS = 600.0
Record = dict[str, Any]


def settings(steps: int, *more: str) -> list[str]:
    all_of_them = (*SETTINGS, f"steps={steps}", f"evaluation.every={steps}", *more)
    return [part for each in all_of_them for part in ("--set", each)]


def train(out: Path, *arguments: str) -> Run:
    subprocess.run([*FABULA, "train", *arguments, "--data", "data", "--out", str(out)], check=True, capture_output=True)
    return read_run(out)


def on(processes: int, sharded: bool = False, threads: int = 1) -> list[str]:
    several = ["--processes", str(processes), *(["--shard"] if sharded else [])] if processes > 1 else []
    return [*several, "--threads", str(threads)]


def apart(run: Run, reference: Run) -> Record:
    """The largest differences of any step, relative, and that of the last evaluation."""
    assert run.info["status"] == "finished" and list(run.train["step"]) == list(reference.train["step"])
    found = {
        name: float((abs(run.train[name] - reference.train[name]) / abs(reference.train[name])).max())
        for name in ("loss", "grad_norm")
    }
    last, expected = run.evals["val_loss"][-1], reference.evals["val_loss"][-1]
    return {**found, "val_loss": float(abs(last - expected) / expected)}


def parity(arguments: argparse.Namespace) -> Record:
    rows = []
    for recipe in arguments.recipes:
        given = [recipe, *settings(arguments.steps)]
        reference = train(Path(f"{recipe}-1"), *given, *on(1))
        rows.append({"recipe": recipe, "processes": 1, "sharded": False, "threads": 2,
                     **apart(train(Path(f"{recipe}-threads"), *given, *on(1, threads=2)), reference)})  # fmt: skip
        for processes, sharded in PLACES:
            name = Path(f"{recipe}-{processes}{'-sharded' if sharded else ''}")
            found = apart(train(name, *given, *on(processes, sharded)), reference)
            rows.append({"recipe": recipe, "processes": processes, "sharded": sharded, "threads": 1, **found})
            print(rows[-1], flush=True)
    return {"steps": arguments.steps, "rows": rows}


def halves(arguments: argparse.Namespace) -> Record:
    rows = []
    for recipe in arguments.recipes:
        given = [recipe, *settings(arguments.steps)]
        reference = train(Path(f"{recipe}-at-once"), *given, *on(1))
        in_two = ("--set", "batch.rows=2", "--set", "batch.accumulation=2")
        run = train(Path(f"{recipe}-halves"), *given, *in_two, *on(1))
        rows.append({"recipe": recipe, **apart(run, reference)})
        print(rows[-1], flush=True)
    return {"steps": arguments.steps, "rows": rows}


def chain(arguments: argparse.Namespace) -> Record:
    """A run that is stopped after each third of its steps."""
    rows = []
    given = ["basic", *settings(arguments.steps)]
    reference = train(Path("chain-1"), *given, *on(1))
    for sharded in (False, True):
        out = Path(f"chain{'-sharded' if sharded else ''}")
        for number, processes in enumerate((1, 2, 4), 1):
            more = given if number == 1 else ["--resume"]
            process = started(out, [*FABULA, "train", *more, *on(processes, sharded and processes > 1)])
            wait_for(out, number * arguments.steps // 4, process)
            process.send_signal(signal.SIGTERM)
            process.wait(LIMIT_SECONDS)
        run = train(out, "--resume", *on(1))
        stops = [int(event["step"]) for event in run.events if event["event"] == "interrupted"]
        rows.append({"sharded": sharded, "processes": [1, 2, 4, 1], "stopped_after": stops, **apart(run, reference)})
        print(rows[-1], flush=True)
    return {"steps": arguments.steps, "rows": rows}


def started(out: Path, command: list[str]) -> subprocess.Popen[bytes]:
    with open(f"{out}.log", "ab") as log:
        return subprocess.Popen([*command, "--data", "data", "--out", str(out)], stdout=log, stderr=log)


def wait_for(out: Path, step: int, process: subprocess.Popen[bytes]) -> None:
    metrics, deadline = out / "metrics.jsonl", time.monotonic() + LIMIT_SECONDS
    while not (metrics.is_file() and f'"step": {step},' in metrics.read_text()):
        assert process.poll() is None and time.monotonic() < deadline, Path(f"{out}.log").read_text()[-2000:]
        time.sleep(0.05)


def kills(arguments: argparse.Namespace) -> Record:
    """Run after run, each killed again and again until it has been made, until so many processes were killed."""
    random, began = Random(arguments.seed), time.monotonic()
    given = ["basic", *settings(400, *SMALL, "checkpoint.every=25", "checkpoint.keep=3")]
    clock = time.monotonic()
    reference = train(Path("unkilled"), *given, *on(2))
    whole = Lengths(time.monotonic() - clock, reference.info["timings"]["training_seconds"])
    rows: list[Record] = []
    while sum(row["kills"] for row in rows) < arguments.kills and time.monotonic() - began < arguments.seconds:
        elastic = len(rows) % 2 == 1
        out, most = Path(f"killed-{len(rows)}"), min(10, arguments.kills - sum(row["kills"] for row in rows))
        row = (killed_under_torchrun if elastic else killed_and_called_again)(out, given, most, whole, random)
        run = read_run(out)
        row |= {"torchrun": elastic, "at_steps": lost_at(run), **apart(run, reference)}
        row["checkpoint"] = checkpoint_steps(out)[-1] == 400
        rows.append(row)
        print(row, flush=True)
    return {"steps": 400, "seed": arguments.seed, "seconds_of_a_whole_run": round(whole.all, 1), "rows": rows}


def lost_at(run: Run) -> list[int]:
    """From where the run went on."""
    return [int(event["step"]) for event in run.events if event["event"] == "resumed"]


class Lengths(NamedTuple):
    """Seconds of a run that nobody kills."""

    all: float
    training: float


def ends_before_a_moment(process: subprocess.Popen[bytes], out: Path, whole: Lengths, random: Random) -> bool:
    """Wait until some moment: of the whole run for a third of them, for the others while steps are made, which is the
    shorter part of so small a run. Whether the process has ended by then."""
    metrics, seconds = out / "metrics.jsonl", random.uniform(0.0, whole.all)
    if random.random() < 2 / 3:
        before = metrics.read_text().count("train") if metrics.is_file() else 0
        while process.poll() is None and not (metrics.is_file() and metrics.read_text().count("train") > before):
            time.sleep(0.05)
        seconds = random.uniform(0.0, whole.training / 2)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def killed_and_called_again(out: Path, given: list[str], most: int, whole: Lengths, random: Random) -> Record:
    """A call, a kill, the call that goes on; the last one is left alone."""
    which: list[str] = []
    while len(which) < most:
        begun = (out / "run.json").is_file()
        process = started(out, [*FABULA, "train", *(["--resume"] if begun else given), *on(2)])
        if ends_before_a_moment(process, out, whole, random):
            break
        others = processes_of(process.pid)
        leads = random.random() < 0.5 or not others
        os.kill(process.pid if leads else random.choice(others), signal.SIGKILL)
        which.append("first" if leads else "other")
        process.wait(LIMIT_SECONDS)
        assert all(gone(each) for each in others), "a process trains on alone"
    train(out, *(["--resume"] if (out / "run.json").is_file() else given), *on(2))
    return {"kills": len(which), "first": which.count("first")}


def killed_under_torchrun(out: Path, given: list[str], most: int, whole: Lengths, random: Random) -> Record:
    """One call, which starts the processes again by itself."""
    launcher = [*TORCHRUN, "--nproc-per-node", "2", "--max-restarts", str(2 * most)]
    process, num_killed, first = started(out, [*launcher, "-m", "fabula", "train", *given]), 0, 0
    while num_killed < most and not ends_before_a_moment(process, out, whole, random):
        if children := processes_of(process.pid):
            chosen = random.randrange(len(children))
            os.kill(children[chosen], signal.SIGKILL)
            num_killed, first = num_killed + 1, first + (chosen == 0)
    process.wait(LIMIT_SECONDS)
    assert process.returncode == 0, Path(f"{out}.log").read_text()[-2000:]
    return {"kills": num_killed, "first": first}


def processes_of(parent: int) -> list[int]:
    """Those that train, of the children of `parent`."""
    listed = subprocess.run(["ps", "--ppid", str(parent), "-o", "pid=,args="], capture_output=True, text=True).stdout
    return [int(line.split()[0]) for line in listed.splitlines() if "spawn_main" in line or "fabula" in line]


def gone(process: int) -> bool:
    deadline = time.monotonic() + 30
    while Path(f"/proc/{process}").exists():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def speed(arguments: argparse.Namespace) -> Record:
    """Median tokens a second of a run's steps; of three runs each, in turns."""
    rows = []
    ways = {"one process, two threads": on(1, threads=2), "two processes": on(2), "two processes, sharded": on(2, True)}
    for recipe in ("basic", "modern-portable"):
        more = ("batch.rows=16", "tokenizer=bpe:512", "evaluation.sample_tokens=0", f"steps={arguments.steps}",
                f"evaluation.every={arguments.steps}", "compute.compile=on")  # fmt: skip
        given = [recipe, *(part for each in more for part in ("--set", each))]
        found: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(3):
            for name, place in ways.items():
                run = train(Path(f"speed-{recipe}-{turn}-{name.replace(' ', '-')}"), *given, *place)
                found[name].append(float(statistics.median(run.train["tokens_per_second"][10:])))
                print(recipe, name, f"{found[name][-1]:,.0f}", flush=True)
        base = statistics.median(found["one process, two threads"])
        rows += [{"recipe": recipe, "way": name, "tokens_per_second": rates, "ratio": statistics.median(rates) / base}
                 for name, rates in found.items()]  # fmt: skip
    return {"steps": arguments.steps, "rows": rows}


def main() -> None:
    parts = {"parity": parity, "halves": halves, "chain": chain, "kills": kills, "speed": speed}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=parts)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--recipes", nargs="+", default=RECIPES, help="of parity and halves")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=lambda text: Path(text).absolute())
    arguments = parser.parse_args()
    place, came_from = Path(tempfile.mkdtemp()), Path.cwd()
    os.chdir(place)
    try:
        prepared = ["prepare", "builtin", "--limit", "300", "--tokenizer", TOKENIZER, "--out", "data"]
        subprocess.run([*FABULA, *prepared], check=True, capture_output=True)
        record = parts[arguments.part](arguments)
    finally:
        os.chdir(came_from)
        shutil.rmtree(place)
    record |= {"torch": torch.__version__, "cores": len(os.sched_getaffinity(0)), "platform": platform.platform()}
    if arguments.out:
        known = json.loads(arguments.out.read_text(encoding="utf-8")) if arguments.out.is_file() else {}
        arguments.out.write_text(json.dumps(known | {arguments.part: record}, indent=1) + "\n", encoding="utf-8")
    else:
        print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
