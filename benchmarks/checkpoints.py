"""What checkpoints and the guard cost: steps with each of them against steps with neither, in turns.

    python benchmarks/checkpoints.py --data DATA [--recipe NAME] [--seconds 60] [--turns 3] [--minutes 2] [--out FILE]

Each turn trains for some minutes with neither, with a checkpoint about every so many seconds, and with a guard that
would roll back; evaluations are left out of the time. The scatter between turns says how far to trust a difference.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

from fabula.data.dataset import open_dataset
from fabula.recipe.presets.by_name import load_recipe
from fabula.recipe.schema import Recipe
from fabula.train.life.run import set_up_training, start_run
from fabula.train.loop import Training
from fabula.train.observer import Observer


def settings() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--recipe", default="modern-portable")
    parser.add_argument("--seconds", type=float, default=60.0, help="between two checkpoints")
    parser.add_argument("--minutes", type=float, default=2.0, help="of one training")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


class Stopwatch(Observer):
    """Wall time from the first step to the last: what a checkpoint takes between two steps counts."""

    def __init__(self) -> None:
        self.started = self.ended = 0.0

    def stepped(self, line: dict) -> None:
        self.ended = time.perf_counter()
        self.started = self.started or self.ended


def prepared(recipe: Recipe, data: Path) -> tuple[Training, Stopwatch]:
    watch = Stopwatch()
    return set_up_training(recipe, open_dataset(data, recipe.tokenizer), 0, watch), watch


def tokens_per_second(recipe: Recipe, data: Path) -> float:
    training, watch = prepared(recipe, data)
    with tempfile.TemporaryDirectory(dir=data.parent) as folder:
        start_run(training, Path(folder) / "run")
    return (recipe.steps - 1) * recipe.positions_per_step / (watch.ended - watch.started)


def main() -> None:
    asked = settings()
    recipe = load_recipe(asked.recipe).with_values(**{"evaluation.sample_tokens": 0})
    step_seconds = prepared(recipe, asked.data)[0].engine.step_seconds
    steps = max(10, round(60 * asked.minutes / step_seconds))
    every = max(1, round(asked.seconds / step_seconds))
    without = recipe.with_values(**{"steps": steps, "evaluation.every": steps, "checkpoint.every": 0})
    kinds = {
        "off": without,
        "checkpoints": without.with_values(**{"checkpoint.every": every}),
        "guard": without.with_values(**{"guard.policy": "rollback"}),
    }
    speeds: dict[str, list[float]] = {kind: [] for kind in kinds}
    for turn in range(asked.turns):
        for kind in list(kinds)[:: 1 if turn % 2 else -1]:  # what the machine does meanwhile meets all of them
            speeds[kind].append(tokens_per_second(kinds[kind], asked.data))
    numbers = {
        "recipe": recipe.name,
        "steps": steps,
        "every": every,
        "seconds": asked.seconds,
        "tokens_per_second": {kind: [round(each, 1) for each in known] for kind, known in speeds.items()},
    }
    print(json.dumps(numbers, indent=1))
    if asked.out:
        asked.out.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
