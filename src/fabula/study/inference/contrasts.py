"""Which questions a ladder's design can answer: effects and interactions as weighted sums of its recipes' losses.

The weights of a question add up to zero, so that what a seed does to every recipe alike cancels. In a factorial of k
changes the effect of one is the mean over the 2^(k-1) recipes with it minus the mean over those without it: every run
contributes to every effect (Fisher 1935; Box, Hunter and Hunter, Statistics for Experimenters, chapter 5). An
interaction of two is the effect of the one with the other minus its effect without, averaged over the rest; of three,
the same of the interaction of two. (Some books halve these; here they stay differences of effects, in nats.)
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from typing import Literal

Place = tuple[str, str]
"""Tier and recipe."""
Weights = tuple[tuple[Place, float], ...]
MOST_TOGETHER = 3
"""Interactions of more than three changes are differences of differences of differences: nobody plans by them."""
TIMES = " \N{MULTIPLICATION SIGN} "


@dataclass(frozen=True)
class ComparedRecipe:
    """One recipe of a ladder: its name, and the phases whose changes it has, in order."""

    name: str
    includes: tuple[str, ...] = ()

    @property
    def has(self) -> frozenset[str]:
        return frozenset(self.includes)


@dataclass(frozen=True)
class Contrast:
    """One question. Its answer in nats is the weighted sum of final losses: below zero is better."""

    kind: Literal["effect", "interaction"]
    design: Literal["pair", "factorial", "leave-one-out", "tiers"]
    tiers: tuple[str, ...]
    """One; two for how an effect differs between them."""
    phases: tuple[str, ...]
    """The change that is asked about; of an interaction first the condition, where that is a change."""
    before: str
    after: str
    """The two sides of the effect, or of the effect that the condition changes."""
    weights: Weights
    apart: Weights = ()
    """Of an interaction, the effect without its condition. The effect under it is this plus `weights`."""

    @property
    def name(self) -> str:
        return TIMES.join((*self.phases, *self.tiers[1:]))

    @property
    def together(self) -> Weights:
        """Of an interaction, the effect under its condition."""
        taken = dict(self.weights)
        for place, weight in self.apart:
            taken[place] = taken.get(place, 0.0) + weight
        return tuple((place, weight) for place, weight in taken.items() if weight)

    @property
    def sides(self) -> tuple[Weights, Weights]:
        """What is subtracted and what it is subtracted from, with positive weights."""
        minus = tuple((place, -weight) for place, weight in self.weights if weight < 0)
        return minus, tuple((place, weight) for place, weight in self.weights if weight > 0)

    @property
    def at(self) -> str:
        """Which losses are asked about: between tiers, those measured with a context that all tiers have."""
        return "_at_128" if len(self.tiers) > 1 else ""


def contrasts(tier: str, recipes: Sequence[ComparedRecipe], in_order: bool = True) -> list[Contrast]:
    """The questions that the recipes of one tier answer, effects first.

    All subsets of two changes or more are a factorial. One recipe with every change and others that lack one each:
    the changes are left out in turn. Otherwise each recipe is compared with the earlier one that it builds upon; where
    they are in no order, with the first.
    """
    if not in_order:
        return [_pair(tier, recipes[0], after) for after in recipes[1:]]
    largest_first = sorted(recipes, key=lambda recipe: -len(recipe.includes))
    phases = dict.fromkeys(phase for recipe in largest_first for phase in recipe.includes)
    toggles = [phase for phase in phases if any(phase not in recipe.has for recipe in recipes)]
    if len(toggles) > 1:
        if len(recipes) == len({recipe.has for recipe in recipes}) == 2 ** len(toggles):
            return _factorial(tier, recipes, toggles)
        whole = largest_first[0]
        without = {recipe.has: recipe for recipe in recipes}
        if all(whole.has - {phase} in without for phase in toggles):
            start = without.get(whole.has - set(toggles))
            effects = [_left_out(tier, phase, without[whole.has - {phase}], whole) for phase in toggles]
            return effects if start is None else [*effects, _pair(tier, start, whole)]
    return [_pair(tier, before, after) for before, after in _built_upon(recipes)]


def _factorial(tier: str, recipes: Sequence[ComparedRecipe], toggles: Sequence[str]) -> list[Contrast]:
    made = []
    for size in range(1, min(MOST_TOGETHER, len(toggles)) + 1):
        share = 2.0 ** (size - len(toggles))
        for asked in combinations(toggles, size):
            weights = {each: share * (-1.0) ** len(set(asked) - each.has) for each in recipes}
            made.append(
                Contrast(
                    kind="effect" if size == 1 else "interaction",
                    design="factorial",
                    tiers=(tier,),
                    phases=asked,
                    before=f"without {asked[-1]}",
                    after=f"with {asked[-1]}",
                    weights=tuple(((tier, each.name), weight) for each, weight in weights.items()),
                    apart=tuple(
                        ((tier, each.name), -weight)
                        for each, weight in weights.items()
                        if size > 1 and asked[0] not in each.has
                    ),
                )
            )
    return made


def _left_out(tier: str, phase: str, without: ComparedRecipe, whole: ComparedRecipe) -> Contrast:
    return replace(_pair(tier, without, whole), design="leave-one-out", phases=(phase,))


def _pair(tier: str, before: ComparedRecipe, after: ComparedRecipe) -> Contrast:
    weights = (((tier, before.name), -1.0), ((tier, after.name), 1.0))
    return Contrast("effect", "pair", (tier,), (after.name,), before.name, after.name, weights)


def _built_upon(recipes: Sequence[ComparedRecipe]) -> Iterable[tuple[ComparedRecipe, ComparedRecipe]]:
    """Each recipe with the largest earlier one whose phases it has all; where there is none, with the one before it."""
    for index, after in enumerate(recipes[1:], start=1):
        below = [each for each in recipes[:index] if each.has < after.has]
        yield max(below, key=lambda each: len(each.has), default=recipes[index - 1]), after


def across_tiers(by_tier: dict[str, list[Contrast]]) -> list[Contrast]:
    """How each effect differs between two neighbouring tiers that both can ask for it."""
    made = []
    for small, large in pairwise(by_tier):
        effects = {(each.phases, each.before, each.after): each for each in by_tier[small] if each.kind == "effect"}
        for each in by_tier[large]:
            there = effects.get((each.phases, each.before, each.after))
            if there is None or each.kind != "effect":
                continue
            weights = (*each.weights, *((place, -weight) for place, weight in there.weights))
            made.append(
                replace(
                    each, kind="interaction", design="tiers", tiers=(small, large), weights=weights, apart=there.weights
                )
            )
    return made
