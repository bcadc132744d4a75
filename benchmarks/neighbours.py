"""How fast training is beside other programs.

python benchmarks/neighbours.py --data DIR [--out FILE] [--recipes ...] [--alone]

Each recipe trains alone, beside one and two busy processes, and beside a second training of itself, in turns with the
same training as it was before: threads that wait as torch has them wait. Figures are positions a second by the clock
on the wall, for whoever waits for a run waits for its neighbours, too. DIR holds gpt2 and bpe:8192.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from contenders import AS_TORCH_WAITS
from results import write
from training import Contender, spread

from fabula.record.machine import num_cores

RECIPES = ("modern-portable", "strong", "modern", "basic", "mid", "quality")
SIDES = {"now": "fabula", "before": AS_TORCH_WAITS}
"""Kinds of contenders.py."""
BUSY = (sys.executable, "-c", "while True: pass")
PLACES = ("alone", "beside one", "beside two", "beside a training")
NUM_BUSY = {"beside one": 1, "beside two": 2}
TURN_SECONDS = 8.0


@contextmanager
def busy(number: int) -> Iterator[None]:
    """So many processes that compute and never wait."""
    others = [subprocess.Popen(BUSY) for _ in range(number)]
    try:
        yield
    finally:
        for each in others:
            each.kill()
            each.wait()


class Pair:
    """A training and a second one of the same kind."""

    def __init__(self, recipe: str, kind: str, data: Path, threads: int) -> None:
        self.first, self.second = (Contender(kind, recipe, data, threads, TURN_SECONDS) for _ in range(2))

    def rate(self, place: str) -> float:
        """Positions a second of the first training, or of both together."""
        trainings = (self.first, self.second) if place == "beside a training" else (self.first,)
        with busy(NUM_BUSY.get(place, 0)):
            for each in trainings:
                each.begin(until=TURN_SECONDS)
            turns = [each.end() for each in trainings]
        return self.first.positions * sum(turn["steps"] / turn["wall_seconds"] for turn in turns)

    def close(self) -> None:
        self.first.close()
        self.second.close()


def measure(recipe: str, data: Path, threads: int, turns: int, places: Sequence[str]) -> dict[str, Any]:
    sides = {name: Pair(recipe, kind, data, threads) for name, kind in SIDES.items()}
    rates: dict[str, dict[str, list[float]]] = {name: {place: [] for place in places} for name in SIDES}
    for turn in range(turns):
        for place in places:
            for name in sorted(SIDES, reverse=turn % 2 == 1):  # each side first as often as the other
                rates[name][place].append(sides[name].rate(place))
    for pair in sides.values():
        pair.close()
    result: dict[str, Any] = {"recipe": recipe}
    for name in SIDES:
        alone = statistics.median(rates[name]["alone"])
        result[name] = {place: spread(rates[name][place]) for place in places}
        result[name]["of alone"] = {place: result[name][place]["median"] / alone for place in places[1:]}
    pairs = zip(rates["now"]["alone"], rates["before"]["alone"], strict=True)
    result["alone, now over before"] = spread([now / before for now, before in pairs])
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--threads", type=int, default=num_cores())
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES))
    parser.add_argument("--alone", action="store_true", help="only that: what the watching costs there")
    arguments = parser.parse_args()
    places = PLACES[:1] if arguments.alone else PLACES
    started = time.perf_counter()
    document: dict[str, Any] = {
        "threads": arguments.threads,
        "cores": os.cpu_count(),
        "turns": arguments.turns,
        "turn_seconds": TURN_SECONDS,
        "versions": {"torch": torch.__version__},
        "machine": platform.machine(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "recipes": [],
    }
    for recipe in arguments.recipes:
        result = measure(recipe, arguments.data, arguments.threads, arguments.turns, places)
        document["recipes"].append(result)
        for name in SIDES:
            told = ", ".join(f"{place} {result[name][place]['median']:,.0f}" for place in places)
            print(f"{recipe:16} {name:7} {told}", file=sys.stderr, flush=True)
    document["seconds"] = time.perf_counter() - started
    write(document, arguments.out)


if __name__ == "__main__":
    main()
