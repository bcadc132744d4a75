"""Sliding-window layers bound work and memory, not only what is seen."""

import pytest
import torch
from tests.model.shapes import GEMMA, build
from torch import Tensor

from fabula.model import layers
from fabula.model.decode.one_token import CachedDecoder
from fabula.model.decode.weights import DecodingWeights
from fabula.model.layers import causal_attention


def by_the_definition(q: Tensor, k: Tensor, v: Tensor, scale: float, window: int) -> Tensor:
    """Token i sees token j where i - window < j <= i."""
    T, groups = q.shape[2], q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
    scores = (q @ k.transpose(-1, -2)) * scale
    for i in range(T):
        for j in range(T):
            if not (i - window < j <= i):
                scores[:, :, i, j] = -torch.inf
    return scores.softmax(-1) @ v


@pytest.mark.parametrize("length", [1, 4, 5, 6, 9, 10, 11, 23, 25])
@pytest.mark.parametrize("window", [1, 5])
def test_values_are_those_of_the_definition(length: int, window: int) -> None:
    torch.manual_seed(length)
    q, k, v = (torch.randn(2, heads, length, 8, requires_grad=True) for heads in (4, 2, 2))
    ours = causal_attention(q, k, v, 0.3, window)
    expected = by_the_definition(q, k, v, 0.3, window)
    torch.testing.assert_close(ours, expected)
    direction = torch.randn_like(ours)
    for our_gradient, their_gradient in zip(
        torch.autograd.grad(ours, (q, k, v), direction),
        torch.autograd.grad(expected, (q, k, v), direction),
        strict=True,
    ):
        torch.testing.assert_close(our_gradient, their_gradient)


def test_no_more_scores_are_made_than_two_windows_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    plain = layers.attention

    def counting(q: Tensor, k: Tensor, v: Tensor, scale: float, visible: Tensor | None = None) -> Tensor:
        made.append(q[..., 0].numel() * k.shape[-2])
        return plain(q, k, v, scale, visible)

    monkeypatch.setattr(layers, "attention", counting)
    window, heads = 8, 2
    for length in (16, 64, 640):
        q = torch.randn(1, heads, length, 4)
        causal_attention(q, q, q, 0.5, window)
        assert made.pop() <= length * heads * 2 * window


@torch.inference_mode()
def test_a_local_layer_caches_its_window_and_no_more() -> None:
    decoder = CachedDecoder(DecodingWeights(build(GEMMA), 2), 2, GEMMA.context)
    slots = [cache.k_BKSE.shape[2] for cache in decoder.caches]
    assert slots == [GEMMA.sliding_window if GEMMA.is_local(each) else GEMMA.context for each in range(GEMMA.layers)]
    storage = [cache.both_BJSE.data_ptr() for cache in decoder.caches]
    decoder.prefill([[1, 2, 3], [4]])
    for _ in range(20):
        decoder.step(torch.tensor([1, 2]))
    assert storage == [cache.both_BJSE.data_ptr() for cache in decoder.caches]
