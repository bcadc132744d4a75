"""Runs as their records have them, made line by line: what a tracker is told of needs no training."""

from pathlib import Path
from typing import Any

from fabula.recipe import load_recipe
from fabula.recipe.toml import to_toml
from fabula.record.writer import RunWriter

INFO: dict[str, Any] = {
    "format": 1, "status": "running", "recipe": "basic/packed", "seed": 3, "device": "cpu", "threads": 2,
    "parameters": {"total": 7_291_345}, "data": {"path": "/mnt/secret/stories", "tokenizer": "gpt2"},
}  # fmt: skip


def begun(folder: Path) -> RunWriter:
    recipe = load_recipe("basic/packed").with_values(steps=40)
    return RunWriter.create(folder, to_toml(recipe.as_tree()), "{}", INFO)


def make_steps(writer: RunWriter, first: int, last: int, loss: float = 6.0) -> None:
    """Lines of the updates `first` to `last`: at step 5 a loss that is not finite, at each tenth an evaluation and a
    completion."""
    for step in range(first, last + 1):
        falling = loss - 0.01 * step
        if step:
            writer.train(
                step=step, tokens=100 * step, positions=120 * step, loss=float("nan") if step == 5 else falling,
                grad_norm=1.0 + 0.001 * step, learning_rate=1e-3, seconds=0.1 * step, tokens_per_second=1000.0,
            )  # fmt: skip
        if step % 10 == 0:
            writer.evaluation(step=step, tokens=100 * step, train_loss=falling, val_loss=falling + 0.1, full=step == 40)
            writer.sample(step=step, prompt="Once <b>upon</b>", completion=" a time\nthere *was*", final=False)


def finished(folder: Path) -> Path:
    with begun(folder) as writer:
        writer.event(0, "started")
        make_steps(writer, 0, 40)
        writer.event(40, "finished")
        writer.close("finished", steps_done=40)
    return folder
