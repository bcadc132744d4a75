"""Batches of the user's own: `own.batches = "module:function"` of a recipe, called as function(data, recipe, seed).

What it returns has batch(number, micro_step), with numbers from 1 and micro-steps from 0: inputs and targets, whole
numbers (rows, context). The number is all that such an object may keep in mind, so that a run that is resumed, or goes
back after a rollback, has the batches that it would have had.
"""

from typing import Any

import numpy as np
from torch import Tensor

from fabula.data.batches import IGNORE, Batch, IntArray, LayoutStatistics, hide
from fabula.data.dataset import Dataset
from fabula.errors import InputError
from fabula.model.own import function_named
from fabula.recipe.schema import Recipe


class OwnBatches:
    """What the user's object makes, held against what a training needs."""

    def __init__(self, inner: Any, recipe: Recipe, data: Dataset, seed: int, share: tuple[int, int]) -> None:
        self._inner, self._recipe, self._share = inner, recipe, share
        self._seeds = data.seed, seed

    def batch(self, step: int, micro_step: int = 0) -> Batch:
        made = self.whole(step, micro_step)
        if self._recipe.batch.hidden_tokens:
            before = (step - 1) * self._recipe.batch.accumulation + micro_step
            made = hide(made, self._recipe.batch.hidden_tokens, (*self._seeds, before))
        return made.share(*self._share)

    def whole(self, step: int, micro_step: int) -> Batch:
        """As it was made. Raises InputError where it is no batch."""
        made = self._inner.batch(step, micro_step)
        where = f"own.batches: batch({step}, {micro_step})"
        if not isinstance(made, tuple | list) or len(made) != 2:
            raise InputError(f"{where} is {_kind(made)}, not a pair of inputs and targets")
        inputs_BT, targets_BT = (
            self._numbers(each, f"{where}: its {name}") for each, name in zip(made, ("inputs", "targets"), strict=True)
        )
        self._check(inputs_BT, f"{where}: its inputs", "")
        self._check(targets_BT[targets_BT != IGNORE], f"{where}: its targets", f", or {IGNORE} where nothing is scored")
        return Batch(inputs_BT, targets_BT)

    def statistics(self, steps: int) -> LayoutStatistics:
        """What is padding, and which stories are in it, is not known."""
        return LayoutStatistics(steps * self._recipe.positions_per_step)

    def _numbers(self, given: object, what: str) -> IntArray:
        shape = self._recipe.batch.rows, self._recipe.model.context
        try:
            array = given.detach().cpu().numpy() if isinstance(given, Tensor) else np.asarray(given)
        except (ValueError, TypeError):  # rows of unlike lengths; a type that numpy has not, such as bfloat16
            array = np.array(None)
        if array.shape != shape or array.dtype.kind not in "iu":
            found = f"{array.dtype} of shape {array.shape}" if array.shape else _kind(given)
            raise InputError(
                f"{what} are {found}; give whole numbers of shape {shape}, which is (batch.rows, model.context)"
            )
        return np.array(array, np.int64)  # a copy: an object may fill the same array each time

    def _check(self, tokens: IntArray, what: str, or_else: str) -> None:
        if tokens.size and not 0 <= tokens.min() <= tokens.max() < self._recipe.vocabulary:
            outside = int(tokens.min() if tokens.min() < 0 else tokens.max())
            raise InputError(f"{what} hold {outside}; tokens are from 0 to {self._recipe.vocabulary - 1:,}{or_else}")


def own_source(recipe: Recipe, data: Dataset, seed: int, share: tuple[int, int]) -> OwnBatches:
    """Raises InputError where there is no such function, where it makes no batches, and where it makes another first
    one when it is asked again."""
    inner = function_named(recipe.own.batches, "own.batches")(data, recipe, seed)
    if not callable(getattr(inner, "batch", None)):
        raise InputError(
            f"own.batches: {recipe.own.batches} returns {_kind(inner)}, which has no batch(number, micro_step)"
        )
    made = OwnBatches(inner, recipe, data, seed, share)
    first, again = made.whole(1, 0), made.whole(1, 0)
    if not all(np.array_equal(one, other) for one, other in zip(first[:2], again[:2], strict=True)):
        raise InputError(
            "own.batches: batch(1, 0) is another one when it is asked for again; it may depend on nothing but its "
            "number, or a resumed run would have others (numpy.random.default_rng([seed, number, micro_step]))"
        )
    return made


def _kind(given: object) -> str:
    count = f" of {len(given)}" if isinstance(given, tuple | list) else ""
    return f"{type(given).__name__}{count}"
