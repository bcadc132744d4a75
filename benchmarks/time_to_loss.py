"""When runs reached a loss: steps, tokens and training time, read from their records.

python benchmarks/time_to_loss.py docs/runs --training docs/benchmarks/training.json --out docs/benchmarks/loss.json

Takes every run folder at or below the given ones that was scored on the validation split by the reference's ruler. The
loss is `val_loss_gpt2`, at context 128 where sizes are compared. Between step 0 and the last, a record has the loss on
a part of the split only; that curve is moved by what the whole split's loss differs from the part's at the end, and a
target between two evaluations counts as reached at the later one.

Time is the training's, without evaluations and without what the process waited for a processor; beside it stands
steps x the step's seconds as training.py measured them for that recipe, alone on the machine.
"""

import argparse
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from results import write

from fabula.recipe.presets.by_name import load_recipe
from fabula.recipe.schema import Recipe
from fabula.recipe.toml import read_toml
from fabula.record.reader import Run, find_runs, read_run

REFERENCE = "basic/packed"
REFERENCE_STEPS = 15_000
SMALL, LARGE = 7_291_345, 40_727_761
"""Parameters of the original experiments' smallest and largest tier."""
SECONDS_OF_THE_SEEDS = 330.0


@dataclass(frozen=True)
class Trained:
    """A finished run and its curve in nats a GPT-2 token."""

    name: str
    run: Run

    @cached_property
    def recipe(self) -> Recipe:
        return Recipe.from_tree(read_toml(self.run.path / "recipe.toml"))

    @property
    def parameters(self) -> int:
        return int(self.run.info["parameters"]["total"])

    def final(self, field: str) -> float:
        """Over the whole split, after the last step."""
        return float(self.run.full_evals()[field][-1])

    def curve(self, field: str) -> np.ndarray:
        """The loss at each evaluation."""
        evals = self.run.evals
        own_tokens, whole = evals["val_loss_subset"], evals["full"] == 1.0
        gpt2 = evals["val_loss_gpt2"][-1] / evals["val_loss"][-1]  # about the same for the part as for the whole
        part = np.where(whole, own_tokens * gpt2, evals["val_loss_gpt2"])
        return part + (self.final(field) - part[-1])

    def costs_as(self, recipe: Recipe) -> bool:
        """Whether a step has the shape, vocabulary and batch of `recipe`."""
        own = self.recipe
        same_model = own.model == recipe.with_values(**{"model.vocabulary": own.model.vocabulary}).model
        return same_model and own.batch == recipe.batch and own.tokenizer == recipe.tokenizer

    @property
    def working_share(self) -> float:
        """Of its time, what it did not wait for a processor; 1 where the record does not say."""
        timings = self.run.info.get("timings", {})
        waited = timings.get("waiting_seconds")
        return 1.0 if waited is None else 1.0 - waited / timings["total_seconds"]

    def reached(self, loss: float, field: str, step_seconds: float | None) -> dict[str, Any] | None:
        """Where the curve first was at `loss` or below; None where it never was."""
        evals = self.run.evals
        below = np.flatnonzero(self.curve(field) <= loss)
        if not len(below):
            return None
        at = below[0]
        step = int(evals["step"][at])
        return {
            "run": self.name,
            "recipe": self.run.info["recipe"],
            "context": self.recipe.model.context,
            "step": step,
            "tokens": int(evals["tokens"][at]),
            "seconds": float(evals["seconds"][at]) * self.working_share,
            "measured_seconds": None if step_seconds is None else step * step_seconds,
            "steps": self.run.info["steps"],
        }


def load(folders: Sequence[Path]) -> list[Trained]:
    found = [Trained(path.relative_to(folder.parent).as_posix(), read_run(path)) for folder in folders
             for path in find_runs(folder)]  # fmt: skip
    return [each for each in found if each.run.status == "finished" and each.recipe.evaluation.split == "validation"]


def measured_steps(training: Path | None) -> dict[str, float]:
    """Recipe -> seconds of a step, alone on the machine."""
    if training is None or not training.is_file():
        return {}
    groups = json.loads(training.read_text(encoding="utf-8"))["groups"]
    return {
        each["recipe"]: each["step_seconds"]["median"]
        for group in groups.values()
        for each in group
        if each["kind"] == "fabula"
    }


def time_to_loss(runs: Sequence[Trained], steps: dict[str, float]) -> dict[str, Any]:
    """What is written; `steps` are the measured seconds of a step."""
    reference = next(
        (each for each in runs if each.run.info["recipe"] == REFERENCE and each.run.info["steps"] == REFERENCE_STEPS),
        None,
    )
    if reference is None:
        raise SystemExit(
            f"none of these runs is {REFERENCE} after {REFERENCE_STEPS:,} steps, which others are timed by"
        )
    rulers = reference.run.info["rulers"]
    runs = [each for each in runs if each.run.info["rulers"].get("stream_at_128") == rulers["stream_at_128"]]

    def seconds_of_step(each: Trained) -> float | None:
        return next(
            (seconds for name, seconds in steps.items() if "@" not in name and each.costs_as(load_recipe(name))), None
        )

    def target(name: str, loss: float, most: int, field: str = "val_loss_gpt2_at_128") -> dict[str, Any]:
        small = [each for each in runs if each.parameters <= most and each is not reference]
        found = [each.reached(loss, field, seconds_of_step(each)) for each in small]
        reached = sorted((each for each in found if each), key=lambda each: each["measured_seconds"] or each["seconds"])
        return {"name": name, "loss": loss, "field": field, "most_parameters": most, "reached": reached}

    targets = [
        target("reference", reference.final("val_loss_gpt2_at_128"), SMALL),
        target("2.89", 2.89, SMALL),
        target("1.86", 1.86, LARGE, "val_loss_gpt2"),
    ]
    strong = [each for each in runs if each.run.info["recipe"] == "strong"]
    if strong:
        loss = statistics.mean(each.final("val_loss_gpt2_at_128") for each in strong)
        targets.append(target("strong", loss, SMALL))
    step = seconds_of_step(reference)
    return {
        "reference": {
            "run": reference.name,
            "steps": REFERENCE_STEPS,
            "loss": reference.final("val_loss_gpt2_at_128"),
            "seconds": float(reference.run.evals["seconds"][-1]) * reference.working_share,
            "measured_seconds": None if step is None else REFERENCE_STEPS * step,
        },
        "seconds_of_the_seeds": SECONDS_OF_THE_SEEDS,
        "runs": [
            {
                "run": each.name,
                "recipe": each.run.info["recipe"],
                "parameters": each.parameters,
                "context": each.recipe.model.context,
                "threads": each.run.info["threads"],
                "steps": each.run.info["steps"],
                "tokens": int(each.run.evals["tokens"][-1]),
                "seconds": float(each.run.evals["seconds"][-1]) * each.working_share,
                "measured_seconds": None if (s := seconds_of_step(each)) is None else s * each.run.info["steps"],
                "waited_share": 1.0 - each.working_share,
                "loss": each.final("val_loss_gpt2"),
                "loss_at_128": each.final("val_loss_gpt2_at_128"),
            }
            for each in runs
        ],
        "targets": targets,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--training", type=Path)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    document = time_to_loss(load(arguments.runs), measured_steps(arguments.training))
    write(document, arguments.out)


if __name__ == "__main__":
    main()
