"""What the recipe of a run has reached before, where the two can be compared: the same stories and tokenizer."""

from fabula.recipe.presets.reached import Reached, reached_by
from fabula.study.views import RunView


def good_here(view: RunView) -> Reached | None:
    """The kept run of this recipe with the lowest validation loss; None where none is comparable."""
    recipe = view.facts.recipe if view.facts is not None else None
    if recipe is None:
        return None
    here = (view.of("data", "text_hashes", "validation"), view.of("data", "tokenizer_hash"))
    rows = [row for row in reached_by(recipe) if (row.validation, row.tokenizer) == here]
    return min(rows, key=lambda row: row.val_loss, default=None)
