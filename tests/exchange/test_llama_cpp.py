"""GGUF files: what is in them, and what a real llama.cpp computes from them.

The second needs node and the npm package node-llama-cpp: name the folder where it is installed in NODE_LLAMA_CPP.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.exchange.test_huggingface import run_of
from tests.model.runs import BYTES
from tests.model.shapes import GEMMA, GPT, LLAMA

from fabula.data.tokenizers.bpe import byte_level_json
from fabula.errors import InputError
from fabula.exchange.llama_cpp import export_gguf
from fabula.model.decode.generate import complete
from fabula.model.load import load_model
from fabula.recipe.schema import Model

gguf = pytest.importorskip("gguf")

GEMMA_6 = GEMMA.model_copy(update={"context": 64, "global_every": 6})
SHAPES: dict[str, Model] = {
    "gemma3": GEMMA_6,
    "gemma3 untied": GEMMA_6.model_copy(update={"tied": False, "embedding_scale": "one"}),
    "llama": LLAMA.model_copy(update={"context": 64}),
    "llama tied, scaled, Gemma's norms": LLAMA.model_copy(
        update={"context": 64, "tied": True, "embedding_scale": "sqrt_width", "norm": "rmsnorm_plus_one"}
    ),
    "qwen3": LLAMA.model_copy(update={"context": 64, "qk_norm": True}),
    "arcee": LLAMA.model_copy(update={"context": 64, "feed_forward": "relu_squared"}),
}


ROWS = 270


def run_with_merges(shape: Model, folder: Path) -> Path:
    """A run whose tokenizer merges (llama.cpp asks for one that does) and whose embedding has rows to spare."""
    run = run_of(shape, folder, **{"model.vocabulary": ROWS})
    (run / "tokenizer.json").write_text(byte_level_json(BYTES | {b"th": 257, b"the": 258}, 256))
    return run


@pytest.mark.parametrize("name", SHAPES)
def test_the_file_holds_every_weight_and_the_tokenizer(name: str, tmp_path: Path) -> None:
    run = run_with_merges(SHAPES[name], tmp_path)
    export_gguf(run, tmp_path / "out")
    reader = gguf.GGUFReader(tmp_path / "out" / "model.gguf")
    fields = {key: field.contents() for key, field in reader.fields.items()}
    architecture = name.split()[0].rstrip(",")
    assert fields["general.architecture"] == architecture
    assert fields[f"{architecture}.context_length"] == 64
    assert fields["tokenizer.ggml.bos_token_id"] == fields["tokenizer.ggml.eos_token_id"] == 256
    assert len(fields["tokenizer.ggml.tokens"]) == ROWS and fields["tokenizer.ggml.add_bos_token"]
    model, _, _ = load_model(run)
    num_written = sum(int(tensor.n_elements) for tensor in reader.tensors)
    head = ROWS * 48 if name.startswith("llama tied") else 0  # its embedding is scaled, so the head is written apart
    assert num_written == sum(each.numel() for each in model.parameters()) + head
    modelfile = (tmp_path / "out" / "Modelfile").read_text()
    assert "FROM ./model.gguf" in modelfile and "PARAMETER num_ctx 64" in modelfile
    assert "ollama create" in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        (GPT, "llama.cpp cannot compute this model"),
        (LLAMA.model_copy(update={"feed_forward": "geglu_tanh"}), "cannot have feed_forward"),
        (GEMMA.model_copy(update={"global_every": 3, "rope_local_base": 500.0}), "global_every = 3, rope_local_base"),
        (GEMMA.model_copy(update={"logit_cap": 5.0}), "a logit cap"),
    ],
)
def test_what_llama_cpp_lacks_is_refused(shape: Model, reason: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"{reason}.*use --to hf"):
        export_gguf(run_of(shape, tmp_path), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def ask_llama_cpp(**question: Any) -> dict[str, Any]:
    folder = os.environ["NODE_LLAMA_CPP"]
    script = Path(__file__).with_name("llama_cpp.mjs")
    result = subprocess.run(
        ["node", str(script)], cwd=folder, input=json.dumps(question), capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


@pytest.mark.skipif(
    shutil.which("node") is None or not os.environ.get("NODE_LLAMA_CPP"),
    reason="node is absent, or NODE_LLAMA_CPP names no folder with node-llama-cpp",
)
def test_llama_cpp_chooses_the_same_tokens(tmp_path: Path) -> None:
    """Teacher-forced over greedy text of 60 tokens, the same next token wherever the best leads by more than 1e-3."""
    for number, name in enumerate(SHAPES):
        (tmp_path / str(number)).mkdir()
        compare_with_llama_cpp(name, tmp_path / str(number))


def compare_with_llama_cpp(name: str, tmp_path: Path) -> None:
    run = run_with_merges(SHAPES[name], tmp_path)
    export_gguf(run, tmp_path / "out")
    model, _, tokenizer = load_model(run)
    prompts = [[256, *range(65, 68)], [256]]
    rows = [
        prompt + completion
        for prompt, completion in zip(
            prompts, complete(model, prompts, num_tokens=60, eot=-1, temperature=0, seed=0), strict=True
        )
    ]
    answer = ask_llama_cpp(model=str(tmp_path / "out" / "model.gguf"), rows=rows, prompt="the théme\n")
    assert answer["tokens"] == tokenizer.encode("the théme\n").tolist(), name
    assert answer["bos"] == 256 and answer["addsBos"], name
    num_compared = 0
    for row, theirs in zip(rows, answer["logits"], strict=True):
        with torch.no_grad():
            ours_TV = model(torch.tensor([row]))[0].numpy()
        theirs_TV = np.array(theirs)
        assert np.abs(ours_TV - theirs_TV).max() / np.abs(ours_TV).max() < 5e-3, name
        top_T2 = np.sort(ours_TV, -1)[:, -2:]
        clear_T = top_T2[:, 1] - top_T2[:, 0] > 1e-3
        assert (ours_TV.argmax(-1) == theirs_TV.argmax(-1))[clear_T].all(), name
        num_compared += clear_T.sum()
    assert num_compared > 0.9 * sum(map(len, rows)), name
