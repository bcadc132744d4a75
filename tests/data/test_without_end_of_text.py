"""The packed stream of a recipe with batch.end_of_text = false."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.data.data import EOT, data_of

from fabula.data.batches import BatchSource, permutation
from fabula.errors import InputError
from fabula.recipe import load_recipe

STORIES = st.lists(st.lists(st.integers(1, 50), max_size=9), min_size=1, max_size=6).filter(lambda each: any(each))


@given(stories=STORIES, rows=st.integers(1, 3), context=st.integers(1, 7), step=st.integers(1, 5))
def test_windows_are_cut_from_the_stories_alone(stories: list[list[int]], rows: int, context: int, step: int) -> None:
    source = BatchSource(data_of(stories), layout="packed", rows=rows, context=context, seed=3, end_of_text=False)
    size = rows * context
    stream: list[int] = []
    epoch = 0
    while len(stream) <= step * size:
        stream += [token for index in permutation(5, 3, epoch, len(stories)) for token in stories[index]]
        epoch += 1
    batch = source.batch(step)
    start = (step - 1) * size
    assert batch.inputs_BT.ravel().tolist() == stream[start : start + size]
    assert batch.targets_BT.ravel().tolist() == stream[start + 1 : start + size + 1]
    assert not np.any(batch.targets_BT == EOT)
    assert source.epochs_after(step) == step * size / sum(map(len, stories))


def test_statistics_count_tokens_of_stories_only() -> None:
    source = BatchSource(data_of([[1, 2, 3], [4, 5]]), layout="packed", rows=1, context=2, seed=0, end_of_text=False)
    assert source.statistics(1).distinct_story_tokens == 2
    assert source.statistics(2).distinct_story_tokens == 4
    assert source.statistics(3).distinct_story_tokens == 5


def test_padded_rows_refuse_it() -> None:
    with pytest.raises(InputError, match="packed"):
        load_recipe("basic/init").with_values(**{"batch.end_of_text": False})
