"""How long it takes until something happens: help, tokenizing stories, the first step with and without a cache.

python benchmarks/starting.py STORIES --data DIR --out docs/benchmarks/starting.json

STORIES is a folder of .jsonl files with a field `text`; DIR is prepared with what the recipes ask for. fabula (on all
cores, as `fabula prepare` does), tiktoken's batch call and tokenizers' take turns on the same texts in memory.
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

from results import write
from training import spread

from fabula.data.prepare.parallel import ordered_workers
from fabula.data.prepare.preparation import BYTES_A_SECOND
from fabula.data.tokenizers.gpt2 import gpt2_tokenizer
from fabula.record.machine import num_cores
from fabula.record.reader import read_run

FABULA = Path(sys.executable).with_name("fabula")
STORIES_A_PART = 1000


def seconds_of(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def command(*arguments: str, **environment: str) -> None:
    subprocess.run([str(FABULA), *arguments], check=True, capture_output=True, env=os.environ | environment)


def encoders(texts: list[str]) -> dict[str, Callable[[], object]]:
    """Name -> tokenizes all of `texts` as GPT-2 does."""
    import tiktoken
    from tokenizers import Tokenizer

    ours, theirs = gpt2_tokenizer(), tiktoken.get_encoding("gpt2")
    face = Tokenizer.from_str(ours.to_json())
    parts = [texts[start : start + STORIES_A_PART] for start in range(0, len(texts), STORIES_A_PART)]
    seconds = sum(len(text) for text in texts) / BYTES_A_SECOND

    def fabula() -> None:
        with ordered_workers(seconds) as run:
            for _ in run(ours.encode_flat, parts):
                pass

    found: dict[str, Callable[[], object]] = {"fabula": fabula}
    for threads in sorted({1, num_cores()}):
        name = f"tiktoken, {threads} thread{'s' if threads > 1 else ''}"
        found[name] = lambda n=threads: theirs.encode_ordinary_batch(texts, num_threads=n)
    found["tokenizers"] = lambda: face.encode_batch_fast(texts)
    return found


def tokenizing(stories: Path, turns: int) -> dict[str, Any]:
    """All encoders in turns, and the whole of `fabula prepare`, which reads the files, splits them, looks for
    near-duplicates and writes the folder, too."""
    texts = [json.loads(line)["text"] for path in sorted(stories.glob("*.jsonl")) for line in path.open("rb")]
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    rates: dict[str, list[float]] = {}
    found = encoders(texts)
    with tempfile.TemporaryDirectory() as scratch:
        for turn in range(turns):
            prepare = ("prepare", str(stories), "--tokenizer", "gpt2", "--out", f"{scratch}/{turn}")
            whole = {"fabula prepare, all of it": lambda arguments=prepare: command(*arguments)}
            for name, encode in (found | whole).items():
                rates.setdefault(name, []).append(megabytes / seconds_of(encode))
    best = max((name for name in found if name.startswith("tiktoken")), key=lambda name: statistics.median(rates[name]))
    ratios = [one / other for one, other in zip(rates["fabula"], rates[best], strict=True)]
    return {
        "stories": len(texts),
        "megabytes": megabytes,
        "megabytes_per_second": {name: spread(each) for name, each in rates.items()},
        "fastest_tiktoken": best,
        "over_fastest_tiktoken": spread(ratios),
    }


def first_step(data: Path, recipe: str) -> dict[str, float]:
    """Seconds from the start of the process to the first step, with an empty cache of compiled code and with a full
    one; the evaluation before step 1 is told apart. torch keeps the header of all kernels, compiled, in the folder for
    temporary files, whatever the cache: a machine that has never compiled lacks that, too."""
    seconds = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("first", "second"):
            run = Path(scratch) / name
            arguments = ("train", recipe, "--data", str(data), "--out", str(run), "--steps", "1")
            settings = ("--set", "compute.compile=on")
            whole = seconds_of(
                lambda each=(*arguments, *settings): command(
                    *each, TORCHINDUCTOR_CACHE_DIR=f"{scratch}/cache", TMPDIR=scratch
                )
            )
            record = read_run(run)
            timings, before = record.info["timings"], float(record.evals["evaluation_seconds"][0])
            seconds[f"{name}_until_training"] = whole - timings["total_seconds"]
            seconds[f"{name}_compile"] = timings["compile_seconds"]
            seconds[f"{name}_evaluation"] = before
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stories", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--recipes", nargs="+", default=["basic", "modern"])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    document = {
        "cores": num_cores(),
        "turns": arguments.turns,
        "help_seconds": spread([seconds_of(lambda: command("--help")) for _ in range(2 * arguments.turns)]),
        "tokenizing": tokenizing(arguments.stories, arguments.turns),
        "start_seconds": {recipe: first_step(arguments.data, recipe) for recipe in arguments.recipes},
    }
    write(document, arguments.out)


if __name__ == "__main__":
    main()
