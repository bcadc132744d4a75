"""How far a weighted sum of losses scatters, told from all runs of a table and not from its own few.

Three seeds tell the spread of a recipe badly: of three draws from one distribution, the standard deviation is half as
large or smaller in one case of five. The other recipes know more of it where their spreads are alike, and nothing where
each has its own. So the variances of R recipes are moderated towards a common one, as far as they are alike themselves
(Smyth 2004, limma: variance_r ~ scale * degrees / chi2(degrees)). Smyth estimates degrees and scale; from four recipes
that estimate is often "all alike" by luck. Here both stay unknown: each of a few degrees and of a grid of scales is
weighed by how well it explains the variances, and p is the mean over all. One part more holds every recipe alone
(ALONE), so that a wild recipe which looks quiet by luck is not taken for one of the others. Where runs of one seed
rise and fall together, its share in the scatter of a difference is less: the usual analysis of variance with seeds as
blocks is weighed in by its own evidence.

All constants were chosen on simulated ladders without any effect and with one (docs/measure_ladders.py; docs/log.md).

R recipes, S seeds, K prior degrees, L prior scales, M parts of a mixture. Leading axes (...) are other
tables, which the simulation judges many at a time.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

DEGREES = (0.25, 1.0, 4.0, 16.0, np.inf)
"""Of the common distribution: from nothing in common to all alike, equally likely at first."""
PRIOR_DEGREES = np.minimum(DEGREES, 1e6)
NUM_SCALES = 25
REACH = 2.0
"""How far the grid of log scales goes beyond the smallest and the largest variance."""
ALONE = 0.1
"""Weight of "each recipe alone", divided by its degrees of freedom: two seeds are fooled more often than three."""
BLOCKS = 0.2
"""How likely it is, before the losses are seen, that a seed moves all recipes alike."""
BLOCK_RATIOS = np.geomspace(1.5, 1000.0, 24)
"""By how much it may raise the variance of the seeds' means: each equally likely."""
ROUNDS = 4
"""Of weighing recipes by what they scatter beside the seeds; three change little."""
LEAST_DEGREES = 0.5
"""Of a recipe beside the seeds: of one that is far the quietest, nearly all of its scatter is the seeds' share."""
LEAST, TINY = 1e-12, 1e-300
"""Of the largest variance: equal losses have a spread all the same, which rounding hides."""


@dataclass(frozen=True, eq=False)
class Mixture:
    """Of t distributions around zero."""

    weights_M: Array
    errors_M: Array
    """Standard errors."""
    degrees_M: Array

    def p(self, mean: Array) -> Array:
        from scipy.special import stdtr  # heavy: only who compares recipes needs it

        t_M = np.abs(mean)[..., None] / self.errors_M
        return np.asarray((self.weights_M * 2.0 * stdtr(self.degrees_M, -t_M)).sum(-1))


@dataclass(frozen=True, eq=False)
class Scatter:
    """What the answer to a question does by luck."""

    plain: Mixture
    blocks: Mixture | None = None
    weight: Array | float = 0.0
    """How likely it is that seeds are blocks. If they are, `plain` counts their share as scatter and is too wide; so
    where `blocks` is wider still, that is for its few degrees of freedom, and `plain` stays."""

    def p(self, mean: float | Array) -> Array:
        """Two-sided p of `mean`. [...]"""
        p = self.plain.p(np.asarray(mean, float))
        if self.blocks is None:
            return p
        return np.asarray((1.0 - self.weight) * p + self.weight * np.minimum(p, self.blocks.p(np.asarray(mean, float))))

    def half_width(self, p: float) -> float:
        """The mean that has this p: half of the interval at level 1 - p. For one table."""
        from scipy.optimize import brentq  # heavy: only who compares recipes needs it

        high = float(self.plain.errors_M.max())
        while self.p(high) > p:
            high *= 2.0
        return float(brentq(lambda mean: float(self.p(mean)) - p, 0.0, high, xtol=1e-12 * high, rtol=1e-10))


@dataclass(frozen=True, eq=False)
class View:
    """The recipes' variances over seeds, as they are or with seeds as blocks."""

    variance_R: Array
    degrees_R: Array

    def mixture(self, weight_R: Array, num_runs_R: Array) -> Mixture:
        """Of the weighted sum of the recipes' means."""
        used = weight_R != 0.0
        share_R = np.where(used, weight_R**2 / num_runs_R, 0.0)
        lowest = np.where(used, self.degrees_R, np.inf).min(-1, keepdims=True)
        alone = np.ones_like(lowest) if len(weight_R) == 2 else np.minimum(1.0, ALONE / lowest)
        error = np.sqrt((share_R * self.variance_R).sum(-1, keepdims=True))
        parts = [(alone, error, lowest)]  # as few degrees of freedom as its worst known recipe: on the safe side
        if len(weight_R) > 2:
            fit_KL, moderated_RKL = _moderated(self.variance_R, self.degrees_R)
            each_RKL = share_R[:, None, None] * moderated_RKL
            degrees_RKL = PRIOR_DEGREES[:, None] + self.degrees_R[..., :, None, None]
            total_KL = each_RKL.sum(-3)
            degrees_KL = total_KL**2 / (each_RKL**2 / degrees_RKL).sum(-3)  # Welch 1947, Satterthwaite 1946
            flat = (*total_KL.shape[:-2], -1)
            shared = (1.0 - alone) * fit_KL.reshape(flat)
            parts.append((shared, np.sqrt(total_KL.reshape(flat)), degrees_KL.reshape(flat)))
        return Mixture(*(np.concatenate(each, -1) for each in zip(*parts, strict=True)))


