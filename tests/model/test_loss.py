"""The fused head and cross-entropy against the plain formula in float64.

Shapes: N tokens, D width, V vocabulary.
Tolerances are bounds, not guesses. With unit roundoff u (half an ulp, relative) a logit is off by at most
`logit = u_product |l| + (D + 2) u32 (|x| |W| + |b|)`, a probability by the factor exp(2 logit) and the rounding of a
sum of V terms, and the gradients, sums of probabilities times numbers, by that factor and the roundings on the way.
"""

import math

import pytest
import torch
from torch import Tensor

from fabula.model import loss
from fabula.model.loss import COLUMN_MULTIPLE, IGNORE, chunk_rows, linear_cross_entropy, token_losses

U32 = 2.0**-24
UNIT_ROUNDOFF = {torch.float32: U32, torch.bfloat16: 2.0**-8}
WIDTH, VOCABULARY, ROWS = 24, 97, 11


def problem(
    dtype: torch.dtype, bias: bool, vocabulary: int = VOCABULARY, rows: int = ROWS
) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
    """x (N, D), weight (V, D), bias (V) or None, targets (N) with masked ones; all numbers are exact in bfloat16."""
    generator = torch.Generator().manual_seed(3)

    def normal(*shape: int, scale: float) -> Tensor:
        return (scale * torch.randn(shape, generator=generator)).bfloat16().float()

    targets_N = torch.randint(vocabulary, (rows,), generator=generator)
    targets_N[2] = targets_N[rows - 1] = IGNORE
    targets_N[4] = targets_N[5]  # two rows that add to the same word
    x_ND, weight_VD = normal(rows, WIDTH, scale=1.0), normal(vocabulary, WIDTH, scale=0.5)
    return x_ND.to(dtype), weight_VD, normal(vocabulary, scale=1.0) if bias else None, targets_N


class Reference:
    """Loss and gradients in float64, and how far off a product in `dtype` may be."""

    def __init__(
        self, x_ND: Tensor, weight_VD: Tensor, bias_V: Tensor | None, targets_N: Tensor, cap: float, dtype: torch.dtype
    ) -> None:
        x, weight = x_ND.detach().double().requires_grad_(), weight_VD.detach().double().requires_grad_()
        bias = None if bias_V is None else bias_V.detach().double().requires_grad_()
        raw_NV = x @ weight.T if bias is None else x @ weight.T + bias
        logits_NV = cap * torch.tanh(raw_NV / cap) if cap else raw_NV
        counts = targets_N != IGNORE
        rows = torch.arange(len(x))[counts]
        log_p_NV = logits_NV.log_softmax(-1)
        self.losses_N = torch.zeros(len(x), dtype=torch.float64)
        self.losses_N[rows] = -log_p_NV[rows, targets_N[rows]].detach()
        self.total = float(self.losses_N.sum())
        (-log_p_NV[rows, targets_N[rows]]).sum().backward()
        self.dx, self.dweight, self.dbias = x.grad, weight.grad, None if bias is None else bias.grad

        product, num_words, width = UNIT_ROUNDOFF[dtype], len(weight), x.shape[1]
        sums_NV = x.abs() @ weight.abs().T + (0 if bias is None else bias.abs())
        largest = float(raw_NV.detach().abs().max())
        self.logit = product * largest + (width + 2) * U32 * float(sums_NV.detach().max()) + 8 * U32 * largest
        # The row sum of num_words exponentials, the logarithm, and the difference of numbers of the loss's size.
        self.loss_each = 2 * self.logit + (num_words + 4) * U32 + 8 * U32 * (largest + float(self.losses_N.max()))
        # A probability, and with a cap its slope 1 - tanh^2, which moves by at most 2 logit / cap.
        factor = math.expm1(2 * self.logit) + (num_words + 4) * U32 + (2 * self.logit / cap if cap else 0)
        # Exponentials, scaled x, products and results are rounded to the type of the products.
        factor += 5 * product + (COLUMN_MULTIPLE + num_words) * U32
        once_NV = torch.zeros_like(raw_NV)
        once_NV[rows, targets_N[rows]] = 1.0
        mass_NV = (logits_NV.softmax(-1).detach() * counts[:, None] + once_NV).detach()
        self.dx_bound = factor * mass_NV @ weight.abs().detach()
        self.dweight_bound = (factor + len(x) * U32) * mass_NV.T @ x.abs().detach()
        self.dbias_bound = (factor + len(x) * U32) * mass_NV.sum(0)


