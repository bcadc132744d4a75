"""A schedule of the user's own: its rates are the run's, also after a resumption, and what can be wrong with it."""

import json
import sys
from pathlib import Path

import pytest
from tests.train.tiny import StopAfter, data_in, metrics, same_tensors, tensors, tiny, tiny_file

from fabula.cli import run
from fabula.errors import InputError
from fabula.findings import lint
from fabula.findings.diagnosis import diagnose
from fabula.recipe.schema import Recipe
from fabula.record.reader import read_run
from fabula.train.engine import Engine
from fabula.train.life.length.budget import Spent, planned_end
from fabula.train.life.length.extension import shared
from fabula.train.life.run import set_up_training, start_run
from fabula.train.observer import Observer
from fabula.train.update.rates import MOST_ASKED, planned_rates, rate_of

RATES = """
import itertools
import numpy as np
import torch
from fabula.recipe.schedule import learning_rate

def sawtooth(step, num_steps, recipe):
    return recipe.schedule.peak * (1.0 - step % 4 / 5)

def to_zero(step, num_steps, recipe):
    return recipe.schedule.peak * (1 - step / num_steps)

def fixed(step, num_steps, recipe):
    return 1

def ours(step, num_steps, recipe):
    return learning_rate(recipe.schedule, step, num_steps)

def of_a_copy(step, num_steps, recipe):
    return recipe.with_values(**{"schedule.kind": "constant"}).schedule.peak

def falls_late(step, num_steps, recipe):
    return torch.tensor(0.01) if step <= 8 else np.float32(0.01 * (num_steps - step) / num_steps)

def late(bad):
    return lambda step, num_steps, recipe: bad if step == 9 else 0.01

negative, none, text, nan, infinite, flag, several, long = map(
    late, (-0.1, None, "0.01", float("nan"), float("inf"), True, torch.zeros(2), list(range(1000))))
counter = itertools.count(1)

def counting(step, num_steps, recipe):
    return next(counter) * 0.001
"""


@pytest.fixture(autouse=True)
def _mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rates_of_somebody.py").write_text(RATES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "rates_of_somebody", raising=False)


def by(name: str, **values: object) -> Recipe:
    quick = {"evaluation__every": 100, "evaluation__sample_tokens": 0}
    return tiny(**{"own__schedule": f"rates_of_somebody:{name}", **quick, **values})


def recorded(folder: Path) -> list[float]:
    return [line["learning_rate"] for line in metrics(folder) if line["kind"] == "train"]


def test_the_run_has_its_rates_also_where_it_was_stopped(grammar_folder: Path, tmp_path: Path) -> None:
    data = data_in(grammar_folder)
    expected = [1e-2 * (1.0 - step % 4 / 5) for step in range(1, 13)]
    for name, observer in (("whole", Observer()), ("stopped", StopAfter(6))):
        start_run(set_up_training(by("sawtooth"), data, 0, observer), tmp_path / name)
    assert run(["train", "--data", str(grammar_folder), "--out", "stopped", "--resume"]) == 0
    assert recorded(tmp_path / "whole") == recorded(tmp_path / "stopped") == pytest.approx(expected)
    assert same_tensors(tensors(tmp_path / "whole"), tensors(tmp_path / "stopped"))
    assert json.loads((tmp_path / "whole" / "run.json").read_text())["own"].keys() == {"schedule"}


def test_the_rates_are_those_of_the_optimizer(grammar_folder: Path) -> None:
    training = set_up_training(by("sawtooth"), data_in(grammar_folder), 0, Observer())
    training.engine.step(training.source, 3, factor=0.5)
    assert training.engine.optimizer.param_groups[0]["lr"] == pytest.approx(0.5 * 1e-2 * 0.4)


def test_what_reads_the_run_judges_its_rates_and_runs_no_code(grammar_folder: Path, tmp_path: Path) -> None:
    start_run(set_up_training(by("sawtooth", steps=8), data_in(grammar_folder), 0, Observer()), tmp_path / "run")
    (tmp_path / "rates_of_somebody.py").write_text("raise SystemExit('this code was run')")
    del sys.modules["rates_of_somebody"]
    found = {each.kind for each in diagnose(read_run(tmp_path / "run")).findings}
    assert "lr_raised" in found and not found & {"schedule_ok", "lr_peak_not_reached", "warmup_missing"}
    assert run(["diagnose", "run"]) == 0
    assert run(["generate", "run", "--prompt", "Once", "--max-tokens", "2"]) == 0  # the model is fabula's
    assert run(["export", "run", "--to", "hf", "--out", "exported"]) == 0
    assert "by a function of its maker's own" in Path("exported/README.md").read_text()


def test_a_recipe_alone_says_nothing_of_its_rates(capsys: pytest.CaptureFixture[str]) -> None:
    recipe = by("fixed", schedule__warmup=1000, schedule__floor=1.0)
    alone, asked = lint(recipe), lint(recipe, planned_rates(recipe))
    kinds = {"lr_fixed", "lr_floor_above_peak", "lr_peak_not_reached", "lr_too_high"}
    assert not {each.kind for each in alone.findings} & kinds
    assert any("own.schedule" in each.lacks and "lr_fixed" in each.kinds for each in alone.silent)
    assert {each.kind for each in asked.findings} & kinds == {"lr_fixed", "lr_too_high"}