@dataclass(frozen=True, eq=False)
class Spreads:
    """What the runs of a table tell of its recipes' scatter over seeds."""

    plain: View
    blocks: View | None = None
    weight: Array | float = 0.0

    def scatter(self, weight_R: Array, num_runs_R: Array) -> Scatter:
        """Of the weighted sum of the recipes' means, each over so many runs."""
        blocks = None if self.blocks is None else self.blocks.mixture(weight_R, num_runs_R)
        return Scatter(self.plain.mixture(weight_R, num_runs_R), blocks, self.weight)


def shared_spreads(variance_R: Array, num_runs_R: Array, table_RS: Array | None = None) -> Spreads:
    """From each recipe's variance over its runs (two or more), and the losses of the seeds that all of them have."""
    variance_R = _kept_positive(variance_R)
    plain = View(variance_R, np.broadcast_to(num_runs_R - 1.0, variance_R.shape))
    if table_RS is None or min(table_RS.shape[-2:]) < 2:
        return Spreads(plain)
    weight, left_R, degrees_R = _blocks(table_RS)
    return Spreads(plain, View(left_R, np.maximum(degrees_R, LEAST_DEGREES)), weight)


def _kept_positive(variance_R: Array) -> Array:
    largest = variance_R.max(-1, keepdims=True)
    return np.maximum(variance_R, np.where(largest > 0, LEAST * largest, LEAST))


def _moderated(variance_R: Array, degrees_R: Array) -> tuple[Array, Array]:
    from scipy.special import gammaln  # heavy: only who compares recipes needs it

    log_R = np.log(variance_R)
    low, high = log_R.min(-1) - REACH, log_R.max(-1) + REACH
    scale_L = low[..., None] + (high - low)[..., None] * np.linspace(0.0, 1.0, NUM_SCALES)
    d_R1 = degrees_R[..., :, None]
    ratio_RL = log_R[..., :, None] - scale_L[..., None, :]
    fits, moderated = [], []
    for prior in DEGREES:
        if np.isinf(prior):  # each variance ~ scale * chi2(d) / d
            density_RL = d_R1 / 2 * (ratio_RL - np.exp(ratio_RL)) + d_R1 / 2 * np.log(d_R1 / 2) - gammaln(d_R1 / 2)
            value_RL = np.broadcast_to(np.exp(scale_L)[..., None, :], ratio_RL.shape)
        else:  # variance / scale ~ F(d, prior): Smyth 2004, section 3
            both_R1 = d_R1 + prior
            density_RL = d_R1 / 2 * ratio_RL - both_R1 / 2 * np.log1p(d_R1 / prior * np.exp(ratio_RL))
            density_RL += gammaln(both_R1 / 2) - gammaln(d_R1 / 2) - gammaln(prior / 2)
            density_RL += d_R1 / 2 * np.log(d_R1 / prior)
            value_RL = (prior * np.exp(scale_L)[..., None, :] + d_R1 * variance_R[..., :, None]) / both_R1
        fits.append(density_RL.sum(-2))
        moderated.append(value_RL)
    fit_KL = np.stack(fits, -2)
    weight_KL = np.exp(fit_KL - fit_KL.max((-1, -2), keepdims=True))
    return weight_KL / weight_KL.sum((-1, -2), keepdims=True), np.stack(moderated, -2)


def _blocks(table_RS: Array) -> tuple[Array, Array, Array]:
    """The weight of "a seed moves all recipes alike"; each recipe's variance beside it, and its degrees of freedom.

    A seed's share is the mean over the recipes, each weighed by how little it scatters, so that a wild one has no part
    in it. The seeds' mean square over the residual one follows F(S - 1, (R - 1)(S - 1)), or that times a ratio above
    one where seeds matter (Fisher 1925).
    """
    num_recipes, num_seeds = table_RS.shape[-2:]
    centred_RS = table_RS - table_RS.mean(-1, keepdims=True)
    weight_R = np.full(table_RS.shape[:-1], 1.0 / num_recipes)
    for _ in range(ROUNDS if num_recipes > 2 else 1):
        seed_S = (weight_R[..., None] * centred_RS).sum(-2)
        left_R = ((centred_RS - seed_S[..., None, :]) ** 2).sum(-1)
        degrees_R = (num_seeds - 1.0) * (1.0 - weight_R)
        variance_R = _kept_positive(left_R / degrees_R)
        if num_recipes == 2:
            break
        fit_KL, moderated_RKL = _moderated(variance_R, degrees_R)
        precision_R = 1.0 / (fit_KL[..., None, :, :] * moderated_RKL).sum((-1, -2))
        weight_R = precision_R / precision_R.sum(-1, keepdims=True)
    a, b = num_seeds - 1.0, (num_recipes - 1.0) * (num_seeds - 1.0)
    seeds = (seed_S**2).sum(-1) / a
    residual = (weight_R * left_R).sum(-1) / b
    ratio = seeds / np.maximum(residual, LEAST * np.maximum(seeds, TINY))
    evidence = (_f_density(ratio[..., None] / BLOCK_RATIOS, a, b) / BLOCK_RATIOS).mean(-1) / _f_density(ratio, a, b)
    return BLOCKS * evidence / (BLOCKS * evidence + 1.0 - BLOCKS), variance_R, degrees_R


def _f_density(x: Array, a: float, b: float) -> Array:
    """Of F(a, b), but for a factor that does not hang on x."""
    x = np.maximum(x, TINY)
    return np.exp((a / 2 - 1) * np.log(x) - (a + b) / 2 * np.log1p(a / b * x))
