"""Input tokens that are hidden while training."""

import numpy as np
import pytest
from tests.data.data import data_of

from fabula.data.batches import HIDDEN, BatchSource, Layout

STORIES = [[1 + (place * number) % 90 for place in range(60)] for number in range(1, 40)]


def source(layout: Layout, share: float, seed: int = 0) -> BatchSource:
    return BatchSource(
        data_of(STORIES), layout=layout, rows=8, context=32, seed=seed, accumulation=2, hidden_tokens=share
    )


@pytest.mark.parametrize("layout", ["packed", "padded"])
def test_only_inputs_are_hidden_as_many_as_asked_and_others_each_time(layout: Layout) -> None:
    hiding, plain = source(layout, 0.2), source(layout, 0.0)
    masks = []
    for step in range(1, 41):
        for micro_step in (0, 1):
            batch, whole = hiding.batch(step, micro_step), plain.batch(step, micro_step)
            assert np.array_equal(batch.targets_BT, whole.targets_BT) and (whole.inputs_BT >= 0).all()
            hidden_BT = batch.inputs_BT == HIDDEN
            assert np.array_equal(batch.inputs_BT[~hidden_BT], whole.inputs_BT[~hidden_BT])
            masks.append(hidden_BT)
    num = sum(mask.size for mask in masks)
    # Five standard deviations of a share of independent draws.
    assert abs(np.mean(masks) - 0.2) < 5 * (0.2 * 0.8 / num) ** 0.5
    assert len({mask.tobytes() for mask in masks}) == len(masks)


def test_what_is_hidden_is_a_function_of_seed_and_step() -> None:
    first, again, other = source("packed", 0.2), source("packed", 0.2), source("packed", 0.2, seed=1)
    first.batch(1)
    assert np.array_equal(first.batch(7, 1).inputs_BT, again.batch(7, 1).inputs_BT)
    one, two = first.batch(7, 1).inputs_BT == HIDDEN, other.batch(7, 1).inputs_BT == HIDDEN
    assert not np.array_equal(one, two)
