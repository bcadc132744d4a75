"""A plan that was frozen before the first run, and what a page says came later."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.report.synthetic import write_ladder

from fabula.recipe.ladder import Ladder, load_ladder
from fabula.record.files import content_hash, write_json
from fabula.record.ladders.frozen import read_frozen
from fabula.record.reader import read_info
from fabula.report.document import make_document
from fabula.report.render.markdown import render_markdown
from fabula.study.ladder import read_ladder
from fabula.study.planning.frozen import ANALYSIS, Planned, planned_of, question_text


def two_phases() -> Ladder:
    classic = load_ladder("classic")
    return classic.model_copy(update={"phases": classic.phases[:2]})


@pytest.fixture
def ladder(tmp_path: Path) -> Path:
    return write_ladder(tmp_path / "ladder", seeds=2, scale=0.004, ladder=two_phases())


def freeze(folder: Path, **otherwise: Any) -> dict[str, Any]:
    """plan.json as `fabula ladder --freeze` writes it, of what is there; `otherwise`: what it says instead."""
    view = read_ladder([folder])
    run = view.runs[0]
    plan = {
        "format": 1, "frozen": "2026-01-02T03:04:05+00:00", "fabula": "0.1.0", "name": "classic", "design": "path",
        "scale": 0.004, "tiers": ["basic"], "phases": view.plan["phases"], "seeds": [0, 1],
        "stopping_rule": "a fixed number", "questions": [question_text(each.contrast) for each in view.effects],
        "analysis": ANALYSIS,
        "data": {
            "text_hashes": run.of("data", "text_hashes"),
            "tokenizers": {run.of("data", "tokenizer"): run.of("data", "tokenizer_hash")},
        },
        "recipes": {f"{each.tier}/{each.phase}": each.of("recipe_hash") for each in view.runs},
        **otherwise,
    }  # fmt: skip
    plan = {**plan, "hash": content_hash(plan)}
    write_json(folder / "plan.json", plan)
    return plan


def told(folder: Path) -> Planned:
    planned = planned_of(read_ladder([folder]))
    assert planned is not None
    return planned


def test_without_a_plan_the_page_says_nothing_of_one(ladder: Path) -> None:
    assert planned_of(read_ladder([ladder])) is None


def test_a_ladder_as_it_was_planned(ladder: Path) -> None:
    plan = freeze(ladder)
    said = told(ladder)
    assert (said.problem, said.later, said.open) == ("", (), ())
    assert (said.when, said.hash) == (plan["frozen"], plan["hash"])
    assert "basic: init (init against baseline)" in said.planned[2]
    page = render_markdown(make_document(read_ladder([ladder])))
    assert plan["hash"] in page
    assert "Nothing was added or changed since." in page


OTHERWISE: dict[str, tuple[dict[str, Any], str]] = {
    "seeds": ({"seeds": [0]}, "More seeds than planned: seed 1."),
    "tiers": ({"tiers": ["mid"]}, "Tier that the plan does not have: basic."),
    "questions": ({"questions": []}, "1 question that the plan does not ask: basic: init (init against baseline)."),
    "phases": ({"phases": [{"name": "baseline"}]}, "Recipe that the plan does not have: init."),
    "estimator": ({"analysis": {**ANALYSIS, "estimator": "another (0)"}}, "and another (0) was planned"),
    "error rate": ({"analysis": {**ANALYSIS, "error_rate": 0.01}}, "The error rate of this page is 0.05, and 0.01"),
    "protocols": ({"analysis": {**ANALYSIS, "protocols": ["story"]}}, "['story'] was planned"),
    "rule": ({"grows": True}, "The rule for stopping is another one than planned: a fixed number of seeds."),
    "scale": ({"scale": 0.1}, "The scale is 0.004, and 0.1 was planned."),
    "recipes": ({"recipes": {"basic/init": "0"}}, "Trained by another recipe than planned: basic/init."),
    "tokenizer": ({"data": {"tokenizers": {"gpt2": "0"}}}, "The tokenizer is another"),
    "stories": ({"data": {"text_hashes": {"train": "0"}}}, "The stories are others"),
}


@pytest.mark.parametrize(
    "field", [{"seeds": ["a"]}, {"seeds": None}, {"tiers": [1]}, {"phases": ["init"]}, {"questions": {}},
              {"recipes": {"a": 1}}, {"data": {"text_hashes": []}}, {"analysis": "any"}, {"frozen": 3}],
)  # fmt: skip
def test_a_plan_of_another_shape_is_named_and_read_no_further(field: dict[str, Any], ladder: Path) -> None:
    freeze(ladder, **field)
    assert "is of another version of fabula, or no plan: " + next(iter(field)) in told(ladder).problem


@pytest.mark.parametrize("what", OTHERWISE)
def test_what_is_otherwise_than_planned_is_told(what: str, ladder: Path) -> None:
    for run in ladder.glob("runs/*/*/*"):
        info = read_info(run)
        info = {**info, "recipe_hash": info.get("recipe_hash") or "1"}
        info["data"] = {
            **info.get("data", {}),
            "text_hashes": {"train": "1"},
            "tokenizer": "gpt2",
            "tokenizer_hash": "1",
        }
        (run / "run.json").write_text(json.dumps({**info, "recipe_hash": None}))
    change, sentence = OTHERWISE[what]
    freeze(ladder, **change)
    assert any(sentence in each for each in told(ladder).later)


def test_what_was_planned_and_is_not_there_is_told(ladder: Path) -> None:
    freeze(ladder, seeds=[0, 1, 2])
    assert told(ladder).open == ("2 of 6 planned runs have not ended.",)


def test_a_plan_that_was_changed_is_named_and_nothing_is_held_against_it(ladder: Path) -> None:
    freeze(ladder)
    path = ladder / "plan.json"
    text = path.read_text()
    for changed, problem in (
        (text.replace('"a fixed number"', '"as I like"'), "was changed after it was frozen"),
        (text[:200], "is damaged"),
        ("[]", "is damaged"),
        (json.dumps({"format": 2, "hash": content_hash({"format": 2})}), "is of another version of fabula, or no plan"),
    ):
        path.write_text(changed)
        assert problem in told(ladder).problem
        assert problem in render_markdown(make_document(read_ladder([ladder])))
    path.write_text(json.dumps(json.loads(text)))
    frozen = read_frozen(ladder)
    assert frozen is not None
    assert not frozen.problem, "how it is laid out does not matter"


def test_another_plan_than_the_runs_were_begun_with_is_named(ladder: Path) -> None:
    plan = freeze(ladder)
    described = json.loads((ladder / "ladder.json").read_text())
    (ladder / "ladder.json").write_text(json.dumps({**described, "plan_hash": plan["hash"]}))
    assert not told(ladder).problem
    freeze(ladder, stopping_rule="another one")
    assert "is another one than that with which these runs were begun" in told(ladder).problem
    (ladder / "plan.json").unlink()
    assert "is not there any more" in told(ladder).problem
