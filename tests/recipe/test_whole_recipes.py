"""The recipes with a name of their own: their sizes, the oddities of the original run, and the ladder between them."""

import json
import shlex

import pytest
import torch

from fabula.cli.commands.prepare import recipe_arguments
from fabula.cli.commands.recipes import recipes
from fabula.errors import InputError
from fabula.model.decoder import Decoder, parameter_count
from fabula.recipe.counts import count_parameters
from fabula.recipe.ladder import load_ladder
from fabula.recipe.presets.by_name import FIRST_RECIPE, PURPOSES, apply_settings, load_recipe, recipe_names
from fabula.recipe.presets.files import tier_names, whole_recipe_names
from fabula.recipe.schedule import learning_rate, learning_rates


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("gemma3-270m", 268_098_176),  # the published model
        ("gemma3-270m-gpt2", 164_654_976),
        ("gemma3-270m-gpt2-tied", 132_490_496),
        ("gemma3-270m-rising", 164_654_976),  # the original experiment printed it
        ("basic", 7_291_345),
        ("mid", 12_390_289),
        ("quality", 40_727_761),
    ],
)
def test_parameters_are_those_of_the_published_models(name: str, parameters: int) -> None:
    recipe = load_recipe(name)
    assert count_parameters(recipe.model, recipe.vocabulary).total == parameters


@pytest.mark.parametrize("name", [*tier_names(), *whole_recipe_names()])
def test_the_closed_form_counts_what_the_model_holds(name: str) -> None:
    recipe = load_recipe(name)
    with torch.device("meta"):
        model = Decoder(recipe.model, recipe.vocabulary)
    counts = count_parameters(recipe.model, recipe.vocabulary)
    assert counts.total == parameter_count(model)
    assert counts.without_embeddings == sum(
        each.numel() for name, each in model.named_parameters() if name.startswith(("layers", "final_norm"))
    )


def test_a_whole_recipe_has_no_phases_and_a_typo_finds_its_name() -> None:
    assert load_recipe("gemma3-nano").name == "gemma3-nano"
    with pytest.raises(InputError, match="leave out /packed"):
        load_recipe("gemma3-nano/packed")
    with pytest.raises(InputError, match='did you mean "gemma3-nano"'):
        load_recipe("gemma-nano")


@pytest.mark.parametrize(("name", "rows"), [("gemma3-270m-rising", 32), ("gemma3-nano-rising", 4)])
def test_the_original_recipe_keeps_every_oddity(name: str, rows: int) -> None:
    recipe = load_recipe(name)
    schedule, optimizer = recipe.schedule, recipe.optimizer
    assert (schedule.peak, schedule.floor, schedule.warmup, schedule.unit) == (1e-4, 5e-4, 1000, "micro_step")
    assert schedule.warmup_start == pytest.approx(1 / 3)
    assert (recipe.batch.rows, recipe.batch.accumulation, recipe.model.context) == (rows, 32, 128)
    assert not recipe.batch.end_of_text and recipe.batch.layout == "packed"
    assert (optimizer.clip, optimizer.epsilon, optimizer.beta1, optimizer.beta2) == (0.5, 1e-9, 0.9, 0.95)
    assert recipe.compute.weights == "bfloat16" and recipe.initialization.scheme == "normal_embedding"
    assert not recipe.model.tied
    rates = learning_rates(recipe)
    assert rates[0] == pytest.approx(1e-4 / 3)
    assert rates[31] < 1e-4 <= rates[32] < rates[-1] == pytest.approx(5e-4)
    assert rates == sorted(rates)


def test_the_original_run_made_150000_micro_steps() -> None:
    recipe = load_recipe("gemma3-270m-rising")
    assert recipe.steps == -(-150_000 // recipe.batch.accumulation) == 4_688
    assert recipe.model.sliding_window > recipe.model.context  # the window never bound
    assert learning_rate(recipe.schedule, 4_688, 4_688, 32) == pytest.approx(5e-4)


def test_the_ladder_leads_from_the_original_recipe_to_the_sane_one() -> None:
    ladder = load_ladder("gemma3-nano")
    tier = ladder.tiers[0]
    first, last = (ladder.recipe(tier, ladder.phases[place].name) for place in (0, -1))
    assert first.as_tree() | {"name": tier} == load_recipe(tier).as_tree()
    sane = load_recipe("gemma3-nano")
    assert first.steps * first.positions_per_step == sane.steps * sane.positions_per_step
    assert last.model == sane.model and last.batch == sane.batch and last.steps == sane.steps


def test_the_list_has_every_recipe_and_one_shows_alone(capsys: pytest.CaptureFixture[str]) -> None:
    recipes(as_json=True)
    listed = json.loads(capsys.readouterr().out)
    assert sorted(row["name"] for row in listed) == sorted(recipe_names())
    assert listed[0]["name"] == FIRST_RECIPE
    gemma = next(row for row in listed if row["name"] == "gemma3-270m")
    assert gemma == {
        "name": "gemma3-270m",
        "purpose": PURPOSES["gemma3-270m"],
        "parameters": 268_098_176,
        "parameters_without_embeddings": 100_326_016,
        "context": 1024,
        "vocabulary": 262_144,
    }
    recipes("llama-nano")
    text = capsys.readouterr().out
    assert 'feed_forward = "swiglu"' in text and "fabula train llama-nano" in text


@pytest.mark.parametrize("tokenizer", ["gpt2", "gpt2-compact", "bpe:8192", "bpe:2048", "bpe:333", "my tokens.json"])
def test_what_is_proposed_after_preparing_reads_these_tokens(tokenizer: str) -> None:
    name, *settings = shlex.split(recipe_arguments(tokenizer))
    assert settings[:1] in ([], ["--set"])
    assert apply_settings(load_recipe(name), settings[1:]).tokenizer == tokenizer
    assert recipe_arguments(load_recipe(FIRST_RECIPE).tokenizer) == FIRST_RECIPE
