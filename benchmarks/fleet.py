"""A ladder on a Ray cluster whose nodes and workers are killed at random: each run once, and the numbers of the ladder
that one process makes in order.

python benchmarks/fleet.py --nodes 3 --runs 24 --out docs/measured/fleet.json

Two and three nodes of one machine by Ray's own cluster utility, one core each; the head is left alone, for the ladder
is called from there. Every few seconds a worker or a whole node is killed with SIGKILL in turn, and a new node joins in
its place, until so many were killed. Takes about as long as the ladder three times, and some seconds a kill.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from fabula.data.prepare.preparation import prepare
from fabula.record.checkpoint import read_checkpoint
from fabula.record.reader import find_runs, read_run

RECIPE = """
tokenizer = "bpe:512"
steps = {steps}
[model]
layers = 1
width = 16
heads = 2
context = 32
[schedule]
peak = 0.01
floor = 0.001
warmup = 3
[batch]
rows = 4
[compute]
precision = "float32"
compile = "off"
[evaluation]
every = 100
prompts = ["Once upon a time"]
sample_tokens = 0
[checkpoint]
every = 20
"""
PHASE = '[[phases]]\nname = "{name}"\nchange = "{change}"\nset = {{ {fields} }}\n'
PHASES = (
    ("start", "the tier as it is", ""),
    ("clip", "gradients clipped at 0.5", '"optimizer.clip" = 0.5'),
    ("rate", "half the learning rate", '"schedule.peak" = 0.005, "schedule.floor" = 0.0005'),
)
TIMES = re.compile(r"^seconds$|_seconds$|_per_second$")
SECONDS_BETWEEN_KILLS = (4.0, 14.0)
HEADROOM_SECONDS = 1800


def make_inputs(folder: Path, num_runs: int, steps: int) -> None:
    (folder / "tiny.toml").write_text(RECIPE.format(steps=steps))
    phases = "".join(PHASE.format(name=name, change=change, fields=fields) for name, change, fields in PHASES)
    seeds = num_runs // len(PHASES)
    (folder / "small.toml").write_text(f'name = "small"\ntiers = ["tiny.toml"]\nseeds = {seeds}\n{phases}')
    prepare("builtin", folder / "data", tokenizer="bpe:512", limit=1500)


def call(*more: str) -> list[str]:
    return [sys.executable, "-m", "fabula", "ladder", "small.toml", "--data", "data", "--threads", "1", *more]


def content(run: Path) -> tuple[list[dict[str, Any]], dict[str, torch.Tensor]]:
    """The record but for times and events, and the last weights and moments."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    kept = [{name: value for name, value in line.items() if not TIMES.search(name)} for line in lines]
    checkpoint = read_checkpoint(run)
    return (
        [line for line in kept if line["kind"] != "event"],
        load_file(checkpoint.model) | load_file(checkpoint.optimizer),
    )


def is_equal(first: Path, second: Path) -> bool:
    (lines, tensors), (other_lines, other_tensors) = content(first), content(second)
    return (
        lines == other_lines
        and tensors.keys() == other_tensors.keys()
        and all(torch.equal(tensors[name], other_tensors[name]) for name in tensors)
    )


def workers_at_work() -> list[int]:
    """Processes of Ray that make a run: their title is the task's name."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cmdline").read_bytes().startswith(b"ray::runs/"):
                found.append(int(entry.name))
        except OSError:  # it ended meanwhile
            continue
    return found


class Cluster:
    """Ray's own cluster of one machine, whose nodes come and go."""

    def __init__(self, num_nodes: int) -> None:
        from ray.cluster_utils import Cluster as Nodes

        self._nodes = Nodes(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        self.address = self._nodes.address
        self._others = [self._new() for _ in range(num_nodes - 1)]

    def _new(self) -> Any:
        return self._nodes.add_node(num_cpus=1)

    def kill_node(self, chance: random.Random) -> None:
        self._nodes.remove_node(self._others.pop(chance.randrange(len(self._others))), allow_graceful=False)
        self._others.append(self._new())

    def close(self) -> None:
        self._nodes.shutdown()


def kill_while(ladder: subprocess.Popen[bytes], cluster: Cluster, most: int, chance: random.Random) -> dict[str, int]:
    killed = {"workers": 0, "nodes": 0}
    due = time.monotonic() + 15
    while ladder.poll() is None and time.monotonic() < due + HEADROOM_SECONDS:
        time.sleep(0.2)
        if time.monotonic() < due or sum(killed.values()) >= most:
            continue
        due = time.monotonic() + chance.uniform(*SECONDS_BETWEEN_KILLS)
        victims = workers_at_work()
        if killed["nodes"] < killed["workers"]:
            cluster.kill_node(chance)
            killed["nodes"] += 1
        elif victims:
            os.kill(chance.choice(victims), signal.SIGKILL)
            killed["workers"] += 1
    return killed


def measure(folder: Path, num_nodes: int, num_runs: int, steps: int, kills: int, seed: int) -> dict[str, Any]:
    started = time.monotonic()
    cluster = Cluster(num_nodes)
    try:
        with open(folder / "said.txt", "wb") as said:
            command = call("--out", f"on-{num_nodes}", "--on", f"ray:{cluster.address}")
            ladder = subprocess.Popen(command, cwd=folder, stdout=said, stderr=said)
            killed = kill_while(ladder, cluster, kills, random.Random(seed))
            code = ladder.wait(60)
    finally:
        cluster.close()
    made = folder / f"on-{num_nodes}"
    runs = find_runs(made)
    told = [read_run(run) for run in runs]
    each_step_once = [list(run.train["step"]) == list(range(1, steps + 1)) for run in told]
    taken_up = (folder / "said.txt").read_text(errors="replace").count("it is taken up again")
    return {
        "nodes": num_nodes,
        "runs": num_runs,
        "steps": steps,
        "exit_code": code,
        "killed": killed,
        "taken_up_again": taken_up,
        "finished": sum(run.status == "finished" for run in told),
        "each_step_once": sum(each_step_once),
        "equal_bit_for_bit": sum(is_equal(run, folder / "serial" / run.relative_to(made)) for run in runs),
        "seconds": round(time.monotonic() - started, 1),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, nargs="+", default=[2, 3])
    parser.add_argument("--runs", type=int, default=24, help=f"a multiple of {len(PHASES)}")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--kills", type=int, default=20, help="at most, of each cluster")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_inputs(folder, arguments.runs, arguments.steps)
        subprocess.run(call("--out", "serial"), cwd=folder, check=True, stderr=subprocess.DEVNULL)
        for num_nodes in arguments.nodes:
            rows.append(measure(folder, num_nodes, arguments.runs, arguments.steps, arguments.kills, arguments.seed))
            print(json.dumps(rows[-1]), flush=True)
    arguments.out.write_text(json.dumps({"ray": rows}, indent=2) + "\n")
    if any(row["equal_bit_for_bit"] < row["runs"] or row["each_step_once"] < row["runs"] for row in rows):
        sys.exit("a run is missing, was made twice, or has other numbers")


if __name__ == "__main__":
    main()
