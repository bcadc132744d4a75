"""What a training will cost, and how many steps fit into some minutes."""

from pathlib import Path

import pytest
import torch
from tests.train.tiny import data_in, tiny

from fabula.errors import InputError
from fabula.recipe.presets.by_name import load_recipe
from fabula.score.rulers import make_rulers
from fabula.train.life.length.estimate import FORWARD_SHARE, estimate, evaluation_positions, recipe_for_minutes
from fabula.train.machine.choice import Choice
from fabula.train.machine.choices import (
    choose_compile,
    choose_device,
    choose_graph,
    choose_precision,
    choose_updates,
    training_flop,
)
from fabula.train.processes.together import Together


@pytest.mark.parametrize("every", [1, 3, 4, 12, 50])
def test_every_evaluation_is_paid_for(every: int, grammar_folder: Path) -> None:
    rulers = make_rulers(data_in(grammar_folder), 32)
    recipe = tiny(steps=12, evaluation__every=every)
    num_evaluations = len({0, 12, *range(every, 12, every)})
    stream, story = rulers.stream.counts, rulers.story.counts
    full = stream.num_targets + 32 * story.num_stories
    part = rulers.stream_subset.counts.num_targets + rulers.train_sample.counts.num_targets
    assert evaluation_positions(recipe, rulers) == 2 * full + num_evaluations * part
    cost = estimate(recipe, rulers, step_seconds=0.5)
    assert cost.training == 6.0 and cost.total == cost.training + cost.evaluation
    per_position = 0.5 / recipe.positions_per_step
    assert cost.evaluation == pytest.approx(FORWARD_SHARE * per_position * evaluation_positions(recipe, rulers))


@pytest.mark.parametrize("minutes", [1.0, 7.5, 60.0])
def test_the_steps_of_some_minutes_take_that_long(minutes: float, grammar_folder: Path) -> None:
    rulers = make_rulers(data_in(grammar_folder), 32)
    recipe = recipe_for_minutes(tiny(steps=1000, schedule__warmup=100), rulers, 0.02, minutes, frozenset())
    cost = estimate(recipe, rulers, 0.02).total
    assert minutes * 60 * 0.9 <= cost <= minutes * 60
    assert recipe.schedule.warmup == pytest.approx(recipe.steps / 10, abs=1)


def test_minutes_leave_what_the_user_set(grammar_folder: Path) -> None:
    rulers = make_rulers(data_in(grammar_folder), 32)
    recipe = recipe_for_minutes(tiny(steps=1000), rulers, 0.02, 2.0, frozenset({"schedule.warmup", "evaluation.every"}))
    assert (recipe.schedule.warmup, recipe.evaluation.every) == (3, 5) and recipe.steps != 1000


def test_too_few_minutes_are_refused(grammar_folder: Path) -> None:
    rulers = make_rulers(data_in(grammar_folder), 32)
    with pytest.raises(InputError, match=r"0\.01 min is too short: one step takes about 30 s .* at least --minutes \d"):
        recipe_for_minutes(tiny(), rulers, 30.0, 0.01, frozenset())


def test_a_probe_in_a_bad_moment_refuses_nothing(grammar_folder: Path) -> None:
    """Evaluations that seem to take more than all of the time are begun, with a fifth of it for steps."""
    rulers = make_rulers(data_in(grammar_folder), 32)
    one_step = estimate(tiny(steps=1, evaluation__every=1), rulers, 0.02)
    recipe = recipe_for_minutes(tiny(steps=1000), rulers, 0.02, one_step.total / 1.5 / 60, frozenset())
    assert recipe.steps == int(0.2 * one_step.total / 1.5 / 0.02) > 1


def test_precision_follows_the_recipe_and_says_why() -> None:
    for wanted in ("float32", "bfloat16"):
        choice = choose_precision(wanted, "cpu")
        assert (choice.value, choice.reason) == (wanted, "the recipe says so")
    choice = choose_precision("auto", "cpu")
    assert choice.value in ("float32", "bfloat16") and "processor" in choice.reason
    assert str(choice) == f"{choice.value} ({choice.reason})"
    assert choose_precision("auto", "mps").value == "float32"


def test_a_device_that_is_asked_for_is_there_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("cpu") == Choice("cpu", "the recipe says so")
    with pytest.raises(InputError, match=r'compute\.device = "cuda", but torch .* finds none here; leave it out'):
        choose_device("cuda")


def test_updates_and_graphs_are_of_a_gpu() -> None:
    assert (choose_updates("cuda").value, choose_updates("cpu").value) == ("device", "host")
    several = Together(0, 2, 2).choices()  # in place of what one process would choose
    assert (several["updates"].value, several["graph"].value) == ("host", "off")
    assert choose_graph("cuda", 1).value == "on" and choose_graph("cpu", 1).value == "off"
    assert "too many for one graph" in choose_graph("cuda", 1000).reason


def test_compiling_depends_on_the_recipe_and_on_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "c++")
    assert choose_compile(tiny(compute__compile="on"), 512, "cpu").value == "on"
    assert choose_compile(tiny(compute__compile="off"), 512, "cpu").value == "off"
    short, long = tiny(compute__compile="auto"), tiny(compute__compile="auto", steps=10**6)
    assert choose_compile(short, 512, "cpu").value == "off" and "before compiling pays" in str(
        choose_compile(short, 512, "cpu")
    )
    assert choose_compile(long, 512, "cpu").value == "on"
    assert choose_compile(long, 512, "mps").value == "off"
    # Of a GPU many small steps are as good a reason as a few large ones.
    choice = choose_compile(short, 512, "cuda")
    assert choice.value == "off" and "would save" in choice.reason
    assert choose_compile(long, 512, "cuda").value == "on"
    assert choose_compile(load_recipe("gemma3-270m-gpt2").with_values(steps=300), 50_257, "cuda").value == "on"
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", "")
    choice = choose_compile(long, 512, "cpu")
    assert choice.value == "off" and "no C++ compiler found" in choice.reason
    with pytest.raises(InputError, match=r'compute\.compile = "on", but no C\+\+ compiler found; install one'):
        choose_compile(tiny(compute__compile="on"), 512, "cpu")


def test_the_arithmetic_of_a_training() -> None:
    """6 x parameters in matrices x positions; norms and biases count as well, positions and the lookup do not."""
    recipe = tiny(steps=10)
    layers = 16 * 48 + 16 * 16 + 16 + 2 * 16 * 64 + 64 + 16 + 4 * 16
    assert training_flop(recipe, 512) == 6.0 * (layers + 32 + 512 * 16) * 10 * 4 * 32
