"""What a run needs of a machine, by its recipe."""

from dataclasses import dataclass

from fabula.recipe.schema import Recipe
from fabula.train.machine.memory.footprint import footprint

PROCESS_BYTES = 700_000_000
"""Python with torch, the tokenizer and the stories that are mapped into memory, before a model is built."""


@dataclass(frozen=True)
class Needs:
    threads: int
    memory: int
    """Bytes."""


def needs_of(recipe: Recipe, vocabulary: int, threads: int) -> Needs:
    """Of `recipe` on a processor, where nothing is known of its arithmetic yet: products of four bytes."""
    known = recipe.with_values(**{"model.vocabulary": recipe.model.vocabulary or vocabulary})
    size = footprint(known, product_bytes=4)
    return Needs(threads, PROCESS_BYTES + size.likely + size.batches)
