"""A preset's family in other sizes: the same recipe, wider or narrower, deeper or shallower."""

import math
from typing import NamedTuple

from fabula.recipe.presets.by_name import load_recipe
from fabula.recipe.presets.files import FAMILIES
from fabula.recipe.schema import Model, Recipe

HEAD_WIDTH, NARROW_HEAD_WIDTH = 64, 32
"""Heads of 64, as the presets have; of 32 where 64 does not divide the width, and below 128, so that there are two."""
INNER_UNIT = 16
"""The inner width is 8/3 of the width, rounded up to a multiple of this: three matrices as large as two of four widths
(Shazeer 2020), in whole vectors of the processor."""

WHAT_IT_IS = ("tokenizer", "model", "initialization", "optimizer", "batch", "guard", "own")


class Size(NamedTuple):
    layers: int
    width: int


def in_size(preset: Recipe, size: Size, context: int | None = None) -> Recipe:
    """`preset` with so many layers of such a width and, where one is given, another context with as many positions a
    step."""
    context = context or preset.model.context
    wide = size.width >= 2 * HEAD_WIDTH and size.width % HEAD_WIDTH == 0
    head_width = HEAD_WIDTH if wide else NARROW_HEAD_WIDTH
    assert size.width % head_width == 0, "sizes have whole heads"
    return preset.with_values(
        **{
            "model.layers": size.layers,
            "model.width": size.width,
            "model.heads": size.width // head_width,
            "model.feed_forward_width": math.ceil(size.width * 8 / 3 / INNER_UNIT) * INNER_UNIT,
            "model.context": context,
            "batch.rows": max(1, preset.batch.rows * preset.model.context // context),
        }
    )


def multiplying(model: Model, vocabulary: int) -> int:
    """Weights of matrices that each token is multiplied by: those of the layers, and the head. Tables that tokens are
    looked up in cost neither time nor much of what they bring."""
    width, inner = model.width, model.size_of_feed_forward
    queries, keys = model.heads * model.size_of_head, model.num_kv_heads * model.size_of_head
    layer = width * (2 * queries + 2 * keys) + width * inner * (3 if model.gated else 2)
    return model.layers * layer + vocabulary * width


def family_of(recipe: Recipe) -> str | None:
    """The preset of FAMILIES that the recipe is a size of; None where it is of none."""
    return next((name for name in FAMILIES if is_of_family(recipe, load_recipe(name))), None)


def is_of_family(recipe: Recipe, preset: Recipe) -> bool:
    """Whether the recipe is `preset` but for its size, context, length, warmup and peak rate."""
    size = Size(recipe.model.layers, recipe.model.width)
    if size.width % NARROW_HEAD_WIDTH:
        return False
    there = in_size(preset, size, recipe.model.context).with_values(
        **{
            "model.vocabulary": recipe.model.vocabulary,
            "schedule.peak": recipe.schedule.peak,
            "schedule.warmup": recipe.schedule.warmup,
        }
    )
    same = all(getattr(there, part) == getattr(recipe, part) for part in (*WHAT_IT_IS, "schedule"))
    return same and recipe.compute.weights == preset.compute.weights
