"""Runs that come without a ladder are grouped by what they are, not by what they are called."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.report.synthetic import write_run

from fabula.recipe import load_recipe
from fabula.report.document import make_document
from fabula.report.render.markdown import render_markdown
from fabula.study.ladder import read_ladder
from fabula.study.phases.out_of_order import out_of_order
from fabula.study.summary import summary
from fabula.study.views import LadderView

SMALL = {"steps": 60, "evaluation.every": 10}


@pytest.fixture
def make(tmp_path: Path) -> Any:
    """Writes a run of `basic`, with fields changed, and with what is trained on."""

    def made(folder: str, seed: int = 0, data: dict[str, Any] | None = None, **given: Any) -> Path:
        fields = {
            key.replace("__", "."): value for key, value in given.items() if "__" in key or key in ("steps", "name")
        }
        rest = {key: value for key, value in given.items() if key in ("end", "status", "rulers")}
        write_run(tmp_path / folder, load_recipe("basic").with_values(**{**SMALL, **fields}), seed, **rest)
        if data is not None:
            file = tmp_path / folder / "run.json"
            info = json.loads(file.read_text())
            file.write_text(json.dumps(info | {"data": info.get("data", {}) | data}))
        return tmp_path / folder

    return made


def phases(ladder: LadderView) -> dict[str, dict[str, list[int]]]:
    return {
        tier.name: {phase.name: [view.seed for view in phase.runs] for phase in tier.phases} for tier in ladder.tiers
    }


def test_seeds_of_one_recipe_are_one_phase(make: Any) -> None:
    ladder = read_ladder([make("a", 0), make("b", 1)])
    assert phases(ladder) == {"basic": {"packed": [0, 1]}}
    assert "one recipe on the same stories, seeds 0 and 1" in ladder.grouping.told[0]


def test_another_optimizer_is_another_recipe_though_its_name_is_the_same(make: Any) -> None:
    ladder = read_ladder([make("a", 0), make("b", 1, optimizer__kind="muon")])
    assert phases(ladder) == {"basic": {"packed": [0], "packed, optimizer.kind=muon": [1]}}
    assert ladder.tiers[0].phases[1].change == "optimizer.kind (muon instead of adamw)"
    said = summary(ladder)
    assert said["groups"][1]["differs"] == {"optimizer.kind": ["adamw", "muon"]}
    assert any("optimizer.kind (muon instead of adamw)" in each for each in said["grouped_because"])
    page = render_markdown(make_document(ladder))
    assert "How the runs were grouped" in page and "the recipes share no finished seed" in page


def test_a_recipe_by_another_name_is_the_same_recipe(make: Any) -> None:
    ladder = read_ladder([make("a", 0), make("b", 1, name="mine"), make("c", 0, name="other", schedule__peak=1e-3)])
    assert phases(ladder) == {"basic": {"packed": [0, 1], "other": [0]}}
    assert any("whatever it is called" in each for each in ladder.grouping.told)


@pytest.mark.parametrize("irrelevant", [{"checkpoint__every": 7}, {"evaluation__every": 20},
                                        {"evaluation__sample_tokens": 9}, {"compute__compile": "off"}])  # fmt: skip
def test_what_changes_nothing_makes_no_other_recipe(make: Any, irrelevant: dict[str, Any]) -> None:
    assert phases(read_ladder([make("a", 0), make("b", 1, **irrelevant)])) == {"basic": {"packed": [0, 1]}}


def test_the_same_run_again_counts_once_and_is_told(make: Any) -> None:
    first = make("a", 0)
    ladder = read_ladder([first, make("again", 0), make("b", 1), first])
    assert phases(ladder) == {"basic": {"packed": [0, 1]}}
    assert [each for each in ladder.grouping.told if "again" in each and "left out" in each]
    assert len(ladder.tiers[0].phases[0].final_losses()) == 2


def test_a_finished_run_is_kept_instead_of_an_unfinished_one(make: Any) -> None:
    ladder = read_ladder([make("a", 0, status="interrupted"), make("b", 0)])
    assert [view.path.name for view in ladder.runs] == ["b"]


def test_a_seed_that_came_out_otherwise_stands_by_itself(make: Any) -> None:
    ladder = read_ladder([make("a", 0), make("b", 0, end=2.5), make("c", 1)])
    assert phases(ladder) == {"basic": {"packed": [0, 1], "packed (b)": [0]}}
    assert any("what differs is not in the recipe" in each for each in ladder.grouping.told)


def test_nothing_is_expected_of_runs_without_a_ladder(make: Any) -> None:
    ladder = read_ladder([make("a", end=2.0), make("b", end=3.0, schedule__peak=1e-3), make("c", optimizer__clip=0.5)])
    assert [each.before for each in ladder.effects] == ["packed", "packed"]  # each against the first
    assert out_of_order(ladder.tiers[0]) == []
    assert "expected" not in " ".join(summary(ladder)["out_of_order"])


def test_other_steps_are_in_no_mean_together(make: Any) -> None:
    ladder = read_ladder([make("a", 0), make("b", 1, steps=80)])
    assert phases(ladder) == {"basic": {"packed": [0], "packed, steps=80": [1]}}
    assert any("other numbers of steps" in each for each in ladder.grouping.told)


@pytest.mark.parametrize(("data", "why"), [({"text_hashes": {"train": "x"}, "path": "more"}, "other stories: more"),
                                           ({"tokenizer_hash": "x", "tokenizer": "own"}, "tokenizer own")])  # fmt: skip
def test_other_data_stands_apart_and_says_why(make: Any, data: dict[str, Any], why: str) -> None:
    ladder = read_ladder([make("a", 0), make("b", 1, data=data), make("c", 2)])
    assert phases(ladder) == {"basic": {"packed": [0, 2]}, f"basic ({why})": {"packed": [1]}}
    assert any("stands apart" in each and why in each for each in ladder.grouping.told)
    assert ladder.effects == []


def test_another_ruler_stands_apart(make: Any) -> None:
    ladder = read_ladder([make("a", 0), make("b", 1, rulers="z")])
    assert list(phases(ladder)) == ["basic", "basic (another ruler)"]


def test_a_run_without_a_recipe_is_like_no_other(make: Any) -> None:
    paths = [make("a", 0), make("b", 1)]
    (paths[1] / "recipe.toml").unlink()
    assert len(read_ladder(paths).tiers) == 2


def test_the_order_of_the_paths_changes_no_group(make: Any) -> None:
    paths = [
        make("a", 0),
        make("b", 1),
        make("c", 0, optimizer__kind="muon"),
        make("d", 0, data={"tokenizer_hash": "x"}),
    ]
    sizes = {tuple(sorted(len(each.runs) for each in read_ladder(order).grouping.groups))
             for order in (paths, paths[::-1], [paths[2], paths[0], paths[3], paths[1]])}  # fmt: skip
    assert sizes == {(1, 1, 2)}


def test_many_groups_that_stand_apart_for_one_reason_are_told_together(make: Any) -> None:
    paths = [make("a"), *(make(f"b{place}", name=f"n{place}", model__layers=layers, data={"tokenizer_hash": "x"})
                          for place, layers in enumerate((1, 12)))]  # fmt: skip
    told = [each for each in read_ladder(paths).grouping.told if "apart" in each]
    assert len(told) == 1 and "`n0` and `n1` stand apart from `basic`" in told[0]


def test_a_warmup_that_follows_the_steps_is_not_in_the_name(make: Any) -> None:
    ladder = read_ladder([make("a"), make("b", steps=80, schedule__warmup=7)])
    assert ladder.tiers[0].phases[1].name == "packed, steps=80"
    assert "schedule.warmup (7 instead of" in ladder.tiers[0].phases[1].change
