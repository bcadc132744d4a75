"""What fabula does on a GPU: its tests there, how fast it trains beside others, and what it reaches.

python benchmarks/gpu.py --data DIR --out docs/benchmarks/gpu.json [--turns 3]

DIR is prepared with gpt2 and bpe:8192. Contenders compile side by side and then take turns, one at a time on the GPU,
each in its own process (contenders.py). `gemma3-270m`, whose own vocabulary has 262,144 words, is given GPT-2's tokens:
the products are as large, whichever words there are. One that does not fit into memory beside the others is told. MFU:
FLOP of a step, as PaLM counts them (Chowdhery et al. 2022, appendix B), over its time and the rate that the maker's
data sheet names for dense bfloat16 products; the rate of a square product, measured here, stands beside.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from contenders import recipe_of
from results import write
from roof import head_flop
from training import Contender, ratio, spread

from fabula.recipe.counts import count_parameters
from fabula.recipe.schema import Model, Recipe
from fabula.record.reader import read_run

PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12, "L4": 121e12, "RTX 4090": 165e12}
"""FLOP a second, bfloat16, dense, summed in float32, from the makers' data sheets; the first name that the device's
has."""
TIERS = ("basic", "mid", "quality", "modern", "modern-large")
PEERS = ("plain loop", "transformers bfloat16")
GROUPS: tuple[tuple[tuple[str, str], ...], ...] = (
    tuple((kind, recipe) for recipe in TIERS for kind in ("fabula", *PEERS)),
    tuple((kind, "gemma3-270m-gpt2") for kind in ("fabula", *PEERS)),
    tuple((kind, "gemma3-270m") for kind in ("fabula", "plain loop")),  # the logits of transformers take all memory
)
TURN_SECONDS = 1.0
TRAININGS: tuple[tuple[str, ...], ...] = (
    ("modern-large",),
    ("quality", "--steps", "8000", "--set", "schedule.peak=6e-4", "--set", "schedule.warmup=400",
     "--set", "batch.hidden_tokens=0.1"),
    ("gemma3-270m-gpt2", "--minutes", "1", "--set", "batch.accumulation=4", "--set", "evaluation.every=100"),
)  # fmt: skip
AIM = 1.86
"""What the original experiments reached at 40.7 M parameters."""


def tests() -> dict[str, Any]:
    """Of the tests marked `gpu`: how many passed and failed, and what they printed last."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "tests/train/test_gpu.py", "-p", "no:cacheprovider"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    counts = {name: int(number) for number, name in re.findall(r"(\d+) (passed|failed|errors?|skipped)", done.stdout)}
    print(done.stdout[-3000:], flush=True)
    return {"counts": counts, "seconds": time.perf_counter() - started}


def matrix_rate(size: int = 8192, repeats: int = 20) -> float:
    """FLOP a second of square bfloat16 products."""
    a, b = (torch.randn(size, size, dtype=torch.bfloat16, device="cuda") for _ in range(2))
    for _ in range(3):
        a @ b
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    for _ in range(repeats):
        a @ b
    end.record()
    end.synchronize()
    return 2.0 * size**3 * repeats / (begin.elapsed_time(end) / 1e3)


def attention_flop(shape: Model) -> float:
    """Of a position, forward and backward, on average over a row: each layer's own window is counted."""
    T, width = shape.context, shape.heads * shape.size_of_head
    flop = 0.0
    for layer in range(shape.layers):
        window = min(shape.sliding_window if shape.is_local(layer) else T, T)
        keys = (window * (window + 1) / 2 + (T - window) * window) / T
        flop += 12.0 * keys * width
    return flop


def step_flop(recipe: Recipe) -> float:
    """Of one step: 6 a weight in a matrix and a position, the head's too, and attention's."""
    shape, vocabulary = recipe.model, recipe.vocabulary
    layers = 6.0 * count_parameters(shape, vocabulary).without_embeddings + attention_flop(shape)
    return layers * recipe.positions_per_step + head_flop(recipe, vocabulary)


def start(group: Sequence[tuple[str, str]], data: Path) -> list[Contender]:
    """Have all of a group begin to compile."""
    return [Contender(kind, recipe, data, threads=2, device="cuda") for kind, recipe in group]


def compete(contenders: Sequence[Contender], turns: int) -> list[Contender]:
    """Let them take turns. One that ends before it is ready takes part no longer."""
    ready = []
    for each in contenders:
        try:
            each.get_ready(TURN_SECONDS)
            ready.append(each)
        except SystemExit as problem:
            print(problem, flush=True)
    for _ in range(turns):
        for each in ready:
            each.turn()
    for each in ready:
        each.close()
    return ready


