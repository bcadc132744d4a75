"""How far a model's stories are from human ones of the same data, measure by measure.

A distance is the difference of two means in units of how much human stories differ among themselves (their standard
deviation). The prompt is the sampling unit: its completions are averaged first, and intervals come from drawing prompts
and human stories anew (Efron and Tibshirani 1993, chapter 8).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fabula.coherence.measures.story import Measures

RESAMPLES = 1_000
FEWEST = 8
"""Prompts, or human stories, below which nothing is said."""
LEAST_SPREAD = 0.01
"""Human stories hardly ever loop: without it their spread would be zero, and any loop infinitely far."""
FARTHEST = 3.0
"""In the combined score nothing counts for more: behind three standard deviations all is equally unlike a human."""
LEFT_OUT = frozenset(["order", "halves", "pronouns"])
"""Of the combined score, in which `consistency` stands for them."""


@dataclass(frozen=True)
class Distance:
    """Of one measure: positive where the model's mean is higher."""

    model: float
    human: float
    spread: float
    """Standard deviation of the human stories."""
    distance: float
    interval: tuple[float, float]
    """95 %."""


@dataclass(frozen=True)
class Distances:
    """Of every measure that both have, and the mean of their sizes."""

    measures: dict[str, Distance]
    combined: float
    interval: tuple[float, float]
    made_of: tuple[str, ...]
    prompts: int
    human_stories: int


def distances(
    completions: Sequence[tuple[int, Measures]], human: Sequence[Measures], seed: int = 0
) -> Distances | None:
    """`completions`: each with the number of its prompt. None where there are too few of either."""
    of_prompt: dict[int, list[Measures]] = {}
    for number, measures in completions:
        of_prompt.setdefault(number, []).append(measures)
    if min(len(of_prompt), len(human)) < FEWEST:
        return None
    names = list(dict.fromkeys(name for measures in human for name in measures))
    model_PM = np.array([_means(each, names) for each in of_prompt.values()])
    human_SM = np.array([_means([each], names) for each in human])
    keep = ((~np.isnan(model_PM)).sum(0) >= FEWEST) & ((~np.isnan(human_SM)).sum(0) >= FEWEST)
    names = [name for name, there in zip(names, keep, strict=True) if there]
    model_PM, human_SM = model_PM[:, keep], human_SM[:, keep]
    spread_M = np.maximum(np.nanstd(human_SM, axis=0), LEAST_SPREAD)
    at_M = (np.nanmean(model_PM, axis=0) - np.nanmean(human_SM, axis=0)) / spread_M
    random = np.random.default_rng(seed)
    drawn_RM = (_resampled(model_PM, random) - _resampled(human_SM, random)) / spread_M
    counts = np.array([name not in LEFT_OUT for name in names])
    low, high = np.quantile(drawn_RM, (0.025, 0.975), axis=0)
    combined = np.minimum(np.abs(drawn_RM[:, counts]), FARTHEST).mean(1)
    return Distances(
        {
            name: Distance(
                float(np.nanmean(model_PM[:, place])), float(np.nanmean(human_SM[:, place])), float(spread_M[place]),
                float(at_M[place]), (float(low[place]), float(high[place])),
            )
            for place, name in enumerate(names)
        },
        float(np.minimum(np.abs(at_M[counts]), FARTHEST).mean()),
        (float(np.quantile(combined, 0.025)), float(np.quantile(combined, 0.975))),
        tuple(name for name in names if name not in LEFT_OUT),
        len(of_prompt),
        len(human),
    )  # fmt: skip


def _means(each: Sequence[Mapping[str, float | None]], names: Sequence[str]) -> list[float]:
    """The mean of each measure over some texts; NaN where none of them has it."""
    values = [[value for one in each if (value := one.get(name)) is not None] for name in names]
    return [sum(of_name) / len(of_name) if of_name else np.nan for of_name in values]


def _resampled(values_NM: npt.NDArray[np.float64], random: np.random.Generator) -> npt.NDArray[np.float64]:
    """[RESAMPLES, M]: means over rows drawn with replacement; a measure that few rows have keeps those it has."""
    number = len(values_NM)
    times_RN = random.multinomial(number, np.full(number, 1.0 / number), size=RESAMPLES).astype(float)
    there_NM = ~np.isnan(values_NM)
    total_RM = times_RN @ np.where(there_NM, values_NM, 0.0)
    seen_RM = times_RN @ there_NM
    return np.where(seen_RM > 0, total_RM / np.maximum(seen_RM, 1.0), np.nanmean(values_NM, axis=0))
