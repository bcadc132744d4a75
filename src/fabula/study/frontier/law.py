"""The law of the frontier: the final loss as a function of size, tokens and how often they come again.

    L(N, D, U) = floor + a / N^alpha + b / D'^beta        (Hoffmann et al. 2022, equation 2)
    D' = U + U R (1 - exp(-(D/U - 1) / R)) for D > U, else D   (Muennighoff et al. 2023, equation 5)

N: weights at work for each token (matrices of layers and head; an embedding is looked up), D: tokens trained on, U:
tokens that differ, R: after how many repetitions a token is worth 1/e of a new one. Losses in nats a GPT-2 token.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

LEAST_RUNS, LEAST_KINDS = 8, 3
"""Six numbers are fitted: with fewer runs, or fewer sizes and lengths among them, they are not told apart."""
PRIORS = {"alpha": (0.34, 0.5), "beta": (0.28, 0.5), "repetition": (15.4, 0.7)}
"""Median and standard deviation of the logarithm: exponents of Hoffmann et al. (approach 3), R* of Muennighoff et al. A
factor of 1.6 (of 2 for R*) costs as much as a run that lies one SCATTER off: they decide what the runs leave open."""
MEDIANS = {name: median for name, (median, _) in PRIORS.items()}
SCATTER = 0.01
"""Relative scatter of one run about the law that the fit expects; beyond twice of it a run pulls less (Huber)."""
NUM_FITTED = 6
RESAMPLES = 60
STARTS = ((0.6, 0.35, 0.4), (1.0, 0.5, 0.5), (0.2, 0.25, 0.3))
"""Floor, alpha and beta where the search begins; the best of the fits is taken."""
UNIT_N, UNIT_D = 1e6, 1e6


@dataclass(frozen=True)
class Point:
    """One run."""

    parameters: float
    """That multiply each token."""
    tokens: float
    unique: float
    loss: float


@dataclass(frozen=True)
class Law:
    floor: float
    a: float
    """Nats that a model of a million multiplying weights loses for its size."""
    alpha: float
    b: float
    """Nats that a million new tokens leave to be learned."""
    beta: float
    repetition: float

    def worth(self, tokens: float, unique: float) -> float:
        """The new tokens that so many tokens are worth, of which `unique` are different."""
        if tokens <= unique:
            return tokens
        again = tokens / unique - 1.0
        return unique * (1.0 + self.repetition * (1.0 - float(np.exp(-again / self.repetition))))

    def loss(self, parameters: float, tokens: float, unique: float) -> float:
        worth = self.worth(tokens, unique)
        return float(
            self.floor + self.a * (parameters / UNIT_N) ** -self.alpha + self.b * (worth / UNIT_D) ** -self.beta
        )


@dataclass(frozen=True)
class Frontier:
    """The law of some runs, and how far it may be trusted."""

    points: tuple[Point, ...]
    law: Law
    resampled: tuple[Law, ...]
    """The same law of runs drawn anew from these, with replacement."""

    @cached_property
    def relative_errors(self) -> NDArray[np.float64]:
        """Of the runs about the law, widened for the numbers that were fitted to them."""
        errors = np.array([point.loss / self._of(self.law, point) - 1.0 for point in self.points])
        spare = max(1, len(self.points) - NUM_FITTED)
        return errors * np.sqrt(len(self.points) / spare)

    def expected(
        self, parameters: float, tokens: float, unique: float, level: float = 0.8
    ) -> tuple[float, float, float]:
        """The loss to expect, and the interval in which a run ends with probability `level`: the law of each resample,
        with the error of each run about its own."""
        middle = self.law.loss(parameters, tokens, unique)
        laws = np.array([law.loss(parameters, tokens, unique) for law in self.resampled])
        drawn = (laws[:, None] * (1.0 + self.relative_errors[None, :])).ravel()
        low, high = np.quantile(drawn, [0.5 - level / 2, 0.5 + level / 2])
        return middle, float(min(low, middle)), float(max(high, middle))

    @staticmethod
    def _of(law: Law, point: Point) -> float:
        return law.loss(point.parameters, point.tokens, point.unique)


def frontier_of(points: Sequence[Point], seed: int = 0) -> Frontier:
    """Fit the law to the runs, and to RESAMPLES draws of them, each with other medians of the priors, so that what the
    runs leave open is as wide as it is. They must be enough (`are_enough`)."""
    assert are_enough(points), "too few runs for a law"
    law = fit(points)
    random = np.random.default_rng(seed)
    resampled = []
    for _ in range(RESAMPLES):
        draw = random.integers(0, len(points), len(points))
        medians = {name: median * float(np.exp(random.normal(0, spread))) for name, (median, spread) in PRIORS.items()}
        resampled.append(fit([points[each] for each in draw], near=law, medians=medians))
    return Frontier(tuple(points), law, tuple(resampled))


def are_enough(points: Sequence[Point]) -> bool:
    """Whether a law can be laid through these runs: LEAST_RUNS of them, of LEAST_KINDS sizes and lengths."""
    sizes, lengths = {point.parameters for point in points}, {point.tokens for point in points}
    return len(points) >= LEAST_RUNS and min(len(sizes), len(lengths)) >= LEAST_KINDS


def fit(points: Sequence[Point], near: Law | None = None, medians: Mapping[str, float] = MEDIANS) -> Law:
    """Least squares on the logarithm of the loss, robust against single runs, with weak priors about `medians`."""
    from scipy.optimize import least_squares  # heavy: only who plans needs it

    parameters, tokens, unique, losses = (
        np.array([getattr(point, name) for point in points]) for name in ("parameters", "tokens", "unique", "loss")
    )

    def residuals(theta: NDArray[np.float64]) -> NDArray[np.float64]:
        floor, a, alpha, b, beta, repetition = np.exp(theta)
        again = np.maximum(tokens / unique - 1.0, 0.0)
        worth = np.where(tokens <= unique, tokens, unique * (1.0 + repetition * (1.0 - np.exp(-again / repetition))))
        predicted = floor + a * (parameters / UNIT_N) ** -alpha + b * (worth / UNIT_D) ** -beta
        of_priors = [
            (np.log(value) - np.log(medians[name])) / PRIORS[name][1]
            for name, value in (("alpha", alpha), ("beta", beta), ("repetition", repetition))
        ]
        return np.concatenate([np.log(predicted / losses) / SCATTER, of_priors])

    starts = [(near.floor, near.a, near.alpha, near.b, near.beta, near.repetition)] if near is not None else [
        (floor, 0.5, alpha, 1.0, beta, PRIORS["repetition"][0]) for floor, alpha, beta in STARTS
    ]  # fmt: skip
    fits = [least_squares(residuals, np.log(start), loss="huber", f_scale=2.0) for start in starts]
    best = min(fits, key=lambda each: float(each.cost))
    return Law(*(float(value) for value in np.exp(best.x)))
