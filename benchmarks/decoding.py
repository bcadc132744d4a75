"""How fast text is generated: fabula, transformers and llama.cpp with the same weights, in turns, in one run.

python benchmarks/decoding.py RUN|RECIPE ... --llama-cpp FOLDER --out docs/benchmarks/decoding.json

A recipe's name stands for a run of its shape with random weights, which decode as fast as any. Greedy, float32, each
contender given the same prompt and asked for the same number of tokens, end-of-text ignored. The contenders take turns,
so that whatever else the machine does meets them alike; a ratio is the median of the turns' ratios. fabula's time is
that of one call of `complete`, which arranges the weights and fills the caches afresh; transformers' that of one call
of `generate`; llama.cpp's begins when its context exists. FOLDER is where the npm package node-llama-cpp is installed.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from results import versions_of_peers, write
from safetensors.torch import save_file

from fabula.data.tokenizers.gpt2 import gpt2_tokenizer
from fabula.errors import InputError
from fabula.exchange.huggingface import export_hf
from fabula.exchange.llama_cpp import export_gguf
from fabula.model.decode.generate import complete
from fabula.model.decoder import Decoder
from fabula.model.initialization import initialize
from fabula.model.load import load_model
from fabula.recipe.presets.by_name import load_recipe
from fabula.recipe.toml import to_toml
from fabula.record.checkpoint import write_checkpoint
from fabula.record.files import write_json, write_text

PROMPT = "Once upon a time there was a"
Contender = Callable[[int], tuple[float, list[int]]]
"""Rows -> seconds, and the tokens of the first row."""


class LlamaCpp:
    """A process of llama.cpp that answers one line of JSON with another."""

    def __init__(self, folder: Path, model: Path, prompt: list[int], num_tokens: int, threads: int, rows: int) -> None:
        script = Path(__file__).with_suffix(".mjs")
        self.process = subprocess.Popen(
            ["node", str(script)], cwd=folder, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._ask(model=str(model), prompt=prompt, numTokens=num_tokens, threads=threads, rows=rows)

    def _ask(self, **question: Any) -> Any:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def __call__(self, rows: int) -> tuple[float, list[int]]:
        answer = self._ask(rows=rows)
        return answer["seconds"], answer["tokens"]

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def random_run(name: str, folder: Path) -> Path:
    """A run folder of the recipe `name` (GPT-2's vocabulary) with the weights that training would begin with."""
    tokenizer = gpt2_tokenizer()
    recipe = load_recipe(name).with_values(**{"model.vocabulary": tokenizer.vocabulary})
    model = Decoder(recipe.model, recipe.vocabulary)
    initialize(model, recipe.initialization, seed=0)
    folder.mkdir()
    write_text(folder / "recipe.toml", to_toml(recipe.as_tree()))
    write_text(folder / "tokenizer.json", tokenizer.to_json())
    write_json(folder / "run.json", {"status": "made for a benchmark"})
    write_checkpoint(folder, 0, {"model.safetensors": lambda path: save_file(model.state_dict(), path)}, {})
    return folder


def contenders(
    run: Path, folder: Path, num_tokens: int, threads: int, rows: int, llama_cpp: Path | None
) -> dict[str, Any]:
    """Name -> contender, with the weights of `run` exported into `folder`."""
    import transformers

    model, _, tokenizer = load_model(run)
    prompt = [tokenizer.eot, *tokenizer.encode(PROMPT).tolist()]
    export_hf(run, folder / "hf")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder / "hf").eval()

    def fabula(rows: int) -> tuple[float, list[int]]:
        started = time.perf_counter()
        out = complete(model, [prompt] * rows, num_tokens=num_tokens, eot=-1, temperature=0, seed=0)
        return time.perf_counter() - started, out[0]

    def hugging_face(rows: int) -> tuple[float, list[int]]:
        inputs = torch.tensor([prompt] * rows)
        started = time.perf_counter()
        out = theirs.generate(
            inputs,
            attention_mask=torch.ones_like(inputs),
            max_new_tokens=num_tokens,
            do_sample=False,
            eos_token_id=None,
            pad_token_id=0,
        )
        return time.perf_counter() - started, out[0, len(prompt) :].tolist()

    chosen: dict[str, Any] = {"fabula": fabula, "transformers": hugging_face}
    if llama_cpp is not None:
        try:
            export_gguf(run, folder / "gguf")
        except InputError as error:
            print(f"llama.cpp is left out: {error}", file=sys.stderr)
        else:
            file = folder / "gguf" / "model.gguf"
            # Its threads wait for each other without sleeping: on a machine with other work one can be faster than two.
            for number in sorted({threads, 1}, reverse=True):
                name = "llama.cpp" if number == threads else "llama.cpp on 1 thread"
                chosen[name] = LlamaCpp(llama_cpp, file, prompt, num_tokens, number, rows)
    return chosen


def race(chosen: dict[str, Contender], rows: int, num_tokens: int, turns: int) -> dict[str, Any]:
    """Tokens a second of each contender, turn by turn, and what they say about each other."""
    seconds: dict[str, list[float]] = {name: [] for name in chosen}
    texts = {name: run(rows)[1] for name, run in chosen.items()}  # the first call warms up
    for _ in range(turns):
        for name, run in chosen.items():
            seconds[name].append(run(rows)[0])
    ours = seconds["fabula"]
    ratios = {
        name: [theirs / our for theirs, our in zip(each, ours, strict=True)]
        for name, each in seconds.items()
        if name != "fabula"
    }
    return {
        "rows": rows,
        "tokens": num_tokens,
        "turns": turns,
        "tokens_per_second": {name: rows * num_tokens / statistics.median(each) for name, each in seconds.items()},
        "fabula_is_faster_by": {name: statistics.median(each) for name, each in ratios.items()},
        "quartiles_of_that": {name: statistics.quantiles(each, n=4)[::2] for name, each in ratios.items()},
        "same_text_as_fabula": {name: text == texts["fabula"] for name, text in texts.items() if name != "fabula"},
        "seconds": seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN|RECIPE")
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--tokens", type=int, default=100)
    parser.add_argument("--turns", type=int, default=9, help="at least 2, so that there is a spread")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--llama-cpp", type=Path)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    results = []
    for name in arguments.runs:
        with tempfile.TemporaryDirectory() as folder:
            run = Path(name) if Path(name).is_dir() else random_run(name, Path(folder) / "run")
            chosen = contenders(
                run, Path(folder), arguments.tokens, arguments.threads, max(arguments.rows), arguments.llama_cpp
            )
            _, recipe, _ = load_model(run)
            for rows in arguments.rows:
                result = {"recipe": recipe.name, **race(chosen, rows, arguments.tokens, arguments.turns)}
                results.append(result)
                speeds = ", ".join(f"{name} {each:,.0f}" for name, each in result["tokens_per_second"].items())
                ratios = ", ".join(f"{each:.2f} x {name}" for name, each in result["fabula_is_faster_by"].items())
                print(f"{recipe.name}, {rows} rows: {speeds} tokens/s; fabula is {ratios}")
            for each in chosen.values():
                if isinstance(each, LlamaCpp):
                    each.close()
    document = {
        "threads": arguments.threads,
        "processor": platform.processor() or platform.machine(),
        "versions": versions_of_peers(arguments.llama_cpp),
        "results": results,
    }
    write(document, arguments.out)


if __name__ == "__main__":
    main()
