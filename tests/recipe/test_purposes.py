"""Each built-in recipe says what it is for, in a line that fits."""

import pytest

from fabula.recipe.presets.by_name import FIRST_RECIPE, PURPOSES, purpose, recipe_names
from fabula.recipe.presets.files import tier_names, whole_recipe_names


def test_each_tier_and_whole_recipe_has_one_and_the_recommended_is_first() -> None:
    assert sorted(PURPOSES) == sorted([*tier_names(), *whole_recipe_names()])
    assert next(iter(PURPOSES)) == FIRST_RECIPE


@pytest.mark.parametrize("name", recipe_names())
def test_a_purpose_is_a_sentence(name: str) -> None:
    assert purpose(name).endswith(".")
    assert "/" in name or len(purpose(name)) <= 72


def test_a_phase_says_what_it_changes_and_a_file_nothing() -> None:
    assert purpose("basic/cosine").endswith("phase cosine: linear warmup, cosine to the floor.")
    assert purpose("mine.toml") == ""
