"""The law of the frontier: the final loss as a function of size, tokens and how often they come again.

    L(N, D, U) = floor + ((a / N^alpha)^(1/kappa) + (b / D^beta)^(1/kappa))^kappa
                       + c (D/U - 1)^gamma N^delta / U^epsilon

N: weights at work for each token (matrices of layers and head; an embedding is looked up), D: tokens trained on, U:
tokens that differ, each in millions. Losses in nats a GPT-2 token. With kappa 1 what size and tokens cost is added, as
in Hoffmann et al. 2022, equation 2; Kaplan et al. 2020, equation 1.5, has a kappa, and no floor. The larger kappa, the
more of what a size costs is gone with more tokens: on the built-in stories each size halves its distance from the floor
with twice the tokens. The last term, zero until a story comes again, is what is lost by learning stories by heart. The
form of Muennighoff et al. 2023, equation 5, says only that a token that comes again is worth less: with it no loss
rises, and of few stories losses do (docs/plan.md): from 3.08 after 2.8 epochs to 3.35 after 5.5.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

LEAST_RUNS, LEAST_KINDS = 8, 3
"""With fewer runs, or fewer sizes and lengths among them, what size and what tokens bring is not told apart."""
Priors = Mapping[str, tuple[float, float]]
"""Of some numbers of a law the median and the standard deviation of the logarithm."""
BY_HEART: Priors = {"c": (0.08, 1.0), "gamma": (1.0, 0.5), "delta": (0.5, 0.5), "epsilon": (1.0, 0.5)}
"""Medians as in the kept runs on few stories, so that they are a start for others. One exponent for N/U left a run of
4 layers of 128, 4,000 stories and 2.7 epochs 0.09 nats off; with two it is 0.02."""
PRIORS: Priors = {"alpha": (0.34, 0.5), "beta": (0.28, 0.5), "kappa": (1.0, 0.1), **BY_HEART}
"""Exponents of Hoffmann et al. (approach 3). A factor of 1.6 (of 2.7 for c) costs as much as a run that lies one
SCATTER off: they decide what the runs leave open. Runs hardly tell kappa from the floor: with a free kappa, runs of
`modern-portable` were foretold worse by the others (0.022 nats instead of 0.015, the worst 0.07 instead of 0.05)."""
ALIKE = 0.1
"""The same for a family whose law is expected to be like a known one's: a factor of 1.1 in its floor and exponents."""
SCATTER = 0.01
"""Relative scatter of one run about the law that the fit expects; beyond twice of it a run pulls less (Huber)."""
RESAMPLES = 60
STARTS = ((0.6, 0.35, 0.4, 1.0), (1.0, 0.5, 0.5, 1.0), (0.2, 0.25, 0.3, 1.0), (0.2, 1.0, 1.0, 3.0))
"""Floor, alpha, beta and kappa where the search begins; the best of the fits is taken."""
UNIT = 1e6
Amounts = float | NDArray[np.float64]
"""Of one run, or of several."""


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
    kappa: float
    c: float
    """Nats that a million weights lose in a second epoch of a million tokens that differ."""
    gamma: float
    delta: float
    epsilon: float

    def loss(self, parameters: float, tokens: float, unique: float) -> float:
        return float(_loss(astuple(self), parameters, tokens, unique))


def _loss(law: Iterable[float], parameters: Amounts, tokens: Amounts, unique: Amounts) -> Amounts:
    """`law`: its numbers, in the order of NAMES."""
    floor, a, alpha, b, beta, kappa, c, gamma, delta, epsilon = law
    of_size, of_tokens = a * (parameters / UNIT) ** -alpha, b * (tokens / UNIT) ** -beta
    again = np.maximum(tokens / unique - 1.0, 0.0)
    by_heart = c * again**gamma * (parameters / UNIT) ** delta * (unique / UNIT) ** -epsilon
    return floor + (of_size ** (1 / kappa) + of_tokens ** (1 / kappa)) ** kappa + by_heart


NAMES = tuple(field.name for field in fields(Law))


