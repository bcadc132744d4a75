"""What to train, as frozen, validated values: recipes, schedules, parameter counts, the plan of a ladder."""

from fabula.recipe.presets.by_name import load_recipe, recipe_names
from fabula.recipe.schema import Recipe

__all__ = ["Recipe", "load_recipe", "recipe_names"]
