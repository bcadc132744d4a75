"""Trainings of a second: a recipe of a few thousand parameters, and what two runs are compared by."""

import json
import re
import threading
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from fabula.data.dataset import Dataset, open_dataset
from fabula.recipe.schema import Recipe
from fabula.recipe.toml import to_toml
from fabula.record.checkpoint import read_checkpoint
from fabula.train.life.checkpoints.background import NAME
from fabula.train.life.run import set_up_training, start_run
from fabula.train.loop import Training
from fabula.train.observer import Observer

TREE: dict[str, Any] = {
    "name": "tiny",
    "tokenizer": "bpe:512",
    "steps": 12,
    "model": {"layers": 1, "width": 16, "heads": 2, "context": 32},
    "schedule": {"peak": 1e-2, "floor": 1e-3, "warmup": 3},
    "batch": {"rows": 4},
    "compute": {"precision": "float32", "compile": "off"},
    "evaluation": {"every": 5, "prompts": ["Once upon a time", "One day"], "sample_tokens": 6},
    "checkpoint": {"every": 4, "keep": 0},
}
TIMES = re.compile(r"^seconds$|_seconds$|_per_second$")


def tiny(**values: Any) -> Recipe:
    """The tiny recipe; `tiny(batch__rows=2)` sets batch.rows."""
    return Recipe.from_tree(TREE).with_values(**{key.replace("__", "."): value for key, value in values.items()})


def tiny_file(folder: Path, **values: Any) -> str:
    """The tiny recipe as a file, for the command line."""
    path = folder / "tiny.toml"
    path.write_text(to_toml(tiny(**values).as_tree()))
    return str(path)


def tiny_training(
    folder: Path, recipe: Recipe | None = None, seed: int = 0, observer: Observer | None = None
) -> Training:
    return set_up_training(recipe or tiny(), data_in(folder), seed, observer or Observer())


def data_in(folder: Path) -> Dataset:
    return open_dataset(folder, "bpe:512")


def tiny_run(folder: Path, out: Path, recipe: Recipe | None = None, seed: int = 0) -> Path:
    assert start_run(tiny_training(folder, recipe, seed), out) == "finished"
    return out


class StopAfter(Observer):
    """Wants to stop after update `step`, as Ctrl-C does."""

    def __init__(self, step: int) -> None:
        self.step = step
        self._seen = 0

    def stepped(self, line: dict[str, Any]) -> None:
        self._seen = line["step"]

    def stopping(self) -> bool:
        return self._seen >= self.step


def checkpoints_written() -> None:
    """Wait for the checkpoint that a training is writing beside its steps."""
    for thread in threading.enumerate():
        if thread.name.startswith(NAME):
            thread.join()


def metrics(run: Path, events: bool = True) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl but for times."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [
        {name: value for name, value in line.items() if not TIMES.search(name)}
        for line in lines
        if events or line["kind"] != "event"
    ]


def samples(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "samples.jsonl").read_text().splitlines()]


def tensors(run: Path, step: int | None = None) -> dict[str, torch.Tensor]:
    """Weights and moments of a checkpoint."""
    checkpoint = read_checkpoint(run, step)
    return load_file(checkpoint.model) | load_file(checkpoint.optimizer)


def same_tensors(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    """Bit for bit."""
    return first.keys() == second.keys() and all(
        first[name].dtype == second[name].dtype and torch.equal(first[name], second[name]) for name in first
    )
