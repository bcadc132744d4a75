"""The compiled parts of a training step against the plain formulas in float64.

Shapes: C rows, V words, W columns (words, then filling); B rows, T tokens, H query and K key/value heads, E head width,
X = H + 2 K.
Tolerances: numbers are stored in bfloat16, off by at most 2^-8 of themselves; what is computed in float32 from them is
off by less than 1e-5.
"""

import pytest
import torch
from torch import Tensor

from fabula.model import layers, loss
from fabula.model.kernels import attention as fused_attention
from fabula.model.kernels import head as fused
from fabula.model.loss import IGNORE, linear_cross_entropy

ROUNDING = 2.0**-8
SINGLE = 1e-5
if fused.find_fused().library is None:
    pytest.skip(f"no kernels of ours: {fused.find_fused().reason}", allow_module_level=True)


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


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (64, 3), (131, 40)])
def test_in_columns_is_the_transpose(rows: int, columns: int) -> None:
    weight_VD = torch.randn(rows, columns).bfloat16()
    columns_DV = fused.in_columns(weight_VD)
    assert columns_DV.is_contiguous() and torch.equal(columns_DV, weight_VD.T)


def queries_keys_values(B: int, T: int, H: int, K: int, E: int) -> tuple[Tensor, list[Tensor]]:
    """One leaf (B, T, H + 2 K, E), as a layer's projection makes it, and its three parts, (B, heads, T, E)."""
    generator = torch.Generator().manual_seed(T)
    leaf_BTXE = (2 * torch.randn(B, T, H + 2 * K, E, generator=generator)).bfloat16().requires_grad_()
    return leaf_BTXE, list(leaf_BTXE.transpose(1, 2).split((H, K, K), dim=1))


@pytest.mark.parametrize(
    ("T", "H", "K", "E", "window"),
    [(1, 2, 2, 8, 0), (33, 3, 3, 7, 0), (70, 4, 1, 48, 0), (128, 2, 2, 32, 0), (99, 2, 1, 20, 33), (300, 1, 1, 80, 64)],
)
def test_attention_and_its_gradient(T: int, H: int, K: int, E: int, window: int) -> None:
    """Against the formula in float64. Products of bfloat16 numbers are exact, their sums in float32; what is rounded to
    bfloat16 on the way is the probabilities, the gradient of the scores, and the result: three times at most 2^-8."""
    leaf_BTXE, (q, k, v) = queries_keys_values(2, T, H, K, E)
    grad_BHTE = torch.randn(2, T, H, E, generator=torch.Generator().manual_seed(1)).bfloat16().transpose(1, 2)
    y_BHTE = fused_attention.causal_attention(q, k, v, 0.3, window)
    y_BHTE.backward(grad_BHTE)
    assert leaf_BTXE.grad is not None

    exact_BTXE = leaf_BTXE.detach().double().requires_grad_()
    q, k, v = exact_BTXE.transpose(1, 2).split((H, K, K), dim=1)
    k, v = (each.repeat_interleave(H // K, dim=1) for each in (k, v))
    unseen_TT = torch.ones(T, T, dtype=torch.bool).triu(1)
    if window:
        unseen_TT |= torch.ones(T, T, dtype=torch.bool).tril(-window)
    expected_BHTE = (0.3 * q @ k.transpose(-1, -2)).masked_fill(unseen_TT, -torch.inf).softmax(-1) @ v
    expected_BHTE.backward(grad_BHTE.double())
    assert exact_BTXE.grad is not None
    assert (y_BHTE - expected_BHTE).norm() <= 2 * ROUNDING * expected_BHTE.norm()
    for head in range(H + 2 * K):
        difference, whole = (leaf_BTXE.grad - exact_BTXE.grad)[:, :, head], exact_BTXE.grad[:, :, head]
        assert difference.norm() <= 3 * ROUNDING * whole.norm() + 1e-6


def test_attention_does_not_depend_on_the_number_of_threads_nor_on_strides() -> None:
    leaf_BTXE, parts = queries_keys_values(3, 50, 2, 1, 24)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            for q, k, v in (parts, [each.contiguous() for each in parts]):
                leaf_BTXE.grad = None
                y_BHTE = fused_attention.causal_attention(q, k, v, 0.2)
                y_BHTE.square().sum().backward()
                assert leaf_BTXE.grad is not None
                found.append((y_BHTE.detach(), leaf_BTXE.grad))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(one, two) for one, two in zip(found[0], other, strict=True))


def test_attention_hides_what_comes_later_and_shows_what_is_not_finite() -> None:
    leaf_BTXE, parts = queries_keys_values(2, 40, 1, 1, 16)
    y_BHTE = fused_attention.causal_attention(*parts, 0.3)
    for value in (1000.0, torch.nan, torch.inf):
        other_BTXE = leaf_BTXE.detach().clone()
        other_BTXE[1, 7] = value
        other_BHTE = fused_attention.causal_attention(*other_BTXE.transpose(1, 2).split(1, dim=1), 0.3)
        assert torch.equal(other_BHTE[0], y_BHTE[0])
        if value == 1000.0:
            assert torch.equal(other_BHTE[1, :, :7], y_BHTE[1, :, :7])
        else:
            assert not other_BHTE[1, :, 7:].isfinite().any()


def test_the_compiler_is_told_the_truth_about_the_operators() -> None:
    """Shapes, types and strides of the results, and what is changed in place."""
    logits_CW, targets_C = logits_and_targets(5, 600, 1024)
    _, parts = queries_keys_values(2, 9, 4, 2, 12)
    q, k, v = (each.detach() for each in parts)
    kept = fused_attention.attention(q, k, v, 0.5, 0)[1:]
    checks = ("test_schema", "test_faketensor")
    for operator, arguments in (
        (fused.exponentials, (logits_CW, torch.zeros(600), targets_C, 600)),
        (fused.exponentials, (logits_CW, None, targets_C, 600)),
        (fused.in_columns, (logits_CW,)),
        (fused_attention.attention, (q, k, v, 0.5, 0)),
        (fused_attention.attention_gradient, (q, k, v, q, *kept, 0.5, 0)),
    ):
        torch.library.opcheck(operator, arguments, test_utils=checks)


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
        y = layers.causal_attention(*given, 0.25, 0).flatten(0, 2)
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
