"""What a ladder shows: effects and interactions on the final loss, and whether they are more than noise.

Every question (contrasts.py) is answered by the mean over its seeds; how far that scatters by luck is told from all
runs of the table (shared_spread.py). All verdicts of one table share one error rate (Holm 1979), so the chance that a
ladder without any effect shows one stays below 5 %. A verdict needs both protocols, so of a question's share nearly all
goes to their agreement, and BY_ONE to what one of them says alone.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np

from fabula.study.inference.contrasts import ComparedRecipe, Contrast, Place, Weights, contrasts
from fabula.study.inference.shared_spread import Scatter, shared_spreads
from fabula.study.inference.statistics import (
    Interval,
    correlation,
    mean_interval,
    standard_deviation,
    unpaired_contrast,
)

LEVEL = 0.95
ESTIMATOR = "shared spreads, seeds as blocks (1)"
"""Its number grows with every change that may change a verdict: a frozen plan names it."""
BY_ONE = 0.05
"""Of a question's error rate, for a verdict that one protocol gives alone (`depends on the protocol`)."""
POWER = 0.8
"""An effect counts as one that would have been found if four of five ladders find it: usual since Cohen 1988."""
PROTOCOLS = ("stream", "story")
SAME_POSITIONS = 0.01
"""Recipes of one tier may differ by this share of their positions: rounding of steps, nothing else."""
Verdict = Literal["improved", "worse", "no evidence", "depends on the protocol", "no verdict"]


@dataclass(frozen=True)
class Final:
    """What one run came to: its losses and their rulers by name (`stream`, `story`, each also with `_at_128`). A run
    that failed has no losses and is here all the same: leaving it out would flatter its recipe."""

    seed: int
    losses: dict[str, float]
    rulers: dict[str, str]
    positions: float

    @property
    def is_finite(self) -> bool:
        return bool(self.losses) and all(math.isfinite(loss) for loss in self.losses.values())


Finals = Mapping[Place, Sequence[Final]]


@dataclass(frozen=True)
class Comparison:
    """One protocol of one effect. Differences are after - before: negative is better."""

    protocol: str
    ruler: str
    before: tuple[float, ...]
    after: tuple[float, ...]
    """The two sides seed by seed; of an effect, mean losses."""
    estimate: Interval
    """The mean difference, as it is told; its scatter from all runs of the table."""
    paired: Interval
    """The same mean with the plain paired t interval, from the differences of its own seeds alone."""
    groups: tuple[tuple[float, tuple[float, ...]], ...]
    """Each recipe's weight and losses."""
    apart: float | None = None
    together: float | None = None
    """Of an interaction, the mean effect without its condition, and under it."""
    p_adjusted: float | None = None
    scatter: Scatter | None = field(default=None, compare=False, repr=False)
    level: float | None = None
    """The p that it needed for a verdict, as the first of its table."""
    stories: tuple[float, float] | None = None
    """What other validation stories would have made of the mean (story_bootstrap.py): the middle 95 % of resamples."""

    @property
    def differences(self) -> tuple[float, ...]:
        return tuple(b - a for a, b in zip(self.before, self.after, strict=True))

    @cached_property
    def unpaired(self) -> Interval:
        """What the same losses would say if no two of them shared a seed."""
        return unpaired_contrast(self.groups, LEVEL)

    @property
    def correlation(self) -> float | None:
        """How far the two sides rise and fall together; None for two seeds, which always lie on a line."""
        return correlation(self.before, self.after) if len(self.before) > 2 else None

    def says(self) -> Verdict:
        if self.estimate.low is None or self.estimate.high is None or self.p_adjusted is None:
            return "no verdict"
        if self.p_adjusted >= 1.0 - LEVEL or self.estimate.low <= 0.0 <= self.estimate.high:
            return "no evidence"
        return "improved" if self.estimate.mean < 0 else "worse"

    @cached_property
    def least_told(self) -> float | None:
        """The smallest mean that would have had a verdict at this scatter over the seeds."""
        return None if self.scatter is None or self.level is None else self.scatter.half_width(self.level)

    @cached_property
    def unseen_below(self) -> float | None:
        """The effect whose mean would have exceeded that in 80 % of ladders of this scatter."""
        if self.scatter is None or self.least_told is None:
            return None
        return self.least_told + self.scatter.half_width(2.0 * (1.0 - POWER))


@dataclass(frozen=True)
class Turn:
    """Where a ladder is looked at several times (sequential.py): the look that decided this question, or the last."""

    look: int
    looks: int
    """Planned."""
    spent: float
    """Of the error rate, on this question until then."""
    outcome: Literal["told", "smaller", "open", "lost"]
    detect: float | None
    """`smaller`: the effect was shown to be smaller than this, in nats."""


