"""What checkpoints and the guard cost: steps with each of them against steps with neither, in turns.

    python benchmarks/checkpoints.py --data DATA [--recipe NAME] [--seconds 10] [--turns 5] [--minutes 1] [--out FILE]

Each turn trains for a minute with neither, with a checkpoint about every ten seconds, and with a guard that would roll
back; evaluations are left out of the time. Six times as many checkpoints as people make in a minute let their cost be
seen above what the machine does by itself; it is told for one checkpoint a minute. DATA with few validation stories
(`fabula prepare ... --limit 4000 --validation 0.01`) spares most of the waiting: each training ends with evaluations.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from results import write

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
    parser.add_argument("--seconds", type=float, default=10.0, help="between two checkpoints")
    parser.add_argument("--minutes", type=float, default=1.0, help="of one training")
    parser.add_argument("--turns", type=int, default=5)
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


def seconds_of(recipe: Recipe, data: Path) -> float:
    training, watch = prepared(recipe, data)
    with tempfile.TemporaryDirectory(dir=data.parent) as folder:
        start_run(training, Path(folder) / "run")
    return watch.ended - watch.started


def share(seconds: list[float], of: list[float]) -> list[float]:
    """How much longer each took than the one of its turn."""
    return [one / other - 1 for one, other in zip(seconds, of, strict=True)]


def low_median_high(values: list[float]) -> list[float]:
    return [round(each, 4) for each in (min(values), statistics.median(values), max(values))]


def main() -> None:
    asked = settings()
    recipe = load_recipe(asked.recipe).with_values(**{"evaluation.sample_tokens": 0})
    step_seconds = prepared(recipe, asked.data)[0].engine.step_seconds
    steps = max(10, round(60 * asked.minutes / step_seconds))
    every = max(1, round(asked.seconds / step_seconds))
    num_checkpoints = (steps - 1) // every  # the last one comes behind the last step
    if num_checkpoints < 1:
        raise SystemExit(f"no checkpoint comes within {steps} steps; give more --minutes or fewer --seconds")
    without = recipe.with_values(**{"steps": steps, "evaluation.every": steps, "checkpoint.every": 0})
    kinds = {
        "off": without,
        "checkpoints": without.with_values(**{"checkpoint.every": every}),
        "guard": without.with_values(**{"guard.policy": "rollback"}),
    }
    took: dict[str, list[float]] = {kind: [] for kind in kinds}
    for turn in range(asked.turns):
        for kind in list(kinds)[:: 1 if turn % 2 else -1]:  # what the machine does meanwhile meets all of them
            took[kind].append(seconds_of(kinds[kind], asked.data))
            print(turn, kind, f"{took[kind][-1]:.2f} s", flush=True)
    of_all = share(took["checkpoints"], took["off"])
    a_minute = [each * seconds / num_checkpoints / 60 for each, seconds in zip(of_all, took["off"], strict=True)]
    numbers = {
        "recipe": recipe.name,
        "steps": steps,
        "checkpoints": num_checkpoints,
        "seconds": {kind: [round(each, 2) for each in known] for kind, known in took.items()},
        "one_checkpoint_a_minute": low_median_high(a_minute),
        "guard": low_median_high(share(took["guard"], took["off"])),
    }
    write(numbers, asked.out)


if __name__ == "__main__":
    main()