def test_the_plan_is_shown_and_warned_of(
    grammar_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = [tiny_file(tmp_path), "--data", str(grammar_folder), "--dry-run", "--set"]
    assert run(["train", *there, "own.schedule=rates_of_somebody:to_zero"]) == 0
    out, _ = capsys.readouterr()
    assert f"peak {1e-2 * 11 / 12:g}, last 0" in out
    assert run(["train", *there, "own.schedule=rates_of_somebody:fixed"]) == 0
    assert "[lr_too_high]" in capsys.readouterr().err


def test_a_bracket_needs_a_function_that_asks_for_the_peak(
    grammar_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("small.toml").write_text(
        f'name = "small"\ntiers = ["{tiny_file(tmp_path, steps=3)}"]\nseeds = 1\n'
        '[[phases]]\nname = "ours"\nchange = "ours"\nset = {}\n'
        '[[phases]]\nname = "theirs"\nchange = "theirs"\nbracket = [0.5, 1.0]\n'
        'set = { "own.schedule" = "rates_of_somebody:fixed" }\n'
    )
    assert run(["ladder", "small.toml", "--data", str(grammar_folder), "--out", "ladder"]) == 2
    assert "have it read recipe.schedule.peak" in capsys.readouterr().err
    assert not list(Path("ladder").glob("brackets/*/*/*"))


def test_a_run_is_made_longer_from_where_both_lengths_have_the_same_rates(
    grammar_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = data_in(grammar_folder)
    start_run(set_up_training(by("falls_late"), data, 0, Observer()), tmp_path / "late")
    longer = ["--data", str(grammar_folder), "--resume", "--steps", "16"]
    assert run(["train", "--out", "late", *longer]) == 0
    assert "from the checkpoint of step 8" in capsys.readouterr().err
    start_run(set_up_training(by("falls_late", steps=16), data, 0, Observer()), tmp_path / "straight")
    assert recorded(tmp_path / "late") == recorded(tmp_path / "straight")
    assert same_tensors(tensors(tmp_path / "late"), tensors(tmp_path / "straight"))
    with pytest.raises(InputError, match="has other rates for 16 steps from step 1 on"):
        shared([12, 8, 4], by("to_zero"), by("to_zero", steps=16), Path("zero"))


def test_the_number_of_steps_stays_once_it_is_planned() -> None:
    spent = Spent(steps=4, total=10.0, step=2.0, evaluation=0.0, last_evaluation=0.0)
    constant = tiny(schedule__kind="constant")
    assert planned_end(constant, spent, 20.0) is not None
    assert planned_end(constant.with_values(**{"own.schedule": "rates_of_somebody:fixed"}), spent, 20.0) is None


WRONG = {
    "step 9 of 12, rates_of_somebody:negative returns -0.1;": "negative",
    "returns None;": "none",
    "returns '0.01';": "text",
    "returns nan;": "nan",
    "returns inf;": "infinite",
    "returns True;": "flag",
    r"returns tensor\(\[0., 0.\]\);": "several",
    r"returns list \[0, 1, 2": "long",
    r"returned 0.\d+ and then 0.\d+; a rate may depend on nothing but": "counting",
    "has no function missing": "missing",
}


@pytest.mark.parametrize("said", WRONG)
def test_what_cannot_be_is_one_sentence_before_the_first_step(
    said: str, grammar_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Engine, "launch", None)
    with pytest.raises(InputError, match=said) as told:
        set_up_training(by(WRONG[said]), data_in(grammar_folder), 0, Observer())
    assert "\n" not in str(told.value)


ASKED = {
    "to_zero --set schedule.peak=0.02": "",
    "fixed": "",
    "to_zero --set schedule.warmup=5": "schedule.warmup is set, and rates_of_somebody:to_zero does not ask for",
    "fixed --set schedule.kind=constant": "schedule.kind is set, and rates_of_somebody:fixed does not ask for",
    "ours --set schedule.warmup=5 --set schedule.floor=0": "",
    "of_a_copy --set schedule.decay=0.3": "",
}


@pytest.mark.parametrize("asked", ASKED)
def test_what_is_set_beside_it_and_changes_nothing_is_refused(
    asked: str, grammar_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = ["train", tiny_file(tmp_path), "--data", str(grammar_folder), "--dry-run"]
    code = run([*there, "--set", f"own.schedule=rates_of_somebody:{asked.split()[0]}", *asked.split()[1:]])
    said = " ".join(capsys.readouterr().err.split())
    assert ASKED[asked] in said and code == (2 if ASKED[asked] else 0)


def test_a_very_long_run_asks_for_some_rates_and_the_last_one() -> None:
    recipe = by("to_zero", steps=1_000_001)
    rates = planned_rates(recipe)
    assert 1 in rates and 1_000_001 in rates and MOST_ASKED / 2 < len(rates) <= MOST_ASKED + 1
    assert rates[1_000_001] == 0.0 and rate_of(recipe, 500_000) == pytest.approx(1e-2 * (1 - 500_000 / 1_000_001))