@pytest.fixture(params=[1, 3, 4, ROWS], ids=lambda rows: f"chunks of {rows}")
def chunks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss, "CHUNK_ELEMENTS", request.param * COLUMN_MULTIPLE)


def run(x: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, cap: float, factor: float = 1.0) -> Tensor:
    """The loss, its gradients (times `factor`) left in the leaves."""
    for leaf in (x, weight, bias):
        if leaf is not None:
            leaf.grad = None
            leaf.requires_grad_()
    total = linear_cross_entropy(x, weight, bias, targets, cap)
    (factor * total).backward()
    return total.detach()


@pytest.mark.usefixtures("chunks")
@pytest.mark.parametrize("cap", [0.0, 3.0])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("dtype", "fused"), [(torch.float32, False), (torch.bfloat16, False), (torch.bfloat16, True)])
def test_loss_and_gradients_are_those_of_the_formula(
    dtype: torch.dtype, fused: bool, bias: bool, cap: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not fused:
        monkeypatch.setattr(loss, "fuses", lambda device, dtype: False)
    x_ND, weight_VD, bias_V, targets_N = problem(dtype, bias)
    expected = Reference(x_ND, weight_VD, bias_V, targets_N, cap, dtype)
    each_N = token_losses(x_ND, weight_VD, bias_V, targets_N, cap)
    assert each_N.dtype == torch.float32
    assert (each_N.double() - expected.losses_N).abs().max() <= expected.loss_each
    total = run(x_ND, weight_VD, bias_V, targets_N, cap)
    assert total.dtype == torch.float32 and total.shape == ()
    assert abs(float(total) - expected.total) <= ROWS * (expected.loss_each + U32 * expected.total)
    assert x_ND.grad is not None and weight_VD.grad is not None
    assert x_ND.grad.dtype == dtype and weight_VD.grad.dtype == torch.float32
    assert ((x_ND.grad.double() - expected.dx).abs() <= expected.dx_bound).all()
    assert ((weight_VD.grad.double() - expected.dweight).abs() <= expected.dweight_bound).all()
    if bias_V is not None:
        assert bias_V.grad is not None
        assert ((bias_V.grad.double() - expected.dbias).abs() <= expected.dbias_bound).all()
    # The bounds are no excuse: they are far below the numbers themselves.
    assert expected.loss_each < (1e-3 if dtype == torch.float32 else 0.2)
    assert expected.dweight_bound.max() < (1e-3 if dtype == torch.float32 else 0.5) * expected.dweight.abs().max()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_where_a_target_is_masked_x_has_no_influence_and_no_gradient(dtype: torch.dtype) -> None:
    x_ND, weight_VD, bias_V, targets_N = problem(dtype, bias=True)
    masked = targets_N == IGNORE
    total = run(x_ND, weight_VD, bias_V, targets_N, 0.0)
    assert bias_V is not None and x_ND.grad is not None
    assert not x_ND.grad[masked].any() and x_ND.grad[~masked].abs().sum(-1).all()
    assert not token_losses(x_ND.detach(), weight_VD, bias_V, targets_N)[masked].any()
    before = [each.grad.clone() for each in (weight_VD, bias_V)]
    other_ND = torch.where(masked[:, None], -7.0 * x_ND.detach(), x_ND.detach())
    assert torch.equal(run(other_ND, weight_VD, bias_V, targets_N, 0.0), total)
    assert all(torch.equal(old, each.grad) for old, each in zip(before, (weight_VD, bias_V), strict=True))


def test_with_everything_masked_there_is_no_loss() -> None:
    x_ND, weight_VD, bias_V, targets_N = problem(torch.float32, bias=True)
    assert run(x_ND, weight_VD, bias_V, torch.full_like(targets_N, IGNORE), 0.0) == 0.0
    assert bias_V is not None
    assert not any(each.grad.any() for each in (x_ND, weight_VD, bias_V))


def test_gradients_scale_with_what_is_done_to_the_loss() -> None:
    x_ND, weight_VD, bias_V, targets_N = problem(torch.float32, bias=True)
    run(x_ND, weight_VD, bias_V, targets_N, 0.0)
    assert bias_V is not None
    once = [each.grad.clone() for each in (x_ND, weight_VD, bias_V)]
    run(x_ND, weight_VD, bias_V, targets_N, 0.0, factor=0.25)
    for old, each in zip(once, (x_ND, weight_VD, bias_V), strict=True):
        assert torch.equal(0.25 * old, each.grad)  # a power of two rounds nothing


def test_the_value_is_the_same_with_and_without_gradients() -> None:
    x_ND, weight_VD, bias_V, targets_N = problem(torch.float32, bias=True)
    total = run(x_ND, weight_VD, bias_V, targets_N, 0.0)
    with torch.no_grad():
        assert float(linear_cross_entropy(x_ND, weight_VD, bias_V, targets_N)) == pytest.approx(float(total), rel=1e-6)


@pytest.mark.parametrize("vocabulary", [COLUMN_MULTIPLE, COLUMN_MULTIPLE + 1])
def test_the_filling_up_adds_nothing(vocabulary: int) -> None:
    x_ND, weight_VD, bias_V, targets_N = problem(torch.float32, bias=True, vocabulary=vocabulary)
    expected = Reference(x_ND, weight_VD, bias_V, targets_N, 0.0, torch.float32)
    assert float(run(x_ND, weight_VD, bias_V, targets_N, 0.0)) == pytest.approx(expected.total, rel=1e-6)
    assert weight_VD.grad is not None and weight_VD.grad.shape == weight_VD.shape


def test_huge_logits_overflow_nowhere() -> None:
    x_ND = torch.tensor([[300.0, 0.0], [-300.0, 0.0]])
    weight_VD = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    losses = token_losses(x_ND, weight_VD, None, torch.tensor([0, 0]))
    assert losses.tolist() == [0.0, 600.0]
    run(x_ND, weight_VD, None, torch.tensor([0, 0]), 0.0)
    assert x_ND.grad is not None and x_ND.grad[1].tolist() == [-2.0, 0.0]  # (W[2] - W[0]) with all mass on word 2


def test_uniform_logits_cost_the_logarithm_of_the_vocabulary() -> None:
    losses = token_losses(torch.zeros(3, 2), torch.zeros(50, 2), None, torch.tensor([0, 49, IGNORE]))
    assert losses.tolist() == pytest.approx([math.log(50), math.log(50), 0.0], rel=1e-6)


def test_gradients_come_in_the_type_of_the_weights() -> None:
    x_ND, weight_VD, bias_V, targets_N = problem(torch.bfloat16, bias=True)
    assert bias_V is not None
    weight, bias = weight_VD.bfloat16(), bias_V.bfloat16()
    run(x_ND, weight, bias, targets_N, 0.0)
    assert weight.grad is not None and bias.grad is not None
    assert weight.grad.dtype == bias.grad.dtype == torch.bfloat16
    expected = Reference(x_ND, weight_VD, bias_V, targets_N, 0.0, torch.bfloat16)
    bound = expected.dweight_bound + 2.0**-8 * expected.dweight.abs()
    assert ((weight.grad.double() - expected.dweight).abs() <= bound).all()


def test_chunks_are_equal_parts_within_their_limit() -> None:
    for num_rows, vocabulary in ((2048, 50_688), (1, 10), (7, 10**9), (4096, 512), (1000, 262_144)):
        rows = chunk_rows(num_rows, vocabulary)
        assert 1 <= rows <= num_rows and (rows == 1 or rows * vocabulary <= loss.CHUNK_ELEMENTS)
        parts = -(-num_rows // rows)
        assert rows * parts - num_rows < parts  # no part is shorter than the others by more than that
    assert chunk_rows(2048, 50_688) == 1024
