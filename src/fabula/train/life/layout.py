"""What the rows of a run hold, for its record."""

from typing import Any

from fabula.data.batches import BatchSource, Source
from fabula.data.dataset import Dataset
from fabula.recipe.schema import Recipe
from fabula.train.own_batches import own_source
from fabula.train.processes.together import ALONE, Together


def source_of(recipe: Recipe, data: Dataset, seed: int, together: Together = ALONE) -> Source:
    """The batches of a run, or the share of them that this process makes. Raises InputError where a function of the
    user's own makes none."""
    if recipe.own.batches:
        return own_source(recipe, data, seed, together.share)
    return BatchSource(
        data, layout=recipe.batch.layout, rows=recipe.batch.rows, accumulation=recipe.batch.accumulation,
        context=recipe.model.context, seed=seed, end_of_text=recipe.batch.end_of_text,
        hidden_tokens=recipe.batch.hidden_tokens, share=together.share,
    )  # fmt: skip


def layout_information(source: Source, steps: int) -> dict[str, Any]:
    """What run.json tells of the rows of so many steps."""
    layout = source.statistics(steps)
    return {
        "positions": layout.positions,
        "padding_share": layout.padding_share,
        "truncated_share": layout.story_tokens_cut_share,
        "distinct_story_tokens": layout.distinct_story_tokens,
        "epochs": layout.epochs,
    }
