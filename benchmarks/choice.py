"""Is the plan's choice the best use of the time? Its size against a grid of sizes and rates, and against presets.

python benchmarks/choice.py --data DIR --minutes 2 --runs FOLDER --out docs/measured/choice-2-many.json

Every contender trains for so many minutes, evaluations not counted: for as many steps as go into them at the step's
time. Those are measured first, all in turns, and taken as on the idle machine of speeds.toml, of which one size is in
both. The steps are then fixed, so what else this machine does changes nothing. Of the sizes at their preset's rate, the
loss that the law expects is written down before the first run, and stays: with a record that is there its contenders
are made that have no loss yet.
"""

import argparse
import json
import statistics
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from results import write

from fabula.data.dataset import Dataset, open_dataset
from fabula.recipe.presets.by_name import load_recipe
from fabula.recipe.presets.files import FAMILIES
from fabula.recipe.presets.shapes import Size, in_size, multiplying
from fabula.recipe.scaling import with_steps
from fabula.recipe.schema import Recipe
from fabula.recipe.toml import to_toml
from fabula.record.reader import read_run
from fabula.study.frontier.choice import Candidate, best, most_tokens
from fabula.study.frontier.known import expectation, knowledge_for
from fabula.train.life.length.probing import step_seconds
from fabula.train.machine.pace import usual_seconds

FABULA = Path(sys.executable).with_name("fabula")
FAMILY = FAMILIES[0]
SIZES = (Size(1, 64), Size(2, 64), Size(3, 96), Size(2, 128))
RATES = (1.0, 2.0, 0.5)
"""Times the preset's."""
PRESETS = (FAMILY, "modern-portable", "basic/packed")
PRESET_SIZE, IN_BOTH = Size(4, 128), Size(3, 96)
TURNS = 3
ONLY_ENDS = {"evaluation.sample_tokens": 0, "evaluation.every": 1_000_000, "checkpoint.every": 0}


@dataclass
class Contender:
    name: str
    steps: int
    tokens: int
    expected: float | None
    low: float | None
    high: float | None
    loss: float | None = None


def contending() -> dict[str, Recipe]:
    """The preset's rate first, then the presets, then other rates: what is not made when time is over is those."""
    preset, found = load_recipe(FAMILY), {}
    for rate in RATES:
        for size in SIZES:
            recipe = in_size(preset, size).with_values(**{"schedule.peak": rate * preset.schedule.peak})
            found[name_of(size, rate)] = recipe
        found |= {name: load_recipe(name) for name in PRESETS}
    return found


def name_of(size: Size, rate: float = 1.0) -> str:
    return f"{size.layers} x {size.width}, rate x {rate:g}"


def seconds_of(recipes: dict[str, Recipe], data: Path) -> dict[str, float]:
    """Of a step of each: one time for all rates of a size, which do the same work."""
    works = {name: (recipe.model, recipe.optimizer) for name, recipe in recipes.items()}
    times: dict[object, list[float]] = {work: [] for work in works.values()}
    for turn in range(TURNS):
        for work in times:
            recipe = next(recipes[name] for name in recipes if works[name] == work)
            stories = open_dataset(data, recipe.tokenizer)
            ready = recipe.with_values(**{"model.vocabulary": stories.tokenizer.vocabulary})
            times[work].append(step_seconds(ready, stories, print if turn == 0 else lambda text: None, anew=True))
    here = {name: statistics.median(times[work]) for name, work in works.items()}
    idle = usual_seconds(FAMILY, load_recipe(FAMILY).model.context)[IN_BOTH] / here[name_of(IN_BOTH)]
    return {name: seconds * idle for name, seconds in here.items()}


def chosen_by_law(data: Dataset, seconds: float, of_step: dict[str, float]) -> str:
    """The contender that a plan takes for so much training."""
    manifest, preset = data.manifest, load_recipe(FAMILY)
    known = knowledge_for(FAMILY, preset.model.context, manifest.splits["validation"].text_hash, manifest.source)
    assert known is not None, "these stories have a law"
    unique, planned = unique_tokens(data), usual_seconds(FAMILY, preset.model.context)
    names = {size: name_of(size) for size in SIZES if size in planned} | {PRESET_SIZE: FAMILY}
    candidates = []
    for size, name in names.items():
        recipe = in_size(preset, size).with_values(**{"model.vocabulary": data.tokenizer.vocabulary})
        weights = multiplying(recipe.model, recipe.vocabulary)
        tokens = seconds / of_step[name] * recipe.positions_per_step
        most = most_tokens(known.frontier, weights, unique).tokens
        candidates.append(Candidate(size, weights, min(tokens, most), seconds))
    return names[best(known.frontier, candidates, unique).size]


def unique_tokens(data: Dataset) -> int:
    train = data.split("train")
    return train.num_tokens + train.num_stories


def contender(name: str, recipe: Recipe, data: Dataset) -> Contender:
    manifest = data.manifest
    recipe = recipe.with_values(**{"model.vocabulary": data.tokenizer.vocabulary})
    told = expectation(recipe, manifest.splits["validation"].text_hash, manifest.source, unique_tokens(data))
    numbers = (None,) * 3 if told is None else tuple(round(v, 4) for v in (told[0].loss, told[0].low, told[0].high))
    return Contender(name, recipe.steps, recipe.steps * recipe.positions_per_step, *numbers)


def trained(name: str, recipe: Recipe, data: Path, runs: Path) -> float:
    folder = runs / name.replace(" ", "").replace(",", "-").replace("/", "-")
    if not (folder.is_dir() and read_run(folder).status == "finished"):
        file = runs / f"{folder.name}.toml"
        file.write_text(to_toml(recipe.as_tree()), encoding="utf-8")
        subprocess.run([str(FABULA), "train", str(file), "--data", str(data), "--out", str(folder)], check=True)
    return round(float(read_run(folder).full_evals()["val_loss_gpt2"][-1]), 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    asked.runs.mkdir(parents=True, exist_ok=True)
    recipes = {name: recipe.with_values(**ONLY_ENDS) for name, recipe in contending().items()}
    if not asked.out.exists():
        write(foretold(recipes, asked.data, asked.minutes), asked.out)
    document = json.loads(asked.out.read_text(encoding="utf-8"))
    for each in document["contenders"]:
        if each["loss"] is None:
            recipe = with_steps(recipes[each["name"]], each["steps"])
            each["loss"] = trained(each["name"], recipe, asked.data, asked.runs)
            write(document, asked.out)
            print(each, flush=True)


def foretold(recipes: dict[str, Recipe], folder: Path, minutes: float) -> dict[str, Any]:
    """What each contender will do, and of some how it is expected to end; nothing is trained yet."""
    data, seconds = open_dataset(folder, load_recipe(FAMILY).tokenizer), minutes * 60
    of_step = seconds_of(recipes, folder)
    timed = {name: with_steps(recipe, max(1, int(seconds / of_step[name]))) for name, recipe in recipes.items()}
    return {
        "minutes": minutes, "unique": unique_tokens(data), "stories": data.manifest.splits["train"].num_stories,
        "chosen": chosen_by_law(data, seconds, of_step),
        "step_seconds": {name: round(each, 4) for name, each in of_step.items()},
        "contenders": [asdict(contender(name, recipe, data)) for name, recipe in timed.items()],
    }  # fmt: skip


if __name__ == "__main__":
    main()