@dataclass(frozen=True)
class Frontier:
    """The law of some runs, and how far it may be trusted."""

    points: tuple[Point, ...]
    law: Law
    resampled: tuple[Law, ...]
    """The same law of runs drawn anew from these, with replacement."""
    num_decided: float
    """Numbers of the law that these runs decide; what they leave open, the priors do."""

    @cached_property
    def relative_errors(self) -> NDArray[np.float64]:
        """Of the runs about the law, widened for the numbers that were fitted to them."""
        errors = np.array([point.loss / self._of(self.law, point) - 1.0 for point in self.points])
        spare = max(1.0, len(self.points) - self.num_decided)
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


def priors_like(law: Law) -> Priors:
    """Of a law that is expected to be like this one, but for what a size and a token are worth in it."""
    alike = {name: ALIKE for name in NAMES if name not in ("a", "b", "c")} | {"c": PRIORS["c"][1]}
    return {name: (getattr(law, name), spread) for name, spread in alike.items()}


def with_floor(priors: Priors, floor: float) -> Priors:
    """Where the floor is known, as the entropy of the built-in stories is. What tokens of several words add to it is
    not; and kappa may then be what it will."""
    return {**priors, "floor": (floor, 0.02), "kappa": (1.0, 1.0)}


def frontier_of(points: Sequence[Point], priors: Priors = PRIORS, seed: int = 0) -> Frontier:
    """Fit the law to the runs, and to RESAMPLES draws of them, each with other medians of the priors, so that what the
    runs leave open is as wide as it is. They must be enough (`are_enough`)."""
    assert are_enough(points), "too few runs for a law"
    law = fit(points, priors)
    random = np.random.default_rng(seed)
    resampled = []
    for _ in range(RESAMPLES):
        draw = random.integers(0, len(points), len(points))
        other = {
            name: (median * float(np.exp(random.normal(0, spread))), spread)
            for name, (median, spread) in priors.items()
        }
        resampled.append(fit([points[each] for each in draw], other, near=law))
    return Frontier(tuple(points), law, tuple(resampled), num_decided(points, law, priors))


def are_enough(points: Sequence[Point]) -> bool:
    """Whether a law can be laid through these runs: LEAST_RUNS of them, of LEAST_KINDS sizes and lengths."""
    sizes, lengths = {point.parameters for point in points}, {point.tokens for point in points}
    return len(points) >= LEAST_RUNS and min(len(sizes), len(lengths)) >= LEAST_KINDS


def fit(points: Sequence[Point], priors: Priors = PRIORS, near: Law | None = None) -> Law:
    """Least squares on the logarithm of the loss, robust against single runs. `near`: where the search begins."""
    from scipy.optimize import least_squares  # heavy: only who plans needs it

    starts = [astuple(near)] if near is not None else [
        (floor, 0.5, alpha, 1.0, beta, kappa, *(median for median, _ in BY_HEART.values()))
        for floor, alpha, beta, kappa in STARTS
    ]  # fmt: skip
    residuals = _residuals(points, priors)
    fits = [least_squares(residuals, np.log(start), loss="huber", f_scale=2.0) for start in starts]
    best = min(fits, key=lambda each: float(each.cost))
    return Law(*(float(value) for value in np.exp(best.x)))


def num_decided(points: Sequence[Point], law: Law, priors: Priors) -> float:
    """How many numbers of the law the runs decide beside the priors: the trace of the matrix that maps their losses to
    those of the law (Hastie, Tibshirani and Friedman 2009, equation 7.32)."""
    from scipy.optimize import approx_fprime  # heavy: only who plans needs it

    jacobian = approx_fprime(np.log(astuple(law)), _residuals(points, priors), 1e-6)
    of_runs = jacobian[: len(points)]
    return float(np.trace(of_runs @ np.linalg.pinv(jacobian)[:, : len(points)]))


def _residuals(points: Sequence[Point], priors: Priors) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Of the logarithms of a law's numbers: how far the runs are from it, in SCATTER, and how far it is from the
    priors, in their deviations."""
    parameters, tokens, unique, losses = (
        np.array([getattr(point, name) for point in points]) for name in ("parameters", "tokens", "unique", "loss")
    )

    def residuals(theta: NDArray[np.float64]) -> NDArray[np.float64]:
        with np.errstate(over="ignore", invalid="ignore"):  # a step that goes so far is taken back by the search
            predicted = _loss(np.exp(theta), parameters, tokens, unique)
        of_priors = [(theta[NAMES.index(name)] - np.log(median)) / spread for name, (median, spread) in priors.items()]
        return np.concatenate([np.log(predicted / losses) / SCATTER, of_priors])

    return residuals
