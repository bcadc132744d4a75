"""The closed form counts what the model holds, for every ingredient."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.recipe.shapes import SHAPES

from fabula.model.decoder import Decoder, parameter_count
from fabula.recipe.counts import count_parameters
from fabula.recipe.schema import Model


@given(shape=SHAPES, vocabulary=st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_closed_form_and_built_model_agree(shape: Model, vocabulary: int) -> None:
    with torch.device("meta"):
        model = Decoder(shape, vocabulary)
    counts = count_parameters(shape, vocabulary)
    assert counts.total == parameter_count(model)
    sizes = {name: each.numel() for name, each in model.named_parameters()}
    of_embedding = ("embedding.weight", "previous_token", "embedding_norm.weight", "embedding_norm.bias")
    assert counts.embedding == sum(sizes.get(name, 0) for name in of_embedding)
    assert counts.value_embeddings == sum(size for name, size in sizes.items() if name.startswith("value_embeddings."))
    assert counts.positions == sizes.get("positions.weight", 0)
    assert counts.head == sizes.get("head", 0) + sizes.get("head_bias", 0)
    assert counts.layer == sum(size for name, size in sizes.items() if name.startswith("layers.0."))
    assert counts.final_norm == sum(size for name, size in sizes.items() if name.startswith("final_norm."))


def test_the_smallest_original_tier_by_hand() -> None:
    """50,257 x 128 + 128 x 128 + 4 layers + the last norm + the head's bias."""
    counts = count_parameters(Model(layers=4, width=128, heads=4, context=128), 50_257)
    attention = 128 * 3 * 128 + 128 * 128 + 128
    feed_forward = 128 * 512 + 512 + 512 * 128 + 128
    assert counts.layer == attention + feed_forward + 4 * 128
    assert counts.total == 50_257 * 128 + 128 * 128 + 4 * counts.layer + 256 + 50_257 == 7_291_345
    assert counts.without_embeddings == 4 * counts.layer + 256


@pytest.mark.parametrize(("layers", "width", "heads", "context", "total"), [
    (6, 192, 6, 128, 12_390_289), (12, 384, 6, 256, 40_727_761),
])  # fmt: skip
def test_the_larger_original_tiers(layers: int, width: int, heads: int, context: int, total: int) -> None:
    assert count_parameters(Model(layers=layers, width=width, heads=heads, context=context), 50_257).total == total