@dataclass(frozen=True)
class Effect:
    """The answer to one question. `reason` says why there is no verdict, where there is none."""

    contrast: Contrast
    seeds: tuple[int, ...]
    comparisons: dict[str, Comparison]
    reason: str = ""
    turn: Turn | None = None

    @property
    def kind(self) -> str:
        return self.contrast.kind

    @property
    def tier(self) -> str:
        """The tier; the larger one, where two are compared."""
        return self.contrast.tiers[-1]

    @property
    def before(self) -> str:
        return self.contrast.before

    @property
    def after(self) -> str:
        return self.contrast.after

    @property
    def name(self) -> str:
        return self.contrast.name

    @property
    def num_runs(self) -> int:
        return len(self.seeds) * len(self.contrast.weights)

    @property
    def verdict(self) -> Verdict:
        said = {comparison.says() for comparison in self.comparisons.values()}
        if self.reason or not said or "no verdict" in said:
            return "no verdict"
        return said.pop() if len(said) == 1 else "depends on the protocol"

    @property
    def unseen_below(self) -> float | None:
        """Where there is no evidence: smaller effects may have stayed unseen; of this one and larger, both protocols
        would have told four of five."""
        sizes = [each.unseen_below for each in self.comparisons.values()] if self.verdict == "no evidence" else []
        known = [size for size in sizes if size is not None]
        return max(known) if known else None

    @property
    def headline(self) -> Comparison | None:
        """The comparison on `stream`, or the only one there is."""
        return self.comparisons.get("stream") or next(iter(self.comparisons.values()), None)


def effect(tier: str, before: str, after: str, finals_before: Sequence[Final], finals_after: Sequence[Final]) -> Effect:
    """Compare two recipes of a tier."""
    (contrast,) = contrasts(tier, [ComparedRecipe(before), ComparedRecipe(after)])
    return answer(contrast, {(tier, before): finals_before, (tier, after): finals_after})


def answer(contrast: Contrast, finals: Finals, protocols: Sequence[str] = PROTOCOLS, share: float = 1.0) -> Effect:
    """Ask `contrast` of the seeds that all of its recipes have come to an end with; `share`: of the error rate, for
    one look of several.

    Where a run failed, the others are shown without a verdict: without it they flatter its recipe.
    """
    by_seed = {place: {final.seed: final for final in finals.get(place, ())} for place, _ in contrast.weights}
    seeds = sorted(set.intersection(*(set(runs) for runs in by_seed.values())))
    lost = [
        f"`{place[1]}` seed {seed}"
        for place, runs in by_seed.items()
        for seed, run in runs.items()
        if not run.is_finite
    ]
    whole = tuple(seed for seed in seeds if all(runs[seed].is_finite for runs in by_seed.values()))
    reason = ""
    if lost:
        reason = f"the loss of {_listed(lost)} did not stay finite, and a mean without it would look too good"
    if not whole:
        return Effect(contrast, (), {}, reason or "no seed has finished every run that it compares")
    comparisons: dict[str, Comparison] = {}
    for protocol in protocols:
        key = protocol + contrast.at
        runs = [by_seed[place][seed] for place, _ in contrast.weights for seed in whole]
        if not all(key in run.losses for run in runs):
            continue
        rulers = {run.rulers.get(key, "") for run in runs}
        if len(rulers) > 1:
            reason = (
                reason
                or f"the losses on `{protocol}` were measured by different rulers (another text, rule or context)"
            )
            continue
        losses = {place: [runs[seed].losses[key] for seed in whole] for place, runs in by_seed.items()}
        ruler = rulers.pop()
        table = {place: _losses(runs, key, ruler) for place, runs in finals.items() if place[0] in contrast.tiers}
        comparisons[protocol] = _compare(protocol, ruler, contrast, losses, table, share)
    if not comparisons:
        reason = reason or "the final evaluation is missing"
    for tier in contrast.tiers:
        positions = [
            by_seed[place][seed].positions for place, _ in contrast.weights if place[0] == tier for seed in whole
        ]
        if max(positions) - min(positions) > SAME_POSITIONS * max(positions):
            reason = reason or f"the recipes of {tier} were trained on unequal numbers of positions"
    if len(whole) == 1:
        reason = reason or "there is one seed only"
    return Effect(contrast, whole, comparisons, reason)


def _listed(names: Sequence[str], most: int = 4) -> str:
    shown = [*names[:most], *([f"{len(names) - most} more"] if len(names) > most else [])]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _weighted(weights: Weights, losses: Mapping[Place, Sequence[float]]) -> list[float]:
    """The weighted sum of losses, seed by seed."""
    num_seeds = len(next(iter(losses.values())))
    return [math.fsum(weight * losses[place][index] for place, weight in weights) for index in range(num_seeds)]


