"""Which questions a ladder's design can answer: effects and interactions as weighted sums of its recipes' losses.

Weights of one question add up to zero, so that what a seed does to every recipe alike cancels. In a factorial of k
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


@dataclass(frozen=True)
class Recipe:
    """One recipe of a ladder: its name and the phases whose changes it has."""

    name: str
    includes: frozenset[str]


@dataclass(frozen=True)
class Contrast:
    """One question. Its answer in nats is the weighted sum of final losses: below zero is better."""

    kind: Literal["effect", "interaction"]
    design: Literal["pair", "factorial", "leave-one-out", "tiers"]
    tiers: tuple[str, ...]
    """One; two for how an effect differs between them."""
    phases: tuple[str, ...]
    """The change that is asked about, or those that are asked about together."""
    before: str
    after: str
    """The two sides in words."""
    weights: Weights

    @property
    def name(self) -> str:
        name = " \N{MULTIPLICATION SIGN} ".join(self.phases)
        return f"{name} \N{MULTIPLICATION SIGN} {self.tiers[1]}" if self.design == "tiers" else name

    @property
    def sides(self) -> tuple[Weights, Weights]:
        """The recipes before and after, weights positive."""
        before = tuple((place, -weight) for place, weight in self.weights if weight < 0)
        return before, tuple((place, weight) for place, weight in self.weights if weight > 0)

    @property
    def key(self) -> str:
        """With `_at_128` the losses that are asked about were measured with a context that all tiers have."""
        return "_at_128" if len(self.tiers) > 1 else ""


def contrasts(tier: str, recipes: Sequence[Recipe]) -> list[Contrast]:
    """The questions that one tier's recipes answer, effects first.

    All subsets of two changes or more: a factorial. One recipe with every change and others that each lack one: left
    out in turn. Otherwise each recipe against the one before it that it builds upon.
    """
    names = list(dict.fromkeys(phase for recipe in recipes for phase in _in_order(recipe, recipes)))
    toggles = [name for name in names if any(name not in recipe.includes for recipe in recipes)]
    subsets = {frozenset(recipe.includes & set(toggles)) for recipe in recipes}
    if len(toggles) > 1 and len(recipes) == len(subsets) == 2 ** len(toggles):
        return _factorial(tier, recipes, toggles)
    whole = next((recipe for recipe in recipes if recipe.includes >= set(toggles)), None)
    without = {phase: [each for each in recipes if whole and each.includes == whole.includes - {phase}] for phase in toggles}
    if whole is not None and len(toggles) > 1 and all(without.values()):
        return _left_out(tier, recipes, whole, {phase: there[0] for phase, there in without.items()})
    return [_pair(tier, before, after) for before, after in _built_upon(recipes)]


def _in_order(recipe: Recipe, recipes: Sequence[Recipe]) -> list[str]:
    """A recipe's phases in the order in which the ladder's recipes first bring them."""
    seen = [phase for each in recipes for phase in sorted(each.includes, key=lambda name: _first(name, recipes))]
    return [phase for phase in dict.fromkeys(seen) if phase in recipe.includes]


def _first(phase: str, recipes: Sequence[Recipe]) -> int:
    return next(index for index, recipe in enumerate(recipes) if phase in recipe.includes)


def _factorial(tier: str, recipes: Sequence[Recipe], toggles: Sequence[str]) -> list[Contrast]:
    made = []
    for size in range(1, min(MOST_TOGETHER, len(toggles)) + 1):
        for asked in combinations(toggles, size):
            share = 2.0 ** (size - len(toggles))
            weights = tuple(
                ((tier, each.name), share * (-1.0) ** len(set(asked) - each.includes)) for each in recipes
            )
            last = asked[-1]
            made.append(
                Contrast(
                    "effect" if size == 1 else "interaction", "factorial", (tier,), asked,
                    f"without {last}", f"with {last}", weights,
                )
            )  # fmt: skip
    return made


def _left_out(tier: str, recipes: Sequence[Recipe], whole: Recipe, without: dict[str, Recipe]) -> list[Contrast]:
    made = [replace(_pair(tier, left, whole), design="leave-one-out", phases=(phase,)) for phase, left in without.items()]
    start = next((each for each in recipes if not each.includes & without.keys()), None)
    return made if start is None else [*made, _pair(tier, start, whole)]


def _pair(tier: str, before: Recipe, after: Recipe) -> Contrast:
    weights = (((tier, before.name), -1.0), ((tier, after.name), 1.0))
    return Contrast("effect", "pair", (tier,), (after.name,), before.name, after.name, weights)


def _built_upon(recipes: Sequence[Recipe]) -> Iterable[tuple[Recipe, Recipe]]:
    """Each recipe with the largest earlier one whose phases it all has; else with the one before it."""
    for index, after in enumerate(recipes):
        if index == 0:
            continue
        earlier = recipes[:index]
        below = [each for each in earlier if each.includes < after.includes]
        yield max(below, key=lambda each: len(each.includes), default=earlier[-1]), after


def across_tiers(by_tier: dict[str, list[Contrast]]) -> list[Contrast]:
    """How each effect differs between neighbouring tiers that both can ask for it."""
    made = []
    for small, large in pairwise(by_tier):
        there = {(each.phases, each.before, each.after): each for each in by_tier[small] if each.kind == "effect"}
        for each in by_tier[large]:
            other = there.get((each.phases, each.before, each.after))
            if other is None or each.kind != "effect":
                continue
            weights = (*each.weights, *((place, -weight) for place, weight in other.weights))
            made.append(replace(each, kind="interaction", design="tiers", tiers=(small, large), weights=weights))
    return made


def effect_within(contrast: Contrast, apart: bool) -> Weights:
    """Of an interaction, the effect that is compared: under the condition (`apart` False) or without it.

    The condition is the first of the changes, or the larger tier. The interaction is the one minus the other.
    """
    assert contrast.kind == "interaction"
    if contrast.design == "tiers":
        tier = contrast.tiers[0 if apart else 1]
        return tuple((place, -weight if apart else weight) for place, weight in contrast.weights if place[0] == tier)
    raise NotImplementedError
