"""How much of an effect hangs on which validation stories there are: a bootstrap over stories.

The interval over seeds asks what another seed would bring; this one what other stories of the same kind would (Efron
1979; stories, not tokens, are drawn, since the tokens of a story go together). One draw counts every story as often as
it was drawn, the same for all recipes and seeds, so that a story's difficulty cancels where it should.

Shapes: D draws, S stories.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from fabula.record.reader import StoryLosses
from fabula.study.inference.contrasts import Place
from fabula.study.inference.effects import LEVEL, Comparison, Effect

NUM_DRAWS = 2000
"""The ends of the interval then stand on 50 draws each."""
SEED = 20_230_428
Stories = Mapping[tuple[Place, int], Mapping[str, StoryLosses]]
"""Recipe and seed -> protocol -> losses."""


@lru_cache(maxsize=4)
def _counts(num_stories: int) -> np.ndarray:
    """[D, S]: how often each draw took each story."""
    random = np.random.default_rng(SEED)
    return random.multinomial(num_stories, np.full(num_stories, 1 / num_stories), NUM_DRAWS).astype(np.float64)


def with_story_intervals(effects: Sequence[Effect], stories: Stories) -> list[Effect]:
    """The same effects, each comparison with its interval over stories where all of its runs have them."""
    return [
        replace(
            each,
            comparisons={
                name: replace(comparison, stories=_interval(each, comparison, stories))
                for name, comparison in each.comparisons.items()
            },
        )
        for each in effects
    ]


def _interval(each: Effect, comparison: Comparison, stories: Stories) -> tuple[float, float] | None:
    total_S: np.ndarray | None = None
    tokens_S: np.ndarray | None = None
    for place, weight in each.contrast.weights:
        for seed in each.seeds:
            told = stories.get((place, seed), {}).get(comparison.protocol)
            if told is None or told.ruler != comparison.ruler or not np.isfinite(told.nats_S).all():
                return None
            share_S = told.nats_S * (weight / len(each.seeds))
            total_S = share_S if total_S is None else total_S + share_S
            tokens_S = told.tokens_S
    assert total_S is not None and tokens_S is not None, "a comparison has runs"
    counts_DS = _counts(len(total_S))
    means_D = (counts_DS @ total_S) / (counts_DS @ tokens_S)
    tail = 50 * (1 - LEVEL)
    low, high = np.percentile(means_D, [tail, 100 - tail])
    return float(low), float(high)
