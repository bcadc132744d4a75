"""What the built-in recipes reached in runs whose records are kept: what a new run is held against.

presets/reached.toml is written by docs/reached_table.py from the records in docs/runs.
"""

import tomllib
from dataclasses import dataclass
from functools import cache

from fabula.recipe.presets.by_name import load_recipe, recipe_names
from fabula.recipe.presets.files import PRESETS
from fabula.recipe.scaling import with_steps
from fabula.recipe.schema import Recipe

TABLE = PRESETS / "reached.toml"
BESIDE_THE_RECIPE = ("name", "tokenizer", "compute", "evaluation", "checkpoint", "record", "guard")
"""What does not make another recipe of it: how it is called, run and looked at. Losses under different vocabularies
are compared per GPT-2 token."""


@dataclass(frozen=True)
class Reached:
    """One kept run of a built-in recipe. Losses are of the last evaluation of the whole validation split."""

    recipe: str
    steps: int
    corpus: str
    """What the stories are, in a word."""
    validation: str
    """Hash of the validation stories: only runs with the same one compare number by number."""
    tokenizer: str
    """Hash: `val_loss` compares only under the same one."""
    untrained: float
    val_loss: float
    val_loss_gpt2: float


@cache
def all_reached() -> tuple[Reached, ...]:
    with open(TABLE, "rb") as file:
        return tuple(Reached(**row) for row in tomllib.load(file)["runs"])


def reached_by(recipe: Recipe) -> tuple[Reached, ...]:
    """What the same recipe reached in how many steps, the fewest first; empty where it was changed."""
    rows = (row for row in all_reached() if same_recipe(recipe, _named(row.recipe)))
    return tuple(sorted(rows, key=lambda row: row.steps))


def made_for(recipe: Recipe) -> int | None:
    """The steps of the built-in recipe that this one is, but for its steps; None where it is none of them."""
    return next((each.steps for each in _built_in() if same_recipe(recipe, each)), None)


@cache
def _built_in() -> tuple[Recipe, ...]:
    return tuple(map(_named, recipe_names()))


@cache
def _named(name: str) -> Recipe:
    """Read once: every run of a ladder is asked, and every reading of a live page; all of them cost 0.1 s."""
    return load_recipe(name)


def same_recipe(first: Recipe, second: Recipe) -> bool:
    """Whether two recipes differ at most in their steps, and in what is beside the recipe."""
    if (first.model.width, first.model.layers) != (second.model.width, second.model.layers):
        return False  # at once, for most
    return _essence(first) == _essence(with_steps(second, first.steps))


def _essence(recipe: Recipe) -> dict[str, object]:
    tree = recipe.with_values(**{"model.vocabulary": 0}).as_tree()
    return {name: value for name, value in tree.items() if name not in BESIDE_THE_RECIPE}
