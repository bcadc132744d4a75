"""Whether a rollback brings an aggressive learning rate to where a sane one ends.

    python benchmarks/guard.py --data DATA [--recipe NAME] [--set KEY=VALUE ...] [--rates 1 3 10 30] [--steps 1000]
        [--out FILE]

Trains the recipe at multiples of its peak, each with `guard.policy` skip and rollback, and tells of each run its final
validation loss, whether it failed, and its rollbacks. The first rate is the sane one.
"""

import argparse
import json
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from results import write

from fabula.data.dataset import open_dataset
from fabula.recipe.presets.by_name import apply_settings, load_recipe
from fabula.recipe.scaling import with_steps
from fabula.recipe.schema import Recipe
from fabula.record.reader import read_run
from fabula.train.life.run import set_up_training, start_run
from fabula.train.loop import TrainingFailed
from fabula.train.observer import Observer


def settings() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--recipe", default="strong")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE")
    parser.add_argument("--rates", type=float, nargs="+", default=[1.0, 3.0, 10.0, 30.0])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def trained(recipe: Recipe, data: Path, seed: int) -> dict[str, Any]:
    training = set_up_training(recipe, open_dataset(data, recipe.tokenizer), seed, Observer())
    with tempfile.TemporaryDirectory(dir=data.parent) as folder:
        run = Path(folder) / "run"
        with suppress(TrainingFailed):  # its record says so
            start_run(training, run)
        record = read_run(run)
    back = [(each["step"], each["to_step"]) for each in record.events if each["event"] == "rolled_back"]
    losses = record.evals["val_loss"].tolist()
    return {"status": record.status, "val_loss": losses[-1], "rollbacks": back}


def main() -> None:
    asked = settings()
    recipe = apply_settings(with_steps(load_recipe(asked.recipe), asked.steps), asked.settings)
    recipe = recipe.with_values(**{"checkpoint.every": max(1, asked.steps // 40), "evaluation.sample_tokens": 0})
    runs = []
    for rate in asked.rates:
        for policy in ("skip", "rollback"):
            values = {"schedule.peak": rate * recipe.schedule.peak, "guard.policy": policy}
            told = trained(recipe.with_values(**values), asked.data, asked.seed)
            runs.append({"times": rate, "rate": values["schedule.peak"], "policy": policy, **told})
            print(json.dumps(runs[-1]), flush=True)
    if asked.out:
        write({"recipe": recipe.name, "steps": asked.steps, "settings": asked.settings, "runs": runs}, asked.out)


if __name__ == "__main__":
    main()
