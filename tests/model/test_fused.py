"""The compiled parts of a training step against the plain formulas in float64.

Shapes: C rows, V words, W columns (words, then filling), H heads, T tokens, E head width.
Tolerances: numbers are stored in bfloat16, off by at most 2^-8 of themselves; what is computed in float32 from them is
off by less than 1e-5.
"""

import pytest
import torch
from torch import Tensor

from fabula.model import fused, layers, loss
from fabula.model.loss import IGNORE, linear_cross_entropy

ROUNDING = 2.0**-8
SINGLE = 1e-5
pytestmark = pytest.mark.skipif(fused.find_fused().library is None, reason="no C compiler was found")


def logits_and_targets(rows: int, words: int, columns: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    logits_CW = (6 * torch.randn(rows, columns, generator=generator)).bfloat16()
    targets_C = torch.randint(words, (rows,), generator=generator)
    targets_C[1::5] = IGNORE
    return logits_CW, targets_C


@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize(("words", "columns"), [(97, 512), (512, 512), (1100, 1536)])
def test_exponentials_are_the_gradient_of_the_loss(words: int, columns: int, with_bias: bool) -> None:
    rows = 71  # two whole parts and some
    logits_CW, targets_C = logits_and_targets(rows, words, columns)
    bias_V = torch.randn(words, generator=torch.Generator().manual_seed(6)) if with_bias else None
    leaf_CV = (logits_CW[:, :words].double() + (bias_V.double() if bias_V is not None else 0)).requires_grad_()
    expected_C = torch.nn.functional.cross_entropy(leaf_CV, targets_C, reduction="none", ignore_index=IGNORE)
    expected_C.sum().backward()
    assert leaf_CV.grad is not None

    e_CW = logits_CW.clone()
    loss_C, scale_C, parts_PV = fused.exponentials(e_CW, bias_V, targets_C, words)
    assert ((loss_C - expected_C).abs() <= SINGLE * (1 + expected_C)).all()
    assert (loss_C[1::5] == 0).all() and (scale_C[1::5] == 0).all()
    gradient_CV = e_CW[:, :words].double() * scale_C[:, None].double()
    assert ((gradient_CV - leaf_CV.grad).abs() <= (ROUNDING + SINGLE) * leaf_CV.grad.abs() + 1e-30).all()
    assert not e_CW[:, words:].any()
    if with_bias:
        assert parts_PV.shape == (3, words)
        bound_V = (ROUNDING + SINGLE) * leaf_CV.grad.abs().sum(0) + 1e-30
        assert ((parts_PV.double().sum(0) - leaf_CV.grad.sum(0)).abs() <= bound_V).all()
    else:
        assert parts_PV.shape == (0, words)


def test_nothing_depends_on_the_number_of_threads() -> None:
    logits_CW, targets_C = logits_and_targets(200, 1000, 1024)
    bias_V, before, found = torch.linspace(-1, 1, 1000), torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            e_CW = logits_CW.clone()
            found.append([e_CW, *fused.exponentials(e_CW, bias_V, targets_C, 1000)])
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(one, two) for one, two in zip(found[0], other, strict=True))


def test_what_is_not_finite_stays_visible() -> None:
    logits_CW, targets_C = logits_and_targets(4, 600, 1024)
    logits_CW[0, 7], logits_CW[2, 599], logits_CW[3, 0] = torch.nan, torch.inf, -torch.inf
    loss_C, _, _ = fused.exponentials(logits_CW, None, targets_C, 600)
    assert not loss_C[0].isfinite() and not loss_C[2].isfinite() and loss_C[3].isfinite()
    scores_HTT = torch.zeros(2, 5, 5, dtype=torch.bfloat16)
    scores_HTT[1, 3, 2] = torch.nan
    fused.causal_softmax(scores_HTT, 1.0)
    assert scores_HTT[1, 3].isnan().any() and scores_HTT[0].isfinite().all() and scores_HTT[1, :3].isfinite().all()


@pytest.mark.parametrize("size", [1, 2, 33, 128])
def test_causal_softmax_and_its_gradient(size: int) -> None:
    generator = torch.Generator().manual_seed(size)
    scores_HTT = (5 * torch.randn(3, size, size, generator=generator)).bfloat16()
    after_HTT = torch.ones(size, size, dtype=torch.bool).triu(1)
    expected_HTT = (0.3 * scores_HTT.double()).masked_fill(after_HTT, -torch.inf).softmax(-1)
    p_HTT = scores_HTT.clone()
    fused.causal_softmax(p_HTT, 0.3)
    assert ((p_HTT.double() - expected_HTT).abs() <= (ROUNDING + SINGLE) * expected_HTT).all()

    grad_HTT = torch.randn(3, size, size, generator=generator).bfloat16()
    p, grad = p_HTT.double(), grad_HTT.double()
    expected_HTT = 0.3 * p * (grad - (p * grad).sum(-1, keepdim=True))
    fused.causal_softmax_gradient(p_HTT, grad_HTT, 0.3)
    bound_HTT = ROUNDING * expected_HTT.abs() + SINGLE * p * (grad.abs() + (p * grad.abs()).sum(-1, keepdim=True))
    assert ((grad_HTT.double() - expected_HTT).abs() <= bound_HTT + 1e-30).all()


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (64, 3), (131, 40)])
def test_in_columns_is_the_transpose(rows: int, columns: int) -> None:
    weight_VD = torch.randn(rows, columns).bfloat16()
    columns_DV = fused.in_columns(weight_VD)
    assert columns_DV.is_contiguous() and torch.equal(columns_DV, weight_VD.T)


def unfused(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (fused, loss):
        monkeypatch.setattr(module, "fuses", lambda device, dtype: False)


def test_attention_and_head_are_those_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """As near as bfloat16 allows: each gradient passes about six products, so 2^-8 sqrt(12) of its norm."""
    generator = torch.Generator().manual_seed(1)
    given = [torch.randn(2, 3, 40, 16, generator=generator).bfloat16().requires_grad_() for _ in range(3)]
    weight_VD = (0.5 * torch.randn(700, 16, generator=generator)).requires_grad_()
    bias_V = torch.randn(700, generator=generator).requires_grad_()
    targets_N = torch.randint(700, (240,), generator=generator)
    leaves = [*given, weight_VD, bias_V]

    def losses_and_gradients() -> list[Tensor]:
        for leaf in leaves:
            leaf.grad = None
        y = layers.attention(*given, 0.25).flatten(0, 2)
        total = linear_cross_entropy(y, weight_VD, bias_V, targets_N)
        total.backward()
        return [total.detach(), *(leaf.grad for leaf in leaves if leaf.grad is not None)]

    with_it = losses_and_gradients()
    unfused(monkeypatch)
    without = losses_and_gradients()
    assert len(with_it) == 6
    for one, other in zip(with_it, without, strict=True):
        assert (one - other).float().norm() <= 12**0.5 * ROUNDING * other.float().norm()
        # It is another way through, not the same one: bits differ somewhere.
    assert any(not torch.equal(one, other) for one, other in zip(with_it, without, strict=True))
