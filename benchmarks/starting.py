"""How long it takes until something happens: help, preparing stories, the first step of a run with and without a cache.

python benchmarks/starting.py STORIES --data DIR --out docs/benchmarks/starting.json

STORIES is a folder of .jsonl files with a field `text`; DIR is prepared with gpt2. Preparation and tiktoken take turns:
fabula reads, splits, removes duplicates, encodes and writes; tiktoken encodes texts that are in memory.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fabula.text.gpt2 import gpt2_tokenizer
from fabula.text.parallel import num_cores

FABULA = Path(sys.executable).with_name("fabula")


def seconds_of(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def command(*arguments: str, **environment: str) -> None:
    subprocess.run([str(FABULA), *arguments], check=True, capture_output=True, env=os.environ | environment)


def preparing(stories: Path, turns: int) -> dict[str, Any]:
    import tiktoken

    texts = [json.loads(line)["text"] for path in sorted(stories.glob("*.jsonl")) for line in path.open("rb")]
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    gpt2_tokenizer()
    encoding = tiktoken.get_encoding("gpt2")
    times: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for turn in range(turns):
            out = str(Path(scratch) / str(turn))
            prepare = ("prepare", str(stories), "--tokenizer", "gpt2", "--out", out)
            times.setdefault("fabula prepare", []).append(seconds_of(lambda arguments=prepare: command(*arguments)))
            for threads in sorted({1, num_cores()}):
                name = f"tiktoken, {threads} thread{'s' if threads > 1 else ''}"
                encode = seconds_of(lambda n=threads: encoding.encode_ordinary_batch(texts, num_threads=n))
                times.setdefault(name, []).append(encode)
    return {
        "stories": len(texts),
        "megabytes": megabytes,
        "seconds": {name: statistics.median(each) for name, each in times.items()},
    }


def first_step(data: Path, recipe: str) -> dict[str, float]:
    """Seconds that a run of one step takes without its evaluations, with an empty cache and with a full one."""
    seconds = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("first", "second"):
            run = Path(scratch) / name
            arguments = ("train", recipe, "--data", str(data), "--out", str(run), "--steps", "1")
            settings = ("--set", "compute.compile=on", "--set", "evaluation.sample_tokens=0")
            whole = seconds_of(
                lambda each=(*arguments, *settings): command(*each, TORCHINDUCTOR_CACHE_DIR=f"{scratch}/cache")
            )
            timings = json.loads((run / "run.json").read_text(encoding="utf-8"))["timings"]
            seconds[f"{name}_until_training"] = whole - timings["evaluation_seconds"]
            seconds[f"{name}_compile"] = timings["compile_seconds"]
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stories", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--recipe", default="basic")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    document = {
        "cores": num_cores(),
        "turns": arguments.turns,
        "help_seconds": statistics.median(seconds_of(lambda: command("--help")) for _ in range(arguments.turns)),
        "preparing": preparing(arguments.stories, arguments.turns),
        "recipe": arguments.recipe,
        "start_seconds": first_step(arguments.data, arguments.recipe),
    }
    print(json.dumps(document, indent=1))
    if arguments.out is not None:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
