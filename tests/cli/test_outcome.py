"""The sentences that a training ends with."""

import json
import runpy
from pathlib import Path
from typing import Any

import pytest
from tests.train.tiny import tiny

from fabula.cli.making.outcome import outcome
from fabula.recipe.presets.by_name import load_recipe
from fabula.recipe.presets.reached import TABLE, Reached, all_reached, reached_by
from fabula.recipe.scaling import with_steps
from fabula.recipe.schema import Recipe
from fabula.recipe.toml import to_toml

PORTABLE = load_recipe("modern-portable")


def row(steps: int, loss: float) -> Reached:
    return Reached("modern-portable", steps, "TinyStories", "theirs", "words", 9.0, loss, loss - 0.02)


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fabula.recipe.presets.reached.all_reached", lambda: (row(1000, 2.47), row(4000, 2.1)))


def run_of(folder: Path, recipe: Recipe, first: float, last: float, **data: Any) -> list[str]:
    """The sentences of a run that went from `first` to `last`."""
    folder.mkdir(exist_ok=True)
    about = {"text_hashes": {"validation": "theirs"}, "tokenizer_hash": "words", "entropy_floor": None, **data}
    info = {"status": "finished", "steps": recipe.steps, "seed": 0, "data": about}
    (folder / "run.json").write_text(json.dumps(info))
    (folder / "recipe.toml").write_text(to_toml(recipe.as_tree()))
    lines = [
        {"kind": "eval", "step": step, "val_loss": loss, "val_loss_gpt2": loss - 0.1, "val_loss_subset": loss,
         "train_loss": loss, "full": True}
        for step, loss in ((0, first), (recipe.steps, last))
    ]  # fmt: skip
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return outcome(folder)


def test_the_table_is_what_its_script_writes(repo: Path) -> None:
    script = runpy.run_path(str(repo / "docs" / "reached_table.py"))
    assert script["written"]() == TABLE.read_text(encoding="utf-8"), "run: python docs/reached_table.py"
    assert {each.recipe for each in all_reached()} >= {"basic", "modern-portable", "strong"}


def test_a_changed_recipe_is_not_held_against_the_plain_one() -> None:
    assert [each.steps for each in reached_by(with_steps(PORTABLE, 40))] == [1000]
    for changed in ({"batch.rows": 8}, {"schedule.peak": 0.02}, {"model.width": 96}):
        assert not reached_by(PORTABLE.with_values(**changed))
    assert reached_by(PORTABLE.with_values(**{"evaluation.every": 7, "compute.compile": "off"}))


@pytest.mark.usefixtures("table")
def test_a_short_run_is_told_what_the_recipe_reaches(tmp_path: Path) -> None:
    said = run_of(tmp_path / "run", with_steps(PORTABLE, 100), 9.0, 4.68)
    assert said[:2] == [
        "validation loss 4.68 (untrained 9.00) after 100 steps; lower is better.",
        "This recipe reaches 2.47 in 1,000 steps: train longer (--steps 1000).",
    ]
    said = run_of(tmp_path / "run", PORTABLE, 9.0, 2.48)
    assert said[1:3] == [
        "This is the same as the 2.47 of an earlier run (1,000 steps).",
        "This recipe reaches 2.10 in 4,000 steps: train longer (--steps 4000).",
    ]
    said = run_of(tmp_path / "run", with_steps(PORTABLE, 5000), 9.0, 1.9)
    assert said[1] == "This is lower than the 2.10 of an earlier run (4,000 steps)." and "train longer" not in str(said)


@pytest.mark.usefixtures("table")
def test_another_vocabulary_is_compared_per_gpt2_token_and_other_stories_not_at_all(tmp_path: Path) -> None:
    said = run_of(tmp_path / "run", PORTABLE, 9.0, 3.0, tokenizer_hash="others")
    assert said[1:3] == [
        "That is 2.90 per GPT-2 token, by which vocabularies compare.",
        "This is higher than the 2.45 per GPT-2 token of an earlier run (1,000 steps).",
    ]
    said = run_of(tmp_path / "run", with_steps(PORTABLE, 100), 9.0, 3.0, text_hashes={"validation": "mine"})
    assert said[1:3] == [
        "This recipe is made for 1,000 steps, and 100 steps are 10 % of them: train longer (--steps 1000).",
        "On TinyStories this recipe reached 2.08 per GPT-2 token in 4,000 steps; your stories are others, so compare "
        "how the loss falls, not the number.",
    ]
    said = run_of(tmp_path / "run", PORTABLE, 9.0, 1.2, text_hashes={"validation": "mine"}, entropy_floor=0.7321)
    assert said[1] == "The lowest loss that a model can reach on these stories is 0.73."
    assert "TinyStories" not in str(said)


def test_a_model_that_learned_nothing_is_not_praised(tmp_path: Path) -> None:
    said = run_of(tmp_path / "run", tiny(model__vocabulary=512), 6.24, 6.1)
    assert said[1].startswith("The model is hardly better than before it was trained. `fabula diagnose ")
    said = run_of(tmp_path / "run", tiny(model__vocabulary=512), 6.24, 90.0)
    assert said[1].startswith("The model is worse than before it was trained.")
