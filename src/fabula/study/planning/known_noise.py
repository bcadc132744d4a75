"""How far seeds of a recipe will end apart: from runs that are there, or from the table of kept ones.

seed_noise.toml is written by docs/seed_noise.py from the kept records.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median

from fabula.recipe.schema import Recipe
from fabula.record.wording import plural
from fabula.study.inference.contrasts import Place
from fabula.study.inference.statistics import standard_deviation
from fabula.study.planning.power import Spread
from fabula.study.views import LadderView

TABLE = Path(__file__).with_name("seed_noise.toml")
ENOUGH_RUNS = 3
"""Two runs tell a spread so badly (one degree of freedom) that the others' median says more."""
OF_ONE_LENGTH = 2.0
"""Kept runs of at most this factor more or fewer positions than the nearest count as equally long."""


@dataclass(frozen=True)
class KnownNoise:
    spreads: Mapping[Place, Spread]
    source: str
    """Where it is known from, for a sentence that begins with `the noise is that of`."""


@dataclass(frozen=True)
class KeptNoise:
    """The kept runs of one recipe and length."""

    recipe: str
    family: str
    steps: int
    positions: int
    runs: int
    loss: float
    stream: float
    """Standard deviation between the seeds, in nats."""
    story: float

    @property
    def spread(self) -> Spread:
        return Spread(self.stream, self.story)


@cache
def kept_noise() -> tuple[KeptNoise, ...]:
    with open(TABLE, "rb") as file:
        return tuple(KeptNoise(**row) for row in tomllib.load(file)["recipes"])


@cache
def protocols_together() -> float:
    """Correlation of the two protocols of a run over the seeds."""
    with open(TABLE, "rb") as file:
        return float(tomllib.load(file)["together"])


def family_of(recipe: Recipe) -> str:
    """What the spread of kept recipes hangs on most: how the weights begin, and the optimizer."""
    start = "framework's initialisation" if recipe.initialization.scheme == "default" else "chosen initialisation"
    return f"{start}, {recipe.optimizer.kind}"


def noise_of_table(recipes: Mapping[Place, Recipe]) -> KnownNoise:
    """Of each recipe the kept one of its name; else the median of its family; of those the nearest in length."""
    chosen = {place: _nearest(recipe) for place, recipe in recipes.items()}
    used = {(row.recipe, row.steps) for rows in chosen.values() for row in rows}
    steps = sorted({num for _, num in used})
    own = sorted({recipe.steps for recipe in recipes.values()})
    source = (
        f"{plural(len(used), 'kept recipe')} of {_listed(steps)} steps (docs/ladders.md); this ladder has "
        f"{_listed(own)} steps, and runs of its own, with --noise-from, would tell better"
    )
    return KnownNoise({place: _median([row.spread for row in rows]) for place, rows in chosen.items()}, source)


def _nearest(recipe: Recipe) -> list[KeptNoise]:
    rows = [row for row in kept_noise() if row.recipe == recipe.name]
    rows = rows or [row for row in kept_noise() if row.family == family_of(recipe)] or list(kept_noise())
    positions = recipe.steps * recipe.positions_per_step

    def apart(row: KeptNoise) -> float:
        return max(row.positions / positions, positions / row.positions)

    least = min(map(apart, rows))
    return [row for row in rows if apart(row) <= OF_ONE_LENGTH * least]


def noise_of_runs(places: Sequence[Place], ladder: LadderView, where: str) -> KnownNoise | None:
    """Of each recipe that of its own runs, three or more; of any other the median over all recipes that are there.
    None where no recipe has two runs."""
    finals = {
        (tier.name, phase.name): (phase.final_losses(), phase.final_losses("val_loss_story"))
        for tier in ladder.own.tiers
        for phase in tier.phases
    }
    there = {place: losses for place, losses in finals.items() if len(losses[0]) > 1}
    known = {place: _of_losses(*losses) for place, losses in there.items()}
    if not known:
        return None
    usual = _median(list(known.values()))
    own = {place for place, losses in there.items() if len(losses[0]) >= ENOUGH_RUNS}
    num_runs = sum(len(losses[0]) for losses in there.values())
    source = f"{num_runs} runs of {plural(len(there), 'recipe')} in {where}"
    return KnownNoise({place: known[place] if place in own else usual for place in places}, source)


def _of_losses(stream: Sequence[float], story: Sequence[float]) -> Spread:
    spread = standard_deviation(stream)
    return Spread(spread, standard_deviation(story) if len(story) > 1 else spread)


def _median(spreads: Sequence[Spread]) -> Spread:
    return Spread(median(each.stream for each in spreads), median(each.story for each in spreads))


def _listed(values: Sequence[int]) -> str:
    return f"{values[0]:,}" if len(values) == 1 else f"{values[0]:,} to {values[-1]:,}"
