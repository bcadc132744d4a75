"""The folder in which all is tried: some stories, a recipe that trains in a second, a run that nothing happened to."""

import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
from harm.trials.forked import forked

from fabula.data.prepare.preparation import prepare
from fabula.errors import InputError
from fabula.model.load import read_weights
from fabula.recipe.schema import Recipe
from fabula.recipe.toml import to_toml
from fabula.record.checkpoint import read_checkpoint
from fabula.record.reader import read_run

Trial = Callable[[Random], str]
"""A trial returns what went wrong; empty where nothing did."""
STEPS = 40
TRAIN = ["train", "tiny.toml", "--data", "stories", "--out"]
PREPARE = ["prepare", "grammar", "--limit", "60", "--tokenizer", "bpe:300", "--out"]
EXPORT = ["export", "whole", "--to", "hf", "--out"]
REPORT = ["report", "whole", "--out"]
TREE = {
    "name": "tiny", "tokenizer": "bpe:300", "steps": STEPS, "schedule": {"peak": 1e-2, "floor": 1e-3, "warmup": 3},
    "model": {"layers": 1, "width": 16, "heads": 2, "context": 32, "positions": "rope", "norm": "rmsnorm",
              "feed_forward": "swiglu", "head_bias": False, "embedding_scale": "one", "feed_forward_bias": False},
    "batch": {"rows": 4}, "compute": {"precision": "float32", "compile": "off"},
    "evaluation": {"every": 10, "prompts": ["A fox"], "sample_tokens": 4}, "checkpoint": {"every": 4, "keep": 0},
    "record": {"internals": 7},
}  # fmt: skip


def set_up() -> None:
    """Here, in the current folder."""
    prepare("grammar", Path("stories"), tokenizer="bpe:300", validation="0.2", limit=60)
    Path("tiny.toml").write_text(to_toml(Recipe.from_tree(TREE).as_tree()), encoding="utf-8")
    ended = forked([*TRAIN, "whole"])
    assert ended.code == 0, ended.said
    Path("seconds").write_text(str(ended.seconds), encoding="utf-8")


def seconds() -> float:
    """How long the run took that nothing happened to."""
    return float(Path("seconds").read_text(encoding="utf-8"))


def fresh(*names: str) -> None:
    """Remove what an earlier trial has left under such names."""
    for name in names:
        for path in Path().glob(f"*{name}*"):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def differs(folder: Path, whole: Path = Path("whole")) -> str:
    """In what a run is not the one that nothing happened to, bit by bit."""
    try:
        mine, other = read_run(folder), read_run(whole)
    except InputError as error:
        return str(error)
    if mine.status != "finished":
        return f"the status is {mine.status}"
    for name in ("step", "loss", "grad_norm", "learning_rate"):
        if not np.array_equal(mine.train[name], other.train[name], equal_nan=True):
            return f"{name} differs"
    if not np.array_equal(mine.evals["val_loss_subset"], other.evals["val_loss_subset"]):
        return "the evaluations differ"
    if [each["step"] for each in mine.internals] != [each["step"] for each in other.internals]:
        return "the looks inside differ"
    one, two = (read_weights(read_checkpoint(each).model) for each in (folder, whole))
    return "" if all((one[name] == two[name]).all() for name in two) else "the weights differ"


def ends_alike(folder: Path) -> str:
    """Go on with the run in `folder`, or begin it where nothing of it is there; what is then other than it should."""
    again = ["--resume"] if (folder / "run.json").is_file() else []
    ended = forked([*TRAIN, str(folder), *again])
    return differs(folder) if ended.code == 0 else f"code {ended.code}: {ended.last}"
