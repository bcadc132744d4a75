"""Whether a run says elsewhere what it says here: greedy text and logits in fabula, transformers and llama.cpp.

python benchmarks/elsewhere.py RUN [RUN ...] --llama-cpp FOLDER --out docs/benchmarks/elsewhere.json

Each run is exported both ways. transformers continues the prompts of the recipe by itself, float32, greedy, and must
choose the same tokens. llama.cpp (float32 weights and cache) is shown the texts token by token and must name the same
next one wherever the likeliest leads by more than `CLEAR`: nearer than that, orders of the same sums may differ. The
Hugging Face folder is also read back. FOLDER is where the npm package node-llama-cpp is installed; without it llama.cpp
is left out. Exits with 1 where something differs.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from results import versions_of_peers, write
from torch import Tensor

from fabula.exchange.huggingface import export_hf
from fabula.exchange.llama_cpp import export_gguf
from fabula.exchange.reading import load_hf
from fabula.model.decode.generate import complete
from fabula.model.decoder import Decoder
from fabula.model.load import load_model, put_weights

NUM_TOKENS = 64
CLEAR = 1e-3
"""Nats between the best and the second-best token from which both programs must agree."""
SCRIPT = Path(__file__).parent.parent / "tests" / "exchange" / "llama_cpp.mjs"


def logits_of(model: Any, rows: list[list[int]]) -> list[NDArray[np.float32]]:
    """Logits (T, V) after each token of each row."""
    with torch.no_grad():
        outputs = [model(torch.tensor([row])) for row in rows]
    tensors: list[Tensor] = [each if isinstance(each, Tensor) else each.logits for each in outputs]
    return [each[0].numpy() for each in tensors]


def difference(theirs: list[NDArray[np.float32]], ours: list[NDArray[np.float32]]) -> float:
    """max |difference| / max |ours| over all rows."""
    return float(
        max(np.abs(a - b).max() for a, b in zip(theirs, ours, strict=True)) / max(np.abs(a).max() for a in ours)
    )


def in_transformers(folder: Path, prompts: list[str], rows: list[list[int]], ours: list[NDArray[np.float32]]) -> Any:
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    texts = []
    for prompt in prompts:
        inputs = tokenizer(prompt, return_tensors="pt")
        output = model.generate(
            **inputs, max_new_tokens=NUM_TOKENS, do_sample=False, eos_token_id=None, pad_token_id=tokenizer.eos_token_id
        )
        texts.append(output[0].tolist())
    return {
        "architecture": type(model).__name__,
        "same_texts": sum(text == row for text, row in zip(texts, rows, strict=True)),
        "logits_difference": difference(logits_of(model, rows), ours),
    }


def in_llama_cpp(file: Path, node: Path, rows: list[list[int]], ours: list[NDArray[np.float32]]) -> Any:
    question = json.dumps({"model": str(file), "rows": rows, "prompt": ""})
    answer = subprocess.run(
        ["node", str(SCRIPT)], cwd=node, input=question, stdout=subprocess.PIPE, text=True, check=True
    )
    theirs = [np.array(each, dtype=np.float32) for each in json.loads(answer.stdout)["logits"]]
    num_clear = num_same = 0
    for our_TV, their_TV in zip(ours, theirs, strict=True):
        top_T2 = np.sort(our_TV, -1)[:, -2:]
        clear_T = top_T2[:, 1] - top_T2[:, 0] > CLEAR
        num_clear += int(clear_T.sum())
        num_same += int((our_TV.argmax(-1) == their_TV.argmax(-1))[clear_T].sum())
    return {
        "positions": sum(map(len, rows)),
        "clear_positions": num_clear,
        "same_next_token": num_same,
        "logits_difference": difference(theirs, ours),
    }


def read_back(folder: Path, rows: list[list[int]], ours: list[NDArray[np.float32]]) -> float:
    """The difference of the logits after export and --init-from."""
    shape, weights = load_hf(folder)
    model = Decoder(shape, len(weights["embedding.weight"]))
    put_weights(model, weights, str(folder), "config.json")
    return difference(logits_of(model.eval(), rows), ours)


def compare(run: Path, node: Path | None) -> dict[str, Any]:
    """What the run at its latest checkpoint says here and elsewhere."""
    model, recipe, tokenizer = load_model(run)
    prompts = ["Once upon a time", *recipe.evaluation.prompts]
    beginnings = [[tokenizer.eot, *tokenizer.encode(text).tolist()] for text in prompts]
    completions = complete(model, beginnings, num_tokens=NUM_TOKENS, eot=-1, temperature=0, seed=0)
    rows = [beginning + completion for beginning, completion in zip(beginnings, completions, strict=True)]
    ours = logits_of(model, rows)
    result: dict[str, Any] = {"recipe": recipe.name, "tokens": NUM_TOKENS, "prompts": len(prompts)}
    result["texts"] = [tokenizer.decode(row[1:]) for row in rows]
    with tempfile.TemporaryDirectory() as scratch:
        hf = Path(scratch) / "hf"
        result["step"] = export_hf(run, hf).step
        result["transformers"] = in_transformers(hf, prompts, rows, ours)
        result["read_back_difference"] = read_back(hf, rows, ours)
        export_gguf(run, Path(scratch) / "gguf")
        if node is not None:
            result["llama.cpp"] = in_llama_cpp(Path(scratch) / "gguf" / "model.gguf", node, rows, ours)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--llama-cpp", type=Path)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    node = arguments.llama_cpp
    results = [compare(run, node) for run in arguments.runs]
    write({"versions": versions_of_peers(node), "clear": CLEAR, "results": results}, arguments.out)
    different = any(
        each["transformers"]["same_texts"] < each["prompts"]
        or each.get("llama.cpp", {}).get("same_next_token") != each.get("llama.cpp", {}).get("clear_positions")
        for each in results
    )
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
