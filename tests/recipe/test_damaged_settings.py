"""Recipes and ladders that ask for what no machine does, or that are nested without end: one line, at once."""

from pathlib import Path

import pytest

from fabula.errors import InputError
from fabula.findings.diagnosis import lint
from fabula.recipe import load_recipe
from fabula.recipe.ladder import load_ladder
from fabula.recipe.presets.by_name import apply_settings
from fabula.recipe.presets.files import load_tier
from fabula.recipe.schedule import MOST_RATES, learning_rates, planned_steps


@pytest.mark.parametrize(
    "setting",
    ["steps=1000000000000000000", "model.vocabulary=1000000000000", "model.layers=1000000000",
     "tokenizer=bpe:" + "9" * 30,
     "model.width=" + "9" * 400, "batch.rows=" + "9" * 5000, "schedule.peak=inf", "evaluation.every=" + "[" * 5000],
)  # fmt: skip
def test_what_no_machine_does_is_refused_in_a_line(setting: str) -> None:
    with pytest.raises(InputError) as told:
        apply_settings(load_recipe("demo"), [setting])
    assert "\n" not in str(told.value) and len(str(told.value)) < 400


def test_a_name_that_no_file_can_have_is_unknown() -> None:
    name = "a" * 300
    for load in (load_recipe, load_ladder, load_tier):
        with pytest.raises(InputError, match=f'"{name}"'):
            load(name)


def test_a_very_long_schedule_is_looked_at_in_places() -> None:
    recipe = load_recipe("demo").with_values(steps=987_654_321)
    steps = planned_steps(recipe)
    assert steps[0] == 0 and steps[-1] == recipe.steps and len(steps) <= MOST_RATES + 2
    assert len(learning_rates(recipe)) == len(steps)
    assert planned_steps(load_recipe("demo").with_values(steps=7)) == list(range(8))


def test_the_lint_of_a_very_long_recipe_speaks_of_its_own_steps() -> None:
    recipe = load_recipe("demo").with_values(**{"steps": 3_000_000, "schedule.warmup": 2_400_000})
    (found,) = lint(recipe).of("warmup_too_long")
    assert found.steps is not None and 1_000_000 < found.steps[1] <= 3_000_000


PHASE = '[[phases]]\nname = "{}"\nchange = "a change"\nset = {{}}\n'


@pytest.mark.parametrize(
    ("head", "phases", "says"),
    [
        ('design = "factorial"', [f"p{at}" for at in range(30)], "too many of 30 phases"),
        ("seeds = 1000000000", ["one"], "seeds"),
        ("scale = inf", ["one"], "scale"),
        ("scale = 1e300", ["one"], "scale"),
        ('phases = "ladder.toml"', [], "takes its phases from a ladder that"),
        ("set = " + "[" * 5000, ["one"], "nested too deeply"),
    ],
)
def test_a_ladder_without_bounds_is_refused_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head: str, phases: list[str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    text = f'tiers = ["demo"]\n{head}\n' + "".join(map(PHASE.format, phases))
    Path("ladder.toml").write_text(text)
    with pytest.raises(InputError, match=says) as told:
        load_ladder("ladder.toml")
    assert "\n" not in str(told.value)
