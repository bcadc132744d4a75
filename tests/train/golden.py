"""The first losses of five recipes on built-in stories, kept in golden.json, so that whoever moves or rewrites code
sees at once that training stayed the same. After a change that means to change them: python -m tests.train.golden
"""

import hashlib
import json
import platform
import tempfile
from pathlib import Path
from typing import Any

import torch

from fabula.data.batches import BatchSource
from fabula.data.dataset import open_dataset
from fabula.data.prepare.preparation import prepare
from fabula.model.kernels.build import processor
from fabula.recipe.presets.by_name import load_recipe
from fabula.train.engine import build_engine

FILE = Path(__file__).with_name("golden.json")
RECIPES = ("basic", "strong", "modern", "modern-portable", "gemma3-nano")
"""Between them: learned and rotary positions, all norms and feed-forwards, sliding windows, AdamW and Muon."""
STEPS, ROWS, THREADS, TOKENIZER = 30, 4, 2, "bpe:512"


def prepared_stories(folder: Path) -> Path:
    prepare("builtin", folder, tokenizer=TOKENIZER, limit=300)
    return folder


def losses(name: str, data: Path, steps: int = STEPS) -> list[float]:
    """The training loss of each of the first steps: the recipe as it is but for rows and vocabulary, in float32, not
    compiled."""
    recipe = load_recipe(name).with_values(**{
        "tokenizer": TOKENIZER, "batch.rows": ROWS, "compute.precision": "float32", "compute.compile": "off",
    })  # fmt: skip
    prepared = open_dataset(data, TOKENIZER)
    batch = recipe.batch
    source = BatchSource(
        prepared, layout=batch.layout, rows=batch.rows, accumulation=batch.accumulation, context=recipe.model.context,
        seed=0, end_of_text=batch.end_of_text, hidden_tokens=batch.hidden_tokens,
    )  # fmt: skip
    engine = build_engine(recipe, prepared.tokenizer.vocabulary, 0)
    return [engine.step(source, step).loss for step in range(1, steps + 1)]


def machine() -> str:
    """What decides the order in which numbers are added: products are written anew for each maker's processors."""
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{platform.machine()}, {shortened(processor())}, {capability}, torch {torch.__version__}"


def shortened(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def main() -> None:
    torch.set_num_threads(THREADS)
    with tempfile.TemporaryDirectory() as folder:
        data = prepared_stories(Path(folder) / "data")
        document: dict[str, Any] = {"machine": machine(), "losses": {name: losses(name, data) for name in RECIPES}}
    FILE.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