def _losses(runs: Sequence[Final], key: str, ruler: str) -> dict[int, float]:
    """Seed -> loss, of the runs that have one by this ruler."""
    return {
        run.seed: run.losses[key]
        for run in runs
        if run.is_finite and key in run.losses and run.rulers.get(key, "") == ruler
    }


def _compare(
    protocol: str,
    ruler: str,
    contrast: Contrast,
    losses: Mapping[Place, Sequence[float]],
    table: Mapping[Place, Mapping[int, float]],
    share: float,
) -> Comparison:
    before, after = (tuple(_weighted(side, losses)) for side in contrast.sides)
    scatter = _scatter(contrast, len(before), table)

    def mean_of(side: Weights) -> float | None:
        return math.fsum(_weighted(side, losses)) / len(before) if contrast.apart else None

    paired = mean_interval([b - a for a, b in zip(before, after, strict=True)], LEVEL)
    return Comparison(
        protocol,
        ruler,
        before,
        after,
        estimate=_estimate(paired, scatter, share),
        paired=paired,
        groups=tuple((weight, tuple(losses[place])) for place, weight in contrast.weights),
        apart=mean_of(contrast.apart),
        together=mean_of(contrast.together),
        scatter=scatter,
    )


def _scatter(contrast: Contrast, num_seeds: int, table: Mapping[Place, Mapping[int, float]]) -> Scatter | None:
    """What all runs of the table say of the scatter of this answer; None where its own recipes have one run each."""
    known = {place: runs for place, runs in table.items() if len(runs) > 1}
    weights = dict(contrast.weights)
    if num_seeds < 2 or not weights.keys() <= known.keys():
        return None
    seeds = sorted(set.intersection(*(set(runs) for runs in known.values())))
    table_RS = np.array([[runs[seed] for seed in seeds] for runs in known.values()]) if len(seeds) > 1 else None
    spreads = shared_spreads(
        np.array([standard_deviation(list(runs.values())) ** 2 for runs in known.values()]),
        np.array([float(len(runs)) for runs in known.values()]),
        table_RS,
    )
    return spreads.scatter(
        np.array([weights.get(place, 0.0) for place in known]), np.full(len(known), float(num_seeds))
    )


def _estimate(paired: Interval, scatter: Scatter | None, share: float) -> Interval:
    if scatter is None:
        return replace(paired, low=None, high=None, p=None)
    half = scatter.half_width((1.0 - LEVEL) * share)
    return Interval(
        paired.mean, paired.mean - half, paired.mean + half, float(scatter.p(paired.mean)), paired.num_values
    )


def num_questions(effects: Sequence[Effect]) -> int:
    """Questions that share the error rate: every effect that may have a verdict."""
    return len(_asked(effects))


def _asked(effects: Sequence[Effect]) -> dict[int, dict[str, float]]:
    """Place in the table -> protocol -> p."""
    known = {
        index: {name: told.estimate.p for name, told in each.comparisons.items() if told.estimate.p is not None}
        for index, each in enumerate(effects)
        if not each.reason
    }
    return {index: values for index, values in known.items() if values}


def _by_protocol(each: Effect, p: Mapping[str, float]) -> dict[str, float]:
    """Each protocol's p, so that the smallest one is a p of the whole question: for "both agree" the larger one, for
    one alone its own, each divided by its part of the error rate."""
    if len(p) == 1:
        return dict(p)
    directions = {each.comparisons[name].estimate.mean > 0 for name in p}
    both = max(p.values()) / (1.0 - BY_ONE) if len(directions) == 1 else 1.0
    return {name: min(both, len(p) * value / BY_ONE) for name, value in p.items()}


def with_holm(effects: Sequence[Effect], share: float = 1.0, at_once: int | None = None) -> list[Effect]:
    """The same effects with p values adjusted over the whole table (Holm 1979). Of one look of several, `share` is its
    part of the error rate, and `at_once` the questions that no look before it has told."""
    asked = {index: _by_protocol(effects[index], p) for index, p in _asked(effects).items()}
    told, before = list(effects), 0.0
    num = len(asked) if at_once is None else at_once
    level = (1.0 - LEVEL) * share * (1.0 - BY_ONE) / max(1, num)
    for rank, index in enumerate(sorted(asked, key=lambda index: min(asked[index].values()))):
        adjusted = {name: max(before, min(1.0, (num - rank) * value / share)) for name, value in asked[index].items()}
        before = min(adjusted.values())
        comparisons = {
            name: replace(each, p_adjusted=adjusted.get(name), level=level)
            for name, each in effects[index].comparisons.items()
        }
        told[index] = replace(effects[index], comparisons=comparisons)
    return told
