"""What the rows of a run hold, for its record."""

from typing import Any

from fabula.data.batches import BatchSource


def layout_information(source: BatchSource, steps: int) -> dict[str, Any]:
    """What run.json tells of the rows of so many steps."""
    layout = source.statistics(steps)
    return {
        "positions": layout.positions,
        "padding_share": layout.padding_share,
        "truncated_share": layout.story_tokens_cut_share,
        "distinct_story_tokens": layout.distinct_story_tokens,
        "epochs": layout.epochs,
    }
