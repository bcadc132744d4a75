"""The plan of a ladder, and ladder files that users write."""

from pathlib import Path

import pytest

from fabula.errors import InputError
from fabula.recipe import load_recipe
from fabula.recipe.ladder import Ladder, load_ladder, plan_runs

MINE = """
tiers = ["basic", "tier.toml"]
seeds = 2
set = { "batch.rows" = 4 }

[[phases]]
name = "first"
change = "nothing"
set = {}

[[phases]]
name = "wide"
change = "twice the width"
set = { "model.width" = 256 }
"""
TIER = """
steps = 100
[model]
layers = 1
width = 64
heads = 2
context = 32
[schedule]
peak = 1e-3
warmup = 10
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mine.toml").write_text(MINE)
    (tmp_path / "tier.toml").write_text(TIER)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_plan_goes_tier_by_tier_and_seed_by_seed() -> None:
    ladder = load_ladder("classic")
    assert (ladder.tiers, ladder.seeds, ladder.scale) == (("basic", "mid", "quality"), 3, 1.0)
    planned = plan_runs(ladder, ["basic", "mid"], ["init", "packed"], 2, 0.02)
    assert [(run.tier, run.seed, run.phase) for run in planned] == [
        ("basic", 0, "init"), ("basic", 0, "packed"), ("basic", 1, "init"), ("basic", 1, "packed"),
        ("mid", 0, "init"), ("mid", 0, "packed"), ("mid", 1, "init"), ("mid", 1, "packed"),
    ]  # fmt: skip
    assert planned[3].folder == Path("runs/basic/packed/seed-1")
    assert planned[0].recipe.name == "basic/init" and planned[0].recipe.steps == 300
    assert planned[0].recipe.schedule.warmup == 20
    assert planned[0].recipe.batch.layout == "padded" and planned[1].recipe.batch.layout == "packed"
    assert planned[4].recipe.steps == 600


def test_a_phase_of_the_classic_ladder_is_the_recipe_of_that_name() -> None:
    ladder = load_ladder("classic")
    for phase in ladder.phases:
        assert ladder.recipe("mid", phase.name) == load_recipe(f"mid/{phase.name}")


def test_a_scale_counts_on_the_steps_that_a_phase_sets(folder: Path) -> None:
    ladder = load_ladder("mine.toml")
    assert ladder.recipe("tier.toml", "first", 0.001).steps == 1
    assert ladder.recipe("tier.toml", "first", 0.5).schedule.warmup == 5


def test_a_ladder_of_ones_own(folder: Path) -> None:
    ladder = load_ladder("mine.toml")
    assert ladder.name == "mine" and ladder.scale == 1.0
    planned = plan_runs(ladder, ladder.tiers, ["first", "wide"], ladder.seeds, ladder.scale)
    assert len(planned) == 8
    last = planned[-1]
    assert (last.tier, last.folder) == ("tier", Path("runs/tier/wide/seed-1"))
    assert last.recipe.name == "tier/wide"
    assert (last.recipe.model.width, last.recipe.batch.rows, last.recipe.steps) == (256, 4, 100)
    assert planned[0].recipe.model.width == 128 and planned[0].recipe.batch.rows == 4


def test_phases_can_be_borrowed_from_a_built_in_ladder(folder: Path) -> None:
    (folder / "short.toml").write_text('tiers = ["tier.toml"]\nphases = "classic"\nset = { "tokenizer" = "bpe:512" }\n')
    ladder = load_ladder("short.toml")
    assert ladder.phases == load_ladder("classic").phases
    assert ladder.recipe("tier.toml", "packed").tokenizer == "bpe:512"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seeds = 2", "seads = 2", r'mine\.toml: field "seads": .*did you mean "seeds"'),
        ('change = "nothing"', 'chnge = "nothing"', r'field "phases\.0\.chnge": .*did you mean "change"'),
        ('change = "nothing"\n', "", r'mine\.toml: field "phases\.0\.change": field required'),
        ("seeds = 2", "seeds = 0", "greater than or equal to 1"),
        ("seeds = 2", "scale = 0", "greater than 0"),
        ("[[phases]]", "[[phases", r"mine\.toml is not valid TOML"),
        ('name = "wide"', 'name = "first"', "two phases have the same name: first, first"),
        ('name = "wide"', 'name = "../wide"', r'mine\.toml: "\.\./wide" names a folder, too'),
        ('name = "wide"', 'name = ".."', "begin it with a letter or digit"),
        ('["basic", "tier.toml"]', "[]", "at least 1 item"),
    ],
)
def test_a_wrong_ladder_file_is_told_with_its_place(old: str, new: str, message: str, folder: Path) -> None:
    assert old in MINE
    (folder / "mine.toml").write_text(MINE.replace(old, new))
    with pytest.raises(InputError, match=message) as error:
        load_ladder("mine.toml")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            '"model.width" = 256',
            '"model.widht" = 256',
            'unknown recipe field "model.widht"; did you mean "model.width"',
        ),
        ('"model.width" = 256', '"model.width" = "wide"', 'recipe field "model.width"'),
        ('"tier.toml"', '"teir.toml"', r"teir\.toml does not exist; give a file that holds a tier, or one of: basic"),
        ('"tier.toml"', '"basic"', "two tiers of this ladder have the same name: basic, basic"),
    ],
)
def test_a_ladder_that_cannot_be_planned_is_told(old: str, new: str, message: str, folder: Path) -> None:
    (folder / "mine.toml").write_text(MINE.replace(old, new))
    ladder = load_ladder("mine.toml")
    with pytest.raises(InputError, match=message):
        plan_runs(ladder, ladder.tiers, ["first", "wide"], 1, 1.0)


def test_an_unknown_ladder_names_the_nearest() -> None:
    with pytest.raises(
        InputError, match=r'no built-in ladder and no \.toml file is called "clasic"; did you mean "classic"'
    ):
        load_ladder("clasic")
    with pytest.raises(InputError, match=r"gone\.toml does not exist; give the path"):
        load_ladder("gone.toml")
    with pytest.raises(InputError, match='unknown phase "pakced" of ladder classic; did you mean "packed"'):
        load_ladder("classic").recipe("basic", "pakced")


def test_earlier_names_are_known(tmp_path: Path) -> None:
    assert load_ladder("seeds") == load_ladder("classic")
    assert load_recipe("gemma3-270m-seed") == load_recipe("gemma3-270m-rising")
    (tmp_path / "old.toml").write_text(
        'tiers = ["gemma3-nano-seed"]\nphases = [{ name = "short", change = "short", set = { steps = 5 } }]\n'
    )
    recipe = load_ladder(str(tmp_path / "old.toml")).recipe("gemma3-nano-seed", "short")
    assert recipe.name == "gemma3-nano-seed/short", "as in the records that it goes on with"
    assert recipe.model == load_recipe("gemma3-nano-rising").model


@pytest.mark.parametrize("name", ["classic", "factorial", "demo", "gemma3-nano"])
def test_every_built_in_ladder_can_be_planned(name: str) -> None:
    ladder = load_ladder(name)
    phases = [phase.name for phase in ladder.phases]
    assert len(plan_runs(ladder, ladder.tiers, phases, ladder.seeds, 0.1)) == (
        len(ladder.tiers) * len(phases) * ladder.seeds
    )


def test_a_factorial_ladder_has_the_first_phase_with_every_subset_of_the_others() -> None:
    ladder = load_ladder("factorial")
    names = [cell.name for cell in ladder.cells]
    assert names[:4] == ["baseline", "init", "cosine", "packed"]  # the path, which is the classic ladder
    assert sorted(names[4:]) == ["baseline+cosine", "baseline+cosine+packed", "baseline+packed", "init+packed"]
    assert ladder.recipe("basic", "packed") == load_recipe("basic/packed")
    alone = ladder.recipe("basic", "baseline+packed")
    assert alone == load_recipe("basic/baseline").with_values(
        **{"name": "basic/baseline+packed", "batch.layout": "packed"}
    )
    assert len({str(run.folder) for run in plan_runs(ladder, ["basic"], names, 2, 1.0)}) == 16


def test_each_phase_is_left_out_in_turn() -> None:
    """The first phase is the ground that every recipe stands on."""
    ladder = Ladder.model_validate(load_ladder("classic").model_dump() | {"design": "leave-one-out"})
    assert {cell.name: [phase.name for phase in cell.phases] for cell in ladder.cells} == {
        "baseline": ["baseline"],
        "whole": ["baseline", "init", "cosine", "packed"],
        "without-init": ["baseline", "cosine", "packed"],
        "without-cosine": ["baseline", "init", "packed"],
        "without-packed": ["baseline", "init", "cosine"],
    }
    recipe = ladder.recipe("basic", "without-cosine")
    assert (recipe.schedule.kind, recipe.batch.layout) == ("constant", "packed")
    assert ladder.recipe("basic", "whole").schedule.kind == "cosine"


def test_leaving_out_needs_something_that_stays(folder: Path) -> None:
    (folder / "mine.toml").write_text('design = "leave-one-out"\n' + MINE)
    with pytest.raises(InputError, match="needs three phases or more"):
        load_ladder("mine.toml")


@pytest.mark.parametrize(
    ("bracket", "design", "message"),
    [
        ("[1]", "path", "the bracket of wide needs two different multiples or more"),
        ("[1, 2, 1]", "path", "the bracket of wide needs two different multiples or more"),
        ("[1, 0]", "path", "greater than 0"),
        ("[1, 2]", "factorial", "the bracket of wide works only with the design"),
    ],
)
def test_a_bracket_that_can_choose_nothing_is_refused(bracket: str, design: str, message: str, folder: Path) -> None:
    (folder / "mine.toml").write_text(f'design = "{design}"\n{MINE}bracket = {bracket}\n')
    with pytest.raises(InputError, match=message):
        load_ladder("mine.toml")


def test_a_chosen_rate_holds_from_its_phase_on(folder: Path) -> None:
    ladder = load_ladder("classic")
    plain, chosen = (ladder.recipe("basic", "packed", rates=rates) for rates in ({}, {"cosine": 0.5}))
    assert chosen.schedule.peak == plain.schedule.peak / 2 and chosen.schedule.floor == plain.schedule.floor / 2
    assert ladder.recipe("basic", "init", rates={"cosine": 0.5}) == ladder.recipe("basic", "init")
