"""What a decoder may see: nothing later, and behind the mask nothing that counts.

Shapes: B rows, T time.
"""

import pytest
import torch
from tests.model.shapes import ALL, VOCABULARY, build
from torch import Tensor

from fabula.model.decoder import Decoder
from fabula.model.loss import IGNORE

DTYPES = [torch.float32, torch.bfloat16]
CONTEXT = 24


def tokens(rows: int, seed: int = 0) -> Tensor:
    return torch.randint(VOCABULARY, (rows, CONTEXT), generator=torch.Generator().manual_seed(seed))


def gradients(model: Decoder, inputs_BT: Tensor, targets_BT: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    model.zero_grad(set_to_none=True)
    loss = model.loss(model.hidden(inputs_BT), targets_BT)
    loss.backward()
    return loss.detach(), {name: each.grad.clone() for name, each in model.named_parameters() if each.grad is not None}


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("family", ALL)
def test_a_later_token_changes_no_earlier_logit(family: str, dtype: torch.dtype) -> None:
    """Row t of the batch is row 0 with another token at place t."""
    model = build(ALL[family], dtype=dtype)
    changed_BT = tokens(1).repeat(CONTEXT, 1)
    places = torch.arange(CONTEXT)
    changed_BT[places, places] = (changed_BT[places, places] + 1) % VOCABULARY
    with torch.no_grad():
        logits_BTV = model(torch.cat([tokens(1), changed_BT]))
    original_TV, changed_BTV = logits_BTV[0], logits_BTV[1:]
    for place in range(CONTEXT):
        assert torch.equal(changed_BTV[place, :place], original_TV[:place]), place
        assert not torch.allclose(changed_BTV[place, place], original_TV[place], atol=1e-3), place


@pytest.mark.parametrize("family", ALL)
def test_the_loss_of_a_row_has_no_gradient_beyond_its_last_target(family: str) -> None:
    model = build(ALL[family])
    x_BTD = model.embedding(tokens(1)).detach().requires_grad_()
    model.embedding.register_forward_hook(lambda *_: x_BTD)
    logits_BTV = model(tokens(1))
    logits_BTV[0, 9].square().sum().backward()
    assert x_BTD.grad is not None
    reached = x_BTD.grad[0].abs().sum(-1) > 0
    assert not reached[10:].any() and reached[9]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("family", ALL)
def test_what_stands_behind_the_mask_changes_no_loss_and_no_gradient(family: str, dtype: torch.dtype) -> None:
    model = build(ALL[family], dtype=dtype)
    lengths = torch.tensor([CONTEXT, 7, 1])
    behind = torch.arange(CONTEXT)[None, :] >= lengths[:, None]
    targets_BT = torch.where(behind, IGNORE, tokens(3, seed=1))
    inputs_BT = tokens(3, seed=2)
    loss, expected = gradients(model, inputs_BT, targets_BT)
    other_loss, found = gradients(model, torch.where(behind, tokens(3, seed=3), inputs_BT), targets_BT)
    assert torch.equal(loss, other_loss)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        assert torch.equal(gradient, found[name]), name
    one_more = targets_BT.clone()
    one_more[1, 7] = 5
    assert not torch.equal(loss, gradients(model, inputs_BT, one_more)[0])


def test_a_batch_sums_over_its_rows_so_that_its_mean_is_weighted_by_tokens() -> None:
    model = build(ALL["gpt"])
    lengths = torch.tensor([CONTEXT, 3])
    targets_BT = torch.where(torch.arange(CONTEXT)[None, :] >= lengths[:, None], IGNORE, tokens(2, seed=1))
    inputs_BT = tokens(2, seed=2)
    with torch.no_grad():
        total = model.loss(model.hidden(inputs_BT), targets_BT)
        rows = [model.loss(model.hidden(inputs_BT[row : row + 1]), targets_BT[row : row + 1]) for row in (0, 1)]
        log_p_BTV = model(inputs_BT).double().log_softmax(-1)
    by_hand = -sum(float(log_p_BTV[row, t, targets_BT[row, t]]) for row in (0, 1) for t in range(int(lengths[row])))
    assert float(total) == pytest.approx(float(rows[0] + rows[1]), rel=1e-6)
    assert float(total) == pytest.approx(by_hand, rel=1e-5)
    mean = float(total) / int(lengths.sum())
    mean_of_means = (float(rows[0]) / CONTEXT + float(rows[1]) / 3) / 2
    assert mean != pytest.approx(mean_of_means, rel=1e-3)


@pytest.mark.parametrize("name", ["gpt", "modern"])
def test_a_hidden_token_says_nothing_and_learns_nothing(name: str) -> None:
    model = build(ALL[name])
    tokens_BT = torch.tensor([[3, 7, 5, 9]])
    hidden_BT = torch.tensor([[3, -1, 5, 9]])
    expected = model.hidden(tokens_BT)
    with torch.no_grad():
        kept = [table.weight.clone() for table in (model.embedding, *model.value_tables)]
        for table in (model.embedding, *model.value_tables):
            table.weight[7] = 0
        zeroed = model.hidden(tokens_BT)
        for table, weight in zip((model.embedding, *model.value_tables), kept, strict=True):
            table.weight.copy_(weight)
    found = model.hidden(hidden_BT, some_hidden=True)
    assert torch.allclose(found, zeroed, atol=1e-6) and not torch.allclose(found, expected, atol=1e-3)
    found.square().sum().backward()
    for table in (model.embedding, *model.value_tables):
        assert table.weight.grad is not None
        assert not table.weight.grad[[0, 7]].any() and table.weight.grad[3].any()