def told(contenders: Sequence[Contender], peak: float | None) -> list[dict[str, Any]]:
    """What each took; how fabula compares with the others on its recipe."""
    results = []
    for each in contenders:
        recipe = recipe_of(each.recipe)
        recipe = recipe.with_values(**{"model.vocabulary": recipe.model.vocabulary or WORDS[recipe.tokenizer]})
        seconds = spread(each.step_seconds)
        result: dict[str, Any] = {
            "kind": each.kind,
            "recipe": each.recipe,
            "step_seconds": seconds,
            "positions_per_second": spread([each.positions / one for one in each.step_seconds]),
            "start_seconds": each.start_seconds,
            "peak_memory_bytes": each.turns[-1]["peak_memory_bytes"],
        }
        if each.kind == "fabula":
            result["flop_per_second"] = step_flop(recipe) / seconds["median"]
            result["mfu"] = None if peak is None else result["flop_per_second"] / peak
            peers = [peer for peer in contenders if peer.recipe == each.recipe and peer is not each]
            result["over"] = {peer.kind: ratio(each, peer) for peer in peers}
        results.append(result)
        print(f"{each.recipe:20} {each.kind:22} {result['positions_per_second']['median']:12,.0f} tokens/s", flush=True)
    return results


WORDS = {"gpt2": 50_257, "bpe:8192": 8_192}
"""Of the tokenizers of the recipes here."""


def train(arguments: Sequence[str], data: Path) -> dict[str, Any]:
    """One training from the command line: its losses, and when AIM was reached."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        command = [sys.executable, "-m", "fabula", "train", *arguments, "--data", str(data), "--out", str(run)]
        started = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wall = time.perf_counter() - started
        if done.returncode:
            print(done.stderr[-1500:], flush=True)
            return {"arguments": list(arguments), "wall_seconds": wall, "error": done.stderr[-1500:]}
        record = read_run(run)
        evals = record.evals
        # Between step 0 and the end only a part of the split is scored; its curve is moved by what it differs there.
        moved = evals["val_loss_subset"] + (evals["val_loss"][-1] - evals["val_loss_subset"][-1])
        ratio_to_gpt2 = evals["val_loss_gpt2"][-1] / evals["val_loss"][-1]
        curve = [
            {"step": int(step), "seconds": float(seconds), "loss": float(loss * ratio_to_gpt2)}
            for step, seconds, loss in zip(evals["step"], evals["seconds"], moved, strict=True)
        ]
        reached = next((each for each in curve if each["loss"] <= AIM), None)
        return {
            "arguments": list(arguments),
            "parameters": record.info["parameters"]["total"],
            "positions_per_step": int(record.train["positions"][0]),
            "steps": int(record.train["step"][-1]),
            "tokens": int(record.train["tokens"][-1]),
            "wall_seconds": wall,
            "timings": record.info["timings"],
            "choices": record.info["choices"],
            "val_loss_gpt2": float(evals["val_loss_gpt2"][-1]),
            "best": min(curve, key=lambda each: each["loss"]),
            "reached": reached,
            "curve": curve,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--turns", type=int, default=3)
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("torch finds no CUDA device here")
    name = torch.cuda.get_device_name()
    peak = next((rate for known, rate in PEAKS.items() if known in name), None)
    started = time.perf_counter()
    document: dict[str, Any] = {
        "device": name,
        "versions": {"torch": torch.__version__, "cuda": torch.version.cuda},
        "peak_flop_per_second": peak,
        "matrix_flop_per_second": matrix_rate(),
        "turns": arguments.turns,
        "turn_seconds": TURN_SECONDS,
    }

    def keep(**results: Any) -> None:
        document.update(results, seconds=time.perf_counter() - started)
        write(document, arguments.out)
        print(f"{', '.join(results)} after {document['seconds']:.0f} s", flush=True)

    # What compiles needs processors, what trains the GPU: each group compiles while something else is measured.
    speed: list[dict[str, Any]] = []
    trained: list[dict[str, Any]] = []
    small, gemma, large_head = (partial(start, group, arguments.data) for group in GROUPS)
    compiling = small()
    keep(tests=tests())
    speed += told(compete(compiling, arguments.turns), peak)
    compiling = gemma()
    keep(speed=speed)
    for each in TRAININGS[:2]:
        trained.append(train(each, arguments.data))
        keep(training=trained)
    speed += told(compete(compiling, arguments.turns), peak)
    compiling = large_head()
    keep(speed=speed)
    for each in TRAININGS[2:]:
        trained.append(train(each, arguments.data))
        keep(training=trained)
    speed += told(compete(compiling, arguments.turns), peak)
    keep(speed=speed)


if __name__ == "__main__":
    main()
