"""A training that went well does not make its model a good one, and the verdict says so."""

import numpy as np
import pytest
from tests.train.tiny import tiny

from fabula.findings.caveat import caveat
from fabula.findings.diagnosis import diagnose_facts
from fabula.findings.facts import Curve, Facts, facts_of_recipe
from fabula.recipe.presets.by_name import load_recipe
from fabula.recipe.scaling import with_steps
from fabula.recipe.schema import Recipe

PORTABLE = load_recipe("modern-portable")


def facts(
    steps: int, last: float, recipe: Recipe | None = None, first: float = 9.0, scratch: bool | None = True
) -> Facts:
    at = np.linspace(0, steps, 20)
    curve = Curve("val_loss", at, np.linspace(first, last, 20))
    return Facts(val_loss=curve, first_loss=first, from_scratch=scratch, num_steps=steps, recipe=recipe)


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (
            facts(40, 3.0, with_steps(PORTABLE, 40)),
            "trained for only 4 % of the 1,000 steps that its recipe is made for",
        ),
        (facts(900, 3.0, with_steps(PORTABLE, 900)), ""),
        (facts(40, 3.0, tiny(steps=40)), "trained for only 40 steps"),
        (facts(1, 3.0), "trained for only 1 step"),
        (facts(5000, 8.0), "its loss is 8, and 9 before training"),
        (facts(5000, 7.0), ""),
        (facts(40, 8.9, scratch=False), ""),
        (facts_of_recipe(with_steps(PORTABLE, 40)), ""),
    ],
)
def test_what_stands_beside_the_verdict(known: Facts, said: str) -> None:
    assert caveat(known) == said
    assert diagnose_facts(known).as_json()["caveat"] == said
