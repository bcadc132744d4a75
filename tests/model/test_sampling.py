"""The rules of sampling against transformers' own, and the draw against the probabilities it should have."""

import pytest
import torch
from torch import Tensor

from fabula.errors import InputError
from fabula.model.decode.sampling import Sampling, choose, penalized

VOCABULARY = 700


def drawn_probabilities(logits_V: Tensor, sampling: Sampling, num_draws: int = 10_000) -> Tensor:
    """Share of each token over evenly spaced numbers in [0, 1): exact up to 1 / num_draws."""
    uniform_B = (torch.arange(num_draws) / num_draws).float()
    tokens_B = torch.cat([choose(logits_V.expand(len(part), -1), sampling, part) for part in uniform_B.split(1000)])
    return torch.bincount(tokens_B, minlength=len(logits_V)) / num_draws


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"temperature": 0.5},
        {"top_k": 7},
        {"top_p": 0.6},
        {"min_p": 0.3},
        {"temperature": 1.7, "top_k": 50, "top_p": 0.9, "min_p": 0.02},
        {"top_k": VOCABULARY + 5, "top_p": 0.999},
        {"temperature": 30.0, "top_p": 0.95},  # flat: the nucleus is larger than the first guess
    ],
    ids=str,
)
def test_probabilities_are_those_of_transformers(settings: dict[str, float]) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(1)
    logits_V = 3 * torch.randn(VOCABULARY)
    scores = logits_V[None].clone()
    steps = {
        "temperature": transformers.TemperatureLogitsWarper,
        "top_k": transformers.TopKLogitsWarper,
        "top_p": transformers.TopPLogitsWarper,
        "min_p": transformers.MinPLogitsWarper,
    }
    for name, step in steps.items():
        if name in settings:
            scores = step(settings[name])(torch.zeros(1, 1, dtype=torch.long), scores)
    expected_V = scores[0].softmax(-1)
    drawn_V = drawn_probabilities(logits_V, Sampling(**settings))
    assert (drawn_V - expected_V).abs().max() < 2e-3
    assert not drawn_V[expected_V == 0].any()


def test_the_repetition_penalty_is_that_of_transformers() -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(2)
    logits_BV, history_BT = torch.randn(3, VOCABULARY), torch.randint(0, VOCABULARY, (3, 40))
    expected = transformers.RepetitionPenaltyLogitsProcessor(1.3)(history_BT, logits_BV)
    seen_BV = torch.zeros(3, VOCABULARY, dtype=torch.bool).scatter(1, history_BT, True)
    torch.testing.assert_close(penalized(logits_BV, seen_BV, 1.3), expected)


def test_numbers_at_the_ends_choose_tokens_that_may_be_chosen() -> None:
    logits_BV = torch.tensor([[-50.0, 1.0, 2.0, -torch.inf], [-torch.inf, 0.0, -200.0, 0.0]])
    ends_B = torch.tensor([1 - 2**-24, 1 - 2**-24])
    assert choose(logits_BV, Sampling(), ends_B).tolist() == [2, 3]
    assert choose(logits_BV, Sampling(min_p=0.1), torch.zeros(2)).tolist() == [1, 1]
    assert choose(logits_BV, Sampling(temperature=0), None).tolist() == [2, 1]
    assert choose(logits_BV, Sampling(top_k=1), None).tolist() == [2, 1]


@pytest.mark.parametrize("sampling", [Sampling(top_p=0.5), Sampling(top_k=VOCABULARY // 2)], ids=["top-p", "top-k"])
def test_of_equal_logits_each_is_drawn_as_often(sampling: Sampling) -> None:
    drawn_V = drawn_probabilities(torch.zeros(VOCABULARY), sampling, 7_000)
    drawn = drawn_V[drawn_V > 0]
    assert len(drawn) == VOCABULARY // 2
    torch.testing.assert_close(drawn, torch.full_like(drawn, 2 / VOCABULARY), atol=2 / 7_000, rtol=0)


def test_what_is_drawn_beside_a_flat_row_is_what_is_drawn_alone() -> None:
    torch.manual_seed(3)
    logits_BV = torch.tensor([8.0, 0.1, 8.0])[:, None] * torch.randn(3, 5_000)
    uniform_B, sampling = torch.rand(3), Sampling(top_p=0.95)
    alone = [choose(logits_BV[row : row + 1], sampling, uniform_B[row : row + 1]) for row in range(3)]
    assert choose(logits_BV, sampling, uniform_B).tolist() == torch.cat(alone).tolist()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("sampling", [Sampling(), Sampling(temperature=0), Sampling(top_k=5), Sampling(top_p=0.9)])
def test_logits_that_are_not_finite_are_refused(value: float, sampling: Sampling) -> None:
    logits_BV = torch.zeros(2, VOCABULARY)
    logits_BV[1, 650] = value
    with pytest.raises(InputError, match="not finite"):
        choose(logits_BV, sampling, torch.tensor([0.5, 0.5]))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", -0.1),
        ("temperature", float("nan")),
        ("top_k", -1),
        ("top_p", 0.0),
        ("top_p", 1.1),
        ("min_p", -0.1),
        ("min_p", 1.5),
        ("repetition_penalty", 0.0),
        ("repetition_penalty", float("inf")),
    ],
)
def test_values_without_a_meaning_are_refused(field: str, value: float) -> None:
    with pytest.raises(InputError, match=field.replace("_", "-")):
        Sampling(**{field: value})
