"""How fast models train: fabula, a plain compiled loop and transformers in turns; how near fabula comes to the roof.

python benchmarks/training.py --data DIR --out docs/benchmarks/training.json [--threads N] [--turns N]

DIR is prepared with gpt2, gpt2-compact and bpe:8192. Each group of contenders takes turns of a few seconds, so that
whatever else the machine does meets them alike; a ratio is the median of the turns' ratios. The roof (roof.py) takes
its turns with them.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from contenders import AS_TORCH_WAITS, recipe_of
from results import write
from roof import matrix_rate

from fabula.data.dataset import open_dataset
from fabula.model.spinning import SETTINGS
from fabula.record.machine import num_cores

ALL = ("fabula", "roof", "plain loop", "transformers bfloat16", "transformers float32")
OURS = ("fabula", "roof")
GROUPS: dict[str, tuple[tuple[str, str], ...]] = {
    "basic": (
        *((kind, "basic") for kind in ALL),
        *((kind, recipe) for recipe in ("basic@gpt2-compact", "modern") for kind in OURS),
    ),
    "mid": tuple((kind, "mid") for kind in ALL),
    "quality": tuple((kind, "quality") for kind in ALL),
    "modern": tuple((kind, recipe) for recipe in ("modern-portable", "strong", "modern-large") for kind in OURS),
}
"""(kind of contenders.py, recipe or recipe@tokenizer)."""
TURN_SECONDS = 3.0
WAITING = {"fabula": SETTINGS, AS_TORCH_WAITS: {"GOMP_SPINCOUNT": "300000"}}
"""Environment that says how threads wait, read when torch is loaded; 300,000 is libgomp's own number."""


class Contender:
    """A process of contenders.py."""

    def __init__(self, kind: str, recipe: str, data: Path, threads: int, device: str = "cpu") -> None:
        self.kind, self.recipe = kind, recipe
        script = Path(__file__).with_name("contenders.py")
        options = ["--data", str(data), "--threads", str(threads), "--device", device]
        self.process = subprocess.Popen(
            [sys.executable, str(script), kind, recipe, *options],
            text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | WAITING.get(kind, {}),
        )  # fmt: skip
        self.turns: list[dict[str, float]] = []
        """What it answered, turn by turn."""
        self.steps = 1
        """Of a turn."""

    def get_ready(self, turn_seconds: float) -> None:
        """Wait until it has compiled, and choose the steps of a turn of about so many seconds."""
        ready = self._answer()
        self.positions, self.start_seconds = ready["positions"], ready["start_seconds"]
        self.turn()
        self.steps = max(1, round(turn_seconds / self.turns.pop()["seconds"]))

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.kind} of {self.recipe} ended with {self.process.wait()}")
        return dict(json.loads(line))

    def begin(self, **asked: float) -> None:
        """`steps` to make, or `until` how many seconds have passed."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()

    def end(self) -> dict[str, float]:
        self.turns.append(self._answer())
        return self.turns[-1]

    def turn(self) -> None:
        self.begin(steps=self.steps)
        self.end()

    @property
    def step_seconds(self) -> list[float]:
        return [each["seconds"] / self.steps for each in self.turns]

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def spread(values: list[float]) -> dict[str, float]:
    """Median and quartiles."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return {"median": middle, "low": low, "high": high}


def ratio(ours: Contender, theirs: Contender) -> dict[str, float]:
    """How many times as many positions a second."""
    pairs = zip(ours.step_seconds, theirs.step_seconds, strict=True)
    return spread([other / one * ours.positions / theirs.positions for one, other in pairs])


def compete(
    group: Iterable[tuple[str, str]], data: Path, threads: int, turns: int, turn_seconds: float
) -> list[dict[str, Any]]:
    """What each contender took; how fabula's recipes compare with the plain loop and with transformers, where these are
    in the group, and with their own roof."""
    contenders = {}
    for named in group:
        contenders[named] = Contender(*named, data, threads)
        contenders[named].get_ready(turn_seconds)
    for _ in range(turns):
        for each in contenders.values():
            each.turn()
    for each in contenders.values():
        each.close()
    peers = {kind: each for (kind, _), each in contenders.items() if kind not in OURS}
    results = []
    for (kind, recipe), each in contenders.items():
        if kind == "roof":
            continue
        waited = sum(turn["waited_seconds"] for turn in each.turns)
        result = {
            "kind": kind,
            "recipe": recipe,
            "positions_per_step": each.positions,
            "bytes_per_token": bytes_per_token(recipe, data),
            "step_seconds": spread(each.step_seconds),
            "positions_per_second": spread([each.positions / seconds for seconds in each.step_seconds]),
            "waited_share": waited / (waited + sum(turn["seconds"] for turn in each.turns)),
            "start_seconds": each.start_seconds,
            "peak_memory_bytes": each.turns[-1]["peak_memory_bytes"],
        }
        if kind == "fabula":
            result["over"] = {name: ratio(each, peer) for name, peer in peers.items()}
            result["roof"] = roof_of(each, contenders["roof", recipe])
        results.append(result)
    return results


def roof_of(ours: Contender, roof: Contender) -> dict[str, Any]:
    """Its parts, as medians, and the share of it that `ours` reaches."""
    named = {name: [turn[name] for turn in roof.turns] for name in roof.turns[0]}
    parts = ("head_seconds", "body_flop_per_second", "batch_seconds", "layer_flop", "head_flop")
    share = ratio(ours, roof)
    return {name: statistics.median(named[name]) for name in parts} | {
        "step_seconds": spread(roof.step_seconds),
        "share": share,
        "batch_share": statistics.median(named["batch_seconds"]) / statistics.median(ours.step_seconds),
    }


def bytes_per_token(recipe: str, data: Path) -> float:
    """Of the stories to train on, their ends counted as tokens."""
    split = open_dataset(data, recipe_of(recipe).tokenizer).split("train")
    return float(np.sum(split.num_bytes)) / (split.num_tokens + split.num_stories)


def machine_rates(size: int = 4096) -> dict[str, float]:
    """FLOP a second of square products."""
    return {
        name: matrix_rate(size, size, size, getattr(torch, name), repeats)
        for name, repeats in (("float32", 3), ("bfloat16", 7))
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--threads", type=int, default=num_cores())
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--groups", nargs="+", choices=GROUPS, default=list(GROUPS))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    import transformers

    started = time.perf_counter()
    document: dict[str, Any] = {
        "threads": arguments.threads,
        "turns": arguments.turns,
        "turn_seconds": TURN_SECONDS,
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "machine": platform.machine(),
        "matrix_flop_per_second": {"before": machine_rates()},
        "groups": {},
    }
    for group in arguments.groups:
        results = compete(GROUPS[group], arguments.data, arguments.threads, arguments.turns, TURN_SECONDS)
        document["groups"][group] = results
        for each in results:
            speed = f"{each['positions_per_second']['median']:9,.0f} tokens/s"
            over = "  ".join(f"{value['median']:.2f} x {name}" for name, value in each.get("over", {}).items())
            share = f"  {each['roof']['share']['median']:.0%} of the roof" if "roof" in each else ""
            print(f"{each['recipe']:20} {each['kind']:22} {speed}  {over}{share}", file=sys.stderr, flush=True)
    document["matrix_flop_per_second"]["after"] = machine_rates()
    document["seconds"] = time.perf_counter() - started
    write(document, arguments.out)


if __name__ == "__main__":
    main()
