"""What `record.internals` costs: a step with and without a look inside, in turns; medians.

python benchmarks/looking_inside.py STORIES_FOLDER [RECIPE ...] > docs/measured/looking_inside.jsonl
"""

import json
import statistics
import sys
import time
from pathlib import Path

import torch

from fabula.data.batches import BatchSource
from fabula.data.dataset import open_dataset
from fabula.recipe import load_recipe
from fabula.train.engine import build_engine, warm_up
from fabula.train.update.internals import Inside

PAIRS = 7
EVERY = 20
"""Steps between looks for which the share is told."""


def measure(folder: Path, name: str) -> dict[str, object]:
    recipe = load_recipe(name)
    data = open_dataset(folder, recipe.tokenizer)
    recipe = recipe.with_values(**{"model.vocabulary": data.tokenizer.vocabulary})
    source = BatchSource(
        data, layout=recipe.batch.layout, rows=recipe.batch.rows, accumulation=recipe.batch.accumulation,
        context=recipe.model.context, seed=0, end_of_text=recipe.batch.end_of_text,
        hidden_tokens=recipe.batch.hidden_tokens,
    )  # fmt: skip
    engine = build_engine(recipe, recipe.vocabulary, seed=0)
    warm_up(engine, source, lambda _: None)
    some_hidden = recipe.batch.hidden_tokens > 0
    plain, looked = [], []
    for step in range(1, 2 * PAIRS + 1):
        looking = step % 2 == 0
        started = time.perf_counter()
        inside = None
        if looking:
            rows = torch.from_numpy(source.batch(step, 0).inputs_BT[:1]).to(engine.device)
            inside = Inside.before(engine.model, rows, some_hidden)
        result = engine.step(source, step)
        if inside is not None:
            inside.after(result, recipe.optimizer.clip)
        (looked if looking else plain).append(time.perf_counter() - started)
    without, with_look = statistics.median(plain), statistics.median(looked)
    return {
        "recipe": name,
        "device": str(engine.device),
        "compile": engine.choices["compile"].value,
        "pairs": PAIRS,
        "step_seconds": round(without, 4),
        "step_seconds_with_look": round(with_look, 4),
        "share_at_20": round((with_look - without) / without / EVERY, 5),
        "spread": [round(max(each) - min(each), 4) for each in (plain, looked)],
    }


if __name__ == "__main__":
    for each in sys.argv[2:] or ["basic", "modern"]:
        print(json.dumps(measure(Path(sys.argv[1]), each)), flush=True)
