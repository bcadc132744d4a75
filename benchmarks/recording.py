"""What `fabula.Record` costs a loop: microseconds of the processor a line, of numbers and of tensors.

Time of this process alone, so that a machine that does something else meanwhile says the same.

python benchmarks/recording.py --out docs/benchmarks/recording.json
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from results import write

import fabula
from fabula.record.machine import machine

LINES, REPEATS = 5_000, 15
KINDS: dict[str, Callable[[float], Any]] = {
    "Python's numbers": float,
    "NumPy's numbers": np.float32,
    "tensors of torch on the processor": torch.tensor,
}


def microseconds(make: Callable[[float], Any], folder: Path) -> float:
    """A line of `record.train` with four numbers, all of that kind. They are made before."""
    values = [
        tuple(map(make, (3.0 + 1e-4 * step, 1.0 + 1e-4 * step, 3e-4, 2048.0 * step))) for step in range(1, LINES + 1)
    ]
    with fabula.Record(folder, clip=1.0, vocabulary=50257) as record:
        begun = time.process_time()
        for step, (loss, grad_norm, rate, tokens) in enumerate(values, start=1):
            record.train(step, loss, grad_norm=grad_norm, learning_rate=rate, tokens=tokens)
        return (time.process_time() - begun) / LINES * 1e6


def alarm_seconds(folder: Path) -> float:
    """What `alarm()` at each of 10,000 updates takes in all, in seconds, with an evaluation every 500."""
    asking = 0.0
    with fabula.Record(folder, vocabulary=50257) as record:
        for step in range(1, 10_001):
            record.train(step, 2.0 + 8.0 / step, grad_norm=1.0)
            if step % 500 == 0:
                record.evaluate(step, 2.1 + 8.0 / step)
            before = time.process_time()
            record.alarm()
            asking += time.process_time() - before
    return asking


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    out = parser.parse_args().out
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as scratch:
        turns: dict[str, list[float]] = {name: [] for name in KINDS}
        for turn in range(REPEATS):
            for name, make in KINDS.items():  # in turns, so that the machine is the same for all
                turns[name].append(microseconds(make, Path(scratch, f"{turn}-{len(name)}")))
        asking = alarm_seconds(Path(scratch, "alarm"))
    document = {
        "machine": machine(),
        "load": load,
        "lines": LINES,
        "microseconds": {
            name: {"median": statistics.median(each), "low": min(each), "high": max(each)}
            for name, each in turns.items()
        },
        "alarm_seconds_of_10000_updates": asking,
    }
    write(document, out)


if __name__ == "__main__":
    main()
