"""What each size of a family would cost here, and what it would reach: asked again and again while a plan is made."""

import math
from collections.abc import Mapping
from operator import attrgetter

import numpy as np

from fabula.data.dataset import Dataset
from fabula.errors import InputError
from fabula.recipe.counts import count_parameters
from fabula.recipe.presets.shapes import Size, multiplying
from fabula.recipe.scaling import with_steps
from fabula.recipe.schema import Recipe
from fabula.record.wording import number
from fabula.score.rulers import make_rulers
from fabula.study.frontier.choice import Candidate, Expected, Most, best, expected, most_tokens, reach, tokens_for
from fabula.study.frontier.law import Frontier
from fabula.train.life.length.estimate import Estimate, enough_minutes, estimate, recipe_for_minutes
from fabula.train.machine.choices import choose_device
from fabula.train.machine.pace import Pace

WELL_SPENT = 0.01
"""Nats that a size may lose, with the tokens that are given, to the best use of as many products."""
PLACES = 60
"""Numbers of tokens that are looked at, between the fewest and the most."""


class Planner:
    def __init__(self, data: Dataset, frontier: Frontier, pace: Pace, recipes: Mapping[Size, Recipe]):
        """`recipes`: the sizes that may be chosen, the smallest first, with their vocabulary."""
        self.frontier, self.pace, self.recipes, self.fitting = frontier, pace, dict(recipes), frozenset(recipes)
        self._most: dict[Size, Most] = {}
        self.rulers = make_rulers(data, next(iter(recipes.values())).model.context)
        train = data.split("train")
        self.unique = train.num_tokens + train.num_stories
        self.reach = reach(frontier, self.unique)
        self.on_gpu = choose_device("auto").value != "cpu"

    def keep_known(self) -> None:
        """Leave out the sizes that the law may not be asked of. Raises InputError where none is left."""
        low, high = self.reach.parameters
        known = {size: each for size, each in self.recipes.items() if low <= self._multiplying(size) <= high}
        if not known:
            raise InputError("the known runs are of other sizes than can be planned; name others with --runs")
        self.recipes = known

    def recipe(self, candidate: Candidate) -> Recipe:
        recipe = self.recipes[candidate.size]
        return with_steps(recipe, self._steps(candidate.size, candidate.tokens))

    def total_parameters(self, size: Size) -> int:
        recipe = self.recipes[size]
        return count_parameters(recipe.model, recipe.vocabulary).total

    def expects(self, candidate: Candidate) -> Expected | None:
        """The loss to expect; None where the law may not be asked."""
        if not self.reach.holds(candidate.parameters, candidate.tokens):
            return None
        return expected(self.frontier, candidate.parameters, candidate.tokens, self.unique)

    def with_tokens(self, size: Size, tokens: float, cut: bool = False) -> Candidate:
        steps = self._steps(size, tokens)
        tokens = steps * self.recipes[size].positions_per_step
        return Candidate(size, self._multiplying(size), tokens, self._cost(size, steps).total, cut)

    def most(self, size: Size) -> Most:
        if size not in self._most:
            self._most[size] = most_tokens(self.frontier, self._multiplying(size), self.unique)
        return self._most[size]

    def in_seconds(self, size: Size, seconds: float) -> Candidate | None:
        """The most that can be trained of a size in so many seconds, within reach of the law; None where no step is."""
        most = self.with_tokens(size, self.most(size).tokens, cut=True)
        if most.seconds <= seconds:
            return most
        step_seconds = self.pace.step_seconds(size)
        try:
            recipe = recipe_for_minutes(self.recipes[size], self.rulers, step_seconds, seconds / 60, frozenset())
        except InputError:  # too short for a step, for it is too short for the most
            return None
        return self.with_tokens(size, recipe.steps * recipe.positions_per_step)

    def best_if_any(self, seconds: float) -> Candidate | None:
        """The best use of so many seconds; None where no size makes a step in them."""
        candidates = [each for size in self.recipes if (each := self.in_seconds(size, seconds)) is not None]
        in_time = [each for each in candidates if each.seconds <= seconds]
        if in_time:
            return best(self.frontier, in_time, self.unique)
        # The evaluations take longer than that: what takes the least is nearest to it.
        return min(candidates, key=lambda each: each.seconds, default=None)

    def best_in(self, seconds: float) -> Candidate:
        """The same. Raises InputError where there is none."""
        found = self.best_if_any(seconds)
        if found is None:
            least = enough_minutes(self._cost(next(iter(self.recipes)), 1))
            raise InputError(f"{seconds / 60:g} min is too short for any size; give at least --minutes {least:g}")
        return found

    def well_spent_on(self, tokens: float) -> Candidate:
        """The largest size that so many tokens are well spent on. Raises InputError for more tokens than the law may be
        asked of."""
        most = max(map(self.most, self.recipes), key=attrgetter("tokens"))
        if tokens > most.tokens:
            why = "the stories would come again too often" if most.stories_end else "the known runs had far fewer"
            raise InputError(
                f"{number(tokens / 1e6)} M tokens are too many to plan: {why}; give {int(most.tokens)} at most"
            )
        can = [size for size in self.recipes if tokens <= self.most(size).tokens]
        spent = max(
            (size for size in can if self._loses(size, tokens) <= WELL_SPENT), key=self._multiplying, default=can[0]
        )
        return self.with_tokens(spent, tokens)

    def filling(self, parameters: int) -> Candidate:
        """The largest size with at most so many weights, and the most tokens that are well spent on it: with more,
        another size would do better with as many products. Raises InputError where the smallest has more."""
        sizes = [size for size in self.recipes if self.total_parameters(size) <= parameters]
        if not sizes:
            least = min(map(self.total_parameters, self.recipes))
            raise InputError(f"the smallest model that is planned has {least:,} weights; allow as many")
        size = max(sizes, key=self._multiplying)
        places = np.geomspace(self.reach.tokens[0], self.most(size).tokens, PLACES)
        losses = [self._loses(size, tokens) for tokens in places]
        well_spent = [tokens for tokens, loss in zip(places, losses, strict=True) if loss <= WELL_SPENT]
        return self.with_tokens(size, float(well_spent[-1] if well_spent else places[int(np.argmin(losses))]))

    def reaching(self, loss: float) -> Candidate:
        """What is expected to reach the loss in the least time. Raises InputError where nothing known does."""
        found, lowest = [], math.inf
        for size in self.recipes:
            parameters, most = self._multiplying(size), self.most(size).tokens
            lowest = min(lowest, self.frontier.law.loss(parameters, most, self.unique))
            tokens = tokens_for(self.frontier, parameters, loss, self.unique, most)
            step = self.recipes[size].positions_per_step
            found += [] if tokens is None else [self.with_tokens(size, math.ceil(tokens / step) * step)]
        if not found:
            raise InputError(
                f"no size that is known reaches a loss of {loss:g} on these stories; the lowest that can be planned is "
                f"{lowest + 0.005:.2f}: give that, or more stories"
            )
        return min(found, key=lambda each: each.seconds)

    def larger(self, size: Size) -> Size | None:
        """The next larger size."""
        sizes = list(self.recipes)
        return next(iter(sizes[sizes.index(size) + 1 :]), None)

    def _loses(self, size: Size, tokens: float) -> float:
        """Nats that a size loses with so many tokens to the best use of as many products, by any size."""
        law, products = self.frontier.law, self._multiplying(size) * tokens
        losses = []
        for each in self.recipes:
            parameters = self._multiplying(each)
            losses.append(law.loss(parameters, min(products / parameters, self.most(each).tokens), self.unique))
        return law.loss(self._multiplying(size), tokens, self.unique) - min(losses)

    def _multiplying(self, size: Size) -> int:
        recipe = self.recipes[size]
        return multiplying(recipe.model, recipe.vocabulary)

    def _steps(self, size: Size, tokens: float) -> int:
        return max(1, int(tokens / self.recipes[size].positions_per_step + 1e-6))

    def _cost(self, size: Size, steps: int) -> Estimate:
        return estimate(with_steps(self.recipes[size], steps), self.rulers, self.pace.step_seconds(size))
