"""Recipes by name: a whole recipe (gemma3-nano), a tier, TIER/PHASE with a phase of the classic ladder, or a TOML file
of one's own."""

from pathlib import Path

from fabula.errors import InputError, nearest
from fabula.recipe.ladder import load_ladder
from fabula.recipe.presets.files import current_name, load_tier, tier_names, whole_recipe_names
from fabula.recipe.schema import Recipe, set_key
from fabula.recipe.toml import parse_value, read_toml

FIRST_RECIPE = "modern-portable"
"""What somebody without a wish of their own is pointed to: the best one that leaves for other programs."""
CLASSIC = "classic"
"""The ladder whose phases every tier has: the four of the original experiments."""
DEFAULT_PHASE = "packed"
PURPOSES = {
    "modern-portable": "The best small model that other programs can run, too.",
    "modern": "The best small model that we know; only fabula runs it.",
    "modern-large": "A larger modern that sees whole stories at once; takes about an hour.",
    "strong": "GPT-2's shape, well tuned: what modern is compared with.",
    "llama-nano": "A tiny Llama, for transformers, llama.cpp and Ollama.",
    "gemma3-nano": "A tiny Gemma 3, for transformers, llama.cpp and Ollama.",
    "gemma3-nano-rising": "gemma3-nano with the settings of the original Gemma experiment.",
    "demo": "The small model of fabula demo.",
    "basic": "The smallest model of the original experiments.",
    "mid": "The middle model of the original experiments.",
    "quality": "The largest model of the original experiments.",
    "gemma3-270m": "Gemma 3 270M as published; for a GPU.",
    "gemma3-270m-gpt2": "Gemma 3 270M with GPT-2's vocabulary; for a GPU.",
    "gemma3-270m-gpt2-tied": "The same, with one table for embedding and head; for a GPU.",
    "gemma3-270m-rising": "The original Gemma experiment, exactly; for a GPU.",
}
"""What each tier and whole recipe is for, in the order in which they are shown."""


def recipe_names() -> list[str]:
    """Every name that `load_recipe` knows: each tier, the tier with each phase, and the whole recipes."""
    endings = ["", *(f"/{phase.name}" for phase in load_ladder(CLASSIC).phases)]
    return [*(tier + ending for tier in tier_names() for ending in endings), *whole_recipe_names()]


def purpose(name: str) -> str:
    """What the recipe called `name` is for, in a line; of a file of one's own, nothing."""
    tier, _, phase = name.partition("/")
    if not phase or tier not in PURPOSES:
        return PURPOSES.get(tier, "")
    change = next((each.change for each in load_ladder(CLASSIC).phases if each.name == phase), "")
    return f"{PURPOSES[tier].rstrip('.')}, phase {phase}: {change}."


def load_recipe(name: str) -> Recipe:
    """The recipe called TIER, TIER/PHASE or by a name of its own (an earlier one, too), or stored in a .toml file.

    Raises InputError for an unknown name (naming the nearest) and for an invalid file.
    """
    if name.endswith(".toml"):
        path = Path(name)
        if not path.is_file():
            raise InputError(f"{name} does not exist; give a recipe file or one of: {', '.join(tier_names())}")
        return Recipe.from_tree({"name": path.stem, **read_toml(path)})
    name = current_name(name)
    if name in whole_recipe_names():
        return Recipe.from_tree({"name": name, **load_tier(name)})
    tier, slash, phase = name.partition("/")
    if slash and tier in whole_recipe_names():
        raise InputError(f"{tier} is a complete recipe and has no phases; leave out /{phase}")
    if tier not in tier_names():
        raise InputError(f'unknown recipe "{name}"{nearest(name, recipe_names())}')
    return load_ladder(CLASSIC).recipe(tier, phase or DEFAULT_PHASE)


def recipe_reading(tokenizer: str) -> str | None:
    """The name of the first recipe, FIRST_RECIPE before all others, whose tokenizer this is."""
    names = (FIRST_RECIPE, *recipe_names())
    return next((name for name in names if load_recipe(name).tokenizer == tokenizer), None)


def apply_settings(recipe: Recipe, settings: list[str]) -> Recipe:
    """Apply `--set key=value` arguments, left to right.

    Raises InputError for a missing "=", an unknown key (naming the nearest), or an impossible value.
    """
    tree = recipe.as_tree()
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise InputError(f"--set {setting}: write it as key=value, for example --set batch.rows=8")
        set_key(tree, key.strip(), parse_value(value.strip()))
    return Recipe.from_tree(tree)
