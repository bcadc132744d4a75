"""A ladder's plan, written before its first run, so that nobody has to take one's word for it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fabula
from fabula.data.dataset import open_dataset
from fabula.errors import InputError
from fabula.ladder.make import Order
from fabula.recipe.toml import to_toml
from fabula.record.files import content_hash, make_folder, toml_hash, write_json
from fabula.record.ladders.frozen import PLAN_FILE, read_frozen
from fabula.record.reader import find_runs

FIXED = "a fixed number: every recipe is trained with each of these seeds, and all of them count"


def freeze(order: Order, questions: Sequence[str], analysis: dict[str, Any], growth: str = "") -> dict[str, Any]:
    """Write LADDER/plan.json and return what it says. `questions` and `analysis`: what the page will ask, and how;
    `growth`: by which rule it grows, empty for a fixed number of seeds.

    Raises InputError where a run exists already, or a plan.
    """
    refuse_late(order.out)
    plan = planned(order, questions, analysis, growth)
    make_folder(order.out)
    write_json(order.out / PLAN_FILE, plan)
    return plan


def refuse_late(out: Path) -> None:
    earlier = read_frozen(out) if out.is_dir() else None
    if earlier is not None:
        when = earlier.problem or f"frozen at {earlier.content['frozen']}, hash {earlier.hash[:16]}"
        raise InputError(
            f"{out / PLAN_FILE} is there already ({when}); go on without --freeze, or choose another --out"
        )
    if out.is_dir() and find_runs(out):
        raise InputError(
            f"{out} has runs already, and a plan is made before the first one; go on without --freeze, or choose "
            "another --out"
        )


def planned(order: Order, questions: Sequence[str], analysis: dict[str, Any], growth: str) -> dict[str, Any]:
    description = order.description()
    recipes = {f"{run.tier}/{run.phase}": run.recipe for run in order.planned}
    data = {recipe.tokenizer: open_dataset(order.data, recipe.tokenizer) for recipe in recipes.values()}
    hashes = {}
    for name, recipe in recipes.items():
        words = recipe.model.vocabulary or data[recipe.tokenizer].tokenizer.vocabulary
        hashes[name] = toml_hash(to_toml(recipe.with_values(**{"model.vocabulary": words}).as_tree()))
    content = {
        "format": 1,
        "frozen": datetime.now(UTC).isoformat(timespec="seconds"),
        "fabula": fabula.__version__,
        "name": description["name"],
        "design": description["design"],
        "scale": description["scale"],
        "command": description["command"],
        "tiers": description["tiers"],
        "phases": description["phases"],
        "seeds": list(range(order.num_seeds)),
        "stopping_rule": growth or FIXED,
        "grows": bool(growth),
        "questions": list(questions),
        "analysis": analysis,
        "data": {
            "text_hashes": {name: split.text_hash for name, split in next(iter(data.values())).manifest.splits.items()},
            "tokenizers": {name: each.tokenization.hash for name, each in data.items()},
        },
        # Rates that brackets choose are not known yet, and with them no recipe is.
        "recipes": {} if order.num_tries else hashes,
    }
    return {**content, "hash": content_hash(content)}
