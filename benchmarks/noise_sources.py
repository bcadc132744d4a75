"""What makes a seed's number noisy: the initial draw, the order of the stories, or both together.

    python benchmarks/noise_sources.py --data DATA [--recipe demo] [--steps 300] [--seeds 4]

Trains the recipe with every initial draw under every order, N x N runs, and takes the variance of the final validation
loss apart (two-way analysis of variance with one run a cell, so that what is left holds their interaction). A part that
phases share by seed, and that moves them alike, would cancel in a difference of phases.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

from fabula.data.dataset import open_dataset
from fabula.recipe.presets.by_name import apply_settings, load_recipe
from fabula.recipe.scaling import with_steps
from fabula.record.reader import read_run
from fabula.train.life.run import set_up_training, start_run
from fabula.train.observer import Observer


def settings() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--recipe", default="demo")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=4)
    return parser.parse_args()


def main() -> None:
    asked = settings()
    recipe = apply_settings(with_steps(load_recipe(asked.recipe), asked.steps), asked.settings)
    recipe = recipe.with_values(**{"evaluation.sample_tokens": 0, "checkpoint.every": 0})
    data = open_dataset(asked.data, recipe.tokenizer)
    loss_IO = np.empty((asked.seeds, asked.seeds))  # I initial draws, O orders
    for draw, order in np.ndindex(loss_IO.shape):
        training = set_up_training(recipe, data, draw, Observer())
        training.source = set_up_training(recipe, data, order, Observer()).source
        with tempfile.TemporaryDirectory(dir=asked.data.parent) as folder:
            start_run(training, Path(folder) / "run")
            loss_IO[draw, order] = read_run(Path(folder) / "run").evals["val_loss"][-1]
        print(json.dumps({"draw": draw, "order": order, "val_loss": loss_IO[draw, order]}), flush=True)
    print(json.dumps(parts(loss_IO)))


def parts(loss_IO: np.ndarray) -> dict[str, float]:
    """Estimated variances of the draw, of the order, and of what is left, and the deviation of all three together."""
    num = len(loss_IO)
    by_draw, by_order, mean = loss_IO.mean(1), loss_IO.mean(0), loss_IO.mean()
    left = ((loss_IO - by_draw[:, None] - by_order[None, :] + mean) ** 2).sum() / (num - 1) ** 2
    found = {"draw": by_draw.var(ddof=1) - left / num, "order": by_order.var(ddof=1) - left / num, "left": left}
    return {name: float(max(0.0, each)) for name, each in found.items()} | {
        "deviation": float(np.sqrt(sum(max(0.0, each) for each in found.values())))
    }


if __name__ == "__main__":
    main()
