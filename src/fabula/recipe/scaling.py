"""The same recipe for longer or shorter."""

from fabula.recipe.schema import Recipe

SCALED_WITH_STEPS = ("schedule.warmup", "evaluation.every")
CLOSEST_EVALUATIONS = 20
"""Steps between evaluations that scaling does not go below."""


def with_steps(recipe: Recipe, steps: int, keep: frozenset[str] = frozenset()) -> Recipe:
    """The same recipe over `steps` steps: what counts in steps shrinks or grows with them.

    Warmup and evaluation interval keep their share of the run, except for the dotted keys in `keep` (those that the
    user set); checkpoints do not, since they bound the work that a crash can cost. Scaling brings evaluations no closer
    than 20 steps, so that a short run does not spend its time on them; a still shorter run is evaluated at its ends.
    """
    tree = recipe.as_tree()
    for key in SCALED_WITH_STEPS:
        section, name = key.split(".")
        value = tree[section][name]
        if key in keep or not value:
            continue
        least = min(value, CLOSEST_EVALUATIONS) if key == "evaluation.every" else 1
        tree[section][name] = max(least, round(value * steps / recipe.steps))
    tree["steps"] = steps
    return Recipe.from_tree(tree)
