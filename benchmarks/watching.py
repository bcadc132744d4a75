"""What `fabula watch` costs the training that it watches.

python benchmarks/watching.py --data DIR [--recipe modern-portable] [--turns 6] [--seconds 60] [--browser] [--out FILE]

One training goes on all the time. In turns of so many seconds it is alone, watched by somebody who holds the page's
stream open, and, with --browser, looked at in Chromium. Its steps a second come from its own record. DIR holds
bpe:8192. Nothing else may run meanwhile. The start of the watching process (5 s of processor time) is told apart: it
comes once. The first --before steps are not measured: reading a longer record costs more.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from results import write
from training import spread

from fabula.record.live.last_lines import last_objects
from fabula.record.machine import machine

FABULA = (sys.executable, "-m", "fabula")
CHROMIUM = ("/usr/bin/chromium", "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0")
SETTLING_SECONDS = 60.0
"""From the first event to the first measured step: the program of the charts is made, the browser has drawn, and the
record was read a second time, which takes long beside a training that goes first."""


@contextmanager
def training(recipe: str, data: Path, out: Path) -> Iterator[None]:
    """A run that evaluates and saves nothing on the way."""
    settings = ("--steps", "1000000", "--set", "evaluation.every=1000000", "--set", "checkpoint.every=0")
    command = [*FABULA, "train", recipe, "--data", str(data), "--out", str(out), *settings]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def last_step(out: Path) -> int:
    lines = [line for line in last_objects(out / "metrics.jsonl") if line.get("kind") == "train"]
    return int(lines[-1]["step"]) if lines else 0


def rate(out: Path, seconds: float) -> float:
    """Steps a second, from the moment of one line to that of another."""
    first, began = next_line(out)
    time.sleep(seconds)
    last, ended = next_line(out)
    return (last - first) / (ended - began)


def next_line(out: Path) -> tuple[int, float]:
    now = last_step(out)
    while (step := last_step(out)) == now:
        time.sleep(0.005)
    return step, time.perf_counter()


@contextmanager
def watched(out: Path, in_browser: bool, costs: list[float]) -> Iterator[None]:
    """The run is watched in the block; `costs` gets the processor seconds a second of the watching process."""
    process = subprocess.Popen([*FABULA, "watch", str(out)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    viewer = browser(address) if in_browser else None
    stream = None if in_browser else urllib.request.urlopen(f"{address}events")
    if stream is not None:
        threading.Thread(target=drain, args=(stream,), daemon=True).start()
    time.sleep(SETTLING_SECONDS)
    before, began = processor_seconds(process.pid), time.perf_counter()
    try:
        yield
    finally:
        costs.append((processor_seconds(process.pid) - before) / (time.perf_counter() - began))
        process.send_signal(signal.SIGINT)
        process.wait()
        if viewer is not None:
            viewer.kill()
            viewer.wait()


def browser(address: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([*CHROMIUM, address], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def drain(stream: Any) -> None:
    try:
        while stream.readline():
            pass
    except (OSError, ValueError):
        return  # the watching process has ended


def processor_seconds(pid: int) -> float:
    """Of a process and its threads (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(recipe: str, data: Path, turns: int, seconds: float, before: int, sides: tuple[str, ...]) -> dict[str, Any]:
    rates: dict[str, list[float]] = {side: [] for side in sides}
    costs: dict[str, list[float]] = {side: [] for side in sides[1:]}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        with training(recipe, data, out):
            while last_step(out) < max(1, before):
                time.sleep(1.0)
            for turn in range(turns):
                for side in sides[:: -1 if turn % 2 else 1]:
                    if side == "alone":
                        rates[side].append(rate(out, seconds))
                        continue
                    with watched(out, side == "in a browser", costs[side]):
                        rates[side].append(rate(out, seconds))
            steps = last_step(out)
    alone = statistics.median(rates["alone"])
    place = {name: told for name, told in machine().items() if name != "host"}
    result: dict[str, Any] = {"recipe": recipe, "turns": turns, "seconds": seconds, "steps": steps, "machine": place}
    for side in sides:
        result[side] = {"steps a second": spread(rates[side]), "of alone": statistics.median(rates[side]) / alone}
        if side in costs:
            paired = [watched / without for watched, without in zip(rates[side], rates["alone"], strict=True)]
            result[side] |= {"turn by turn": spread(paired), "processor share": spread(costs[side])}
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--recipe", default="modern-portable")
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--before", type=int, default=200)
    parser.add_argument("--browser", action="store_true")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    sides = ("alone", "watched", *(["in a browser"] if given.browser else []))
    write(measure(given.recipe, given.data, given.turns, given.seconds, given.before, sides), given.out)


if __name__ == "__main__":
    main()
