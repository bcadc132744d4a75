"""What to train with some time, tokens or weights, or for some loss: the size that the law expects most of."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fabula.recipe.presets.shapes import Size
from fabula.study.frontier.law import Frontier

BEYOND = 2.0
"""The law is asked up to this factor outside the sizes, tokens, number of stories and epochs of its runs."""
GROWTH = 1.02
"""Step of a search over tokens: 2 % more tokens change the loss by less than 0.01."""
PLACES = 300
"""Numbers of tokens that are looked at for the lowest loss, from the fewest to the most: 2 % apart."""


@dataclass(frozen=True)
class Reach:
    """How far the law of some runs may be asked, on stories of `unique` tokens."""

    parameters: tuple[float, float]
    tokens: tuple[float, float]
    enough_stories: bool
    """Whether there are about as many stories as the fewest that its runs had."""

    def holds(self, parameters: float, tokens: float) -> bool:
        return self.enough_stories and all(
            low * 0.999 <= value <= high * 1.001  # a whole step more or less
            for value, (low, high) in ((parameters, self.parameters), (tokens, self.tokens))
        )


def reach(frontier: Frontier, unique: float) -> Reach:
    points = frontier.points
    parameters = [point.parameters for point in points]
    tokens = [point.tokens for point in points]
    epochs = BEYOND * max(1.0, *(point.tokens / point.unique for point in points))
    return Reach(
        (min(parameters) / BEYOND, max(parameters) * BEYOND),
        (min(tokens) / BEYOND, min(BEYOND * max(tokens), epochs * unique)),
        BEYOND * unique >= min(point.unique for point in points),
    )


@dataclass(frozen=True)
class Candidate:
    """A size that can be trained, and what it costs."""

    size: Size
    parameters: int
    """That multiply each token."""
    tokens: float
    seconds: float
    cut: bool = False
    """Whether there was time for more tokens than the law may be asked of."""


@dataclass(frozen=True)
class Expected:
    """The loss in nats a GPT-2 token that a run should end with; four of five runs between low and high."""

    loss: float
    low: float
    high: float


def expected(frontier: Frontier, parameters: float, tokens: float, unique: float) -> Expected:
    return Expected(*frontier.expected(parameters, tokens, unique))


def best(frontier: Frontier, candidates: Sequence[Candidate], unique: float) -> Candidate:
    """The candidate with the lowest expected loss; the smaller one where two are expected to be the same."""
    return min(candidates, key=lambda each: (frontier.law.loss(each.parameters, each.tokens, unique), each.parameters))


@dataclass(frozen=True)
class Most:
    """The tokens that a size is trained on at most, and whether that is for the stories: with more, what is learned by
    heart costs more than what is learned, or each would come again more often than is known."""

    tokens: float
    stories_end: bool


def most_tokens(frontier: Frontier, parameters: float, unique: float) -> Most:
    low, high = reach(frontier, unique).tokens
    places = np.geomspace(low, max(low, high), PLACES)
    losses = [frontier.law.loss(parameters, tokens, unique) for tokens in places]
    lowest = float(places[int(np.argmin(losses))])
    return Most(lowest, lowest * GROWTH < BEYOND * max(point.tokens for point in frontier.points))


def tokens_for(frontier: Frontier, parameters: float, loss: float, unique: float, most: float) -> float | None:
    """The fewest tokens with which a model of this size is expected to reach `loss`; None where `most` do not."""

    def reaches(tokens: float) -> bool:
        return frontier.law.loss(parameters, tokens, unique) <= loss

    if not reaches(most):
        return None
    low, high = 1.0, most
    while high / low > GROWTH:
        middle = (low * high) ** 0.5
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return high
