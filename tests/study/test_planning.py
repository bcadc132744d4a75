"""What a ladder can tell before it is run, and the noise that this is told from."""

import runpy
from pathlib import Path

import pytest

from fabula.recipe.presets.by_name import load_recipe
from fabula.study.inference.contrasts import ComparedRecipe, Contrast, contrasts
from fabula.study.ladder import read_ladder
from fabula.study.planning.known_noise import (
    TABLE,
    kept_noise,
    noise_of_runs,
    noise_of_table,
    protocols_together,
)
from fabula.study.planning.power import Spread, seeds_for, smallest_found

PATH = [ComparedRecipe(name, ("start", *"abc"[:index])) for index, name in enumerate(("start", "a", "b", "c"))]
ALIKE = {recipe.name: Spread(1.0, 0.95) for recipe in PATH}


def asked(recipes: list[ComparedRecipe]) -> tuple[Contrast, int]:
    made = contrasts("basic", recipes)
    return made[0], len(made)


def found(num_seeds: int, spreads: dict[str, Spread] = ALIKE, recipes: list[ComparedRecipe] = PATH) -> float:
    contrast, questions = asked(recipes)
    size = smallest_found(contrast, spreads, questions, num_seeds, 0.84)
    assert size is not None
    return size


def test_the_table_and_the_page_are_what_the_records_say(repo: Path) -> None:
    script = runpy.run_path(str(repo / "docs" / "seed_noise.py"))
    assert script["as_toml"](*script["rows"]()) == TABLE.read_text("utf-8"), "run: python docs/seed_noise.py"
    page = (repo / "docs" / "ladders.md").read_text("utf-8")
    assert script["written"](page.replace("| basic/init |", "| gone |")) == page


def test_the_effect_found_in_four_of_five_is_that_of_the_simulated_ladders() -> None:
    """docs/measured/null_ladders.json: a path of 4 phases with 3 seeds finds 3 standard deviations in 57 % of ladders
    and 4 in 87 %, with 5 seeds 2 in 61 % and 3 in 96 %."""
    assert 3.2 < found(3) < 4.0
    assert 2.1 < found(5) < 2.7
    assert smallest_found(*asked(PATH)[:1], ALIKE, 3, 1, 0.84) is None


def test_the_effect_is_counted_in_the_noise() -> None:
    three, tenth = found(3), {name: Spread(each.stream / 10, each.story / 10) for name, each in ALIKE.items()}
    assert found(3, tenth) == pytest.approx(three / 10, rel=0.02)
    wild = {**ALIKE, "c": Spread(300.0, 285.0)}
    assert found(3, wild) < 3 * three, "a wild recipe that the question does not ask costs little"
    assert found(3, dict.fromkeys(ALIKE, Spread(0.0, 0.0))) < 1e-4


def test_the_seeds_for_an_effect_find_it_and_one_fewer_do_not() -> None:
    contrast, questions = asked(PATH)
    fewest = seeds_for(2.0, contrast, ALIKE, questions, 0.84)
    assert fewest is not None and 5 < fewest < 9
    assert found(fewest) <= 2.0 * 1.02 and found(fewest - 1) > 2.0 * 0.98
    assert seeds_for(0.01, contrast, ALIKE, questions, 0.84) is None


def test_a_recipe_of_the_table_has_its_own_noise_and_another_that_of_its_kind() -> None:
    rows = {row.recipe: row for row in kept_noise()}
    packed, baseline = load_recipe("basic/packed"), load_recipe("basic/baseline")
    noise = noise_of_table({("basic", "packed"): packed, ("basic", "baseline"): baseline})
    assert noise.spreads["basic", "packed"] == rows["basic/packed"].spread
    assert noise.spreads["basic", "baseline"] == rows["basic/baseline"].spread
    assert noise.source.startswith("2 kept recipes of 300 steps (docs/ladders.md); this ladder has 15,000 steps")
    mine = {(kind, "mine"): recipe.with_values(name="mine") for kind, recipe in (("quiet", packed), ("wild", baseline))}
    of_kind = noise_of_table(mine)
    assert of_kind.spreads["wild", "mine"].stream > 10 * of_kind.spreads["quiet", "mine"].stream
    assert "kept recipes of" in of_kind.source
    assert 0.5 < protocols_together() < 1.0


def test_a_recipe_with_runs_has_the_noise_of_its_own(repo: Path) -> None:
    kept = repo / "docs" / "ladders" / "factorial-basic-2-percent"
    noise = noise_of_runs([("basic", "packed"), ("mid", "new")], read_ladder([kept]), "there")
    assert noise is not None and noise.source == "24 runs of 8 recipes in there"
    assert noise.spreads["basic", "packed"].stream == pytest.approx(0.0057, abs=1e-4)
    assert noise.spreads["mid", "new"].stream == pytest.approx(0.218, abs=1e-3), "the median over the recipes"
    one = kept / "runs" / "basic" / "packed" / "seed-0"
    assert noise_of_runs([("basic", "packed")], read_ladder([one]), "there") is None
