"""Recipes as values: presets, overrides, and errors that name the nearest key."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from fabula.errors import InputError, nearest
from fabula.recipe import load_recipe, recipe_names
from fabula.recipe.presets.by_name import apply_settings
from fabula.recipe.presets.files import tier_names
from fabula.recipe.scaling import with_steps
from fabula.recipe.schema import Recipe, known_keys, set_key
from fabula.recipe.toml import parse_value, read_toml, to_toml


def test_a_phase_is_one_change_to_the_phase_before_it() -> None:
    phases = [load_recipe(f"basic/{phase}") for phase in ("baseline", "init", "cosine", "packed")]

    def changes(first: Recipe, second: Recipe) -> dict[str, Any]:
        def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
            leaves: dict[str, Any] = {}
            for name, value in tree.items():
                leaves |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
            return leaves

        old, new = flat(first.as_tree()), flat(second.as_tree())
        return {key: new[key] for key in new if new[key] != old[key] and key != "name"}

    assert phases[0].initialization.scheme == "default" and phases[0].schedule.kind == "constant"
    assert phases[0].batch.layout == "padded"
    assert [changes(*pair) for pair in pairwise(phases)] == [
        {"initialization.scheme": "scaled"}, {"schedule.kind": "cosine"}, {"batch.layout": "packed"},
    ]  # fmt: skip
    assert load_recipe("basic").as_tree() | {"name": ""} == phases[-1].as_tree() | {"name": ""}


@pytest.mark.parametrize(
    ("tier", "layers", "width", "heads", "context", "steps", "peak", "floor", "warmup"),
    [
        ("basic", 4, 128, 4, 128, 15_000, 5e-4, 5e-5, 1_000),
        ("mid", 6, 192, 6, 128, 30_000, 6e-4, 6e-5, 2_000),
        ("quality", 12, 384, 6, 256, 50_000, 2e-4, 2e-5, 4_000),
    ],
)
def test_the_tiers_are_the_original_ones(
    tier: str, layers: int, width: int, heads: int, context: int, steps: int, peak: float, floor: float, warmup: int
) -> None:
    recipe = load_recipe(tier)
    model, schedule, optimizer = recipe.model, recipe.schedule, recipe.optimizer
    assert (model.layers, model.width, model.heads, model.context) == (layers, width, heads, context)
    assert (recipe.steps, schedule.peak, schedule.floor, schedule.warmup) == (steps, peak, floor, warmup)
    assert (model.norm, model.norm_epsilon, model.feed_forward, model.size_of_feed_forward) == (
        "layernorm", 1e-5, "relu", 4 * width,
    )  # fmt: skip
    assert model.tied and model.head_bias and model.feed_forward_bias and model.attention_output_bias
    assert not model.attention_bias and model.positions == "learned" and model.embedding_scale == "sqrt_width"
    assert (optimizer.beta1, optimizer.beta2, optimizer.epsilon, optimizer.weight_decay, optimizer.clip) == (
        0.9, 0.95, 1e-8, 0.1, 1.0,
    )  # fmt: skip
    assert recipe.positions_per_step == 16 * context and recipe.tokenizer == "gpt2" and recipe.vocabulary == 50_257


@pytest.mark.parametrize("name", [*recipe_names(), *tier_names()])
def test_a_recipe_survives_its_file(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    path = tmp_path / "mine.toml"
    path.write_text(to_toml(recipe.as_tree()))
    assert Recipe.from_tree(read_toml(path)) == load_recipe(str(path)) == recipe


def test_settings_are_applied_left_to_right() -> None:
    recipe = apply_settings(
        load_recipe("basic"),
        ["batch.rows=8", "batch.layout=padded", 'evaluation.prompts=["One day"]', "schedule.peak = 1e-3",
         "batch.rows=4", "checkpoint.every=10", "model.tied=false", "optimizer.clip=2"],
    )  # fmt: skip
    assert (recipe.batch.rows, recipe.batch.layout, recipe.schedule.peak) == (4, "padded", 1e-3)
    assert recipe.evaluation.prompts == ("One day",) and recipe.checkpoint.every == 10
    assert recipe.model.tied is False and recipe.optimizer.clip == 2.0
    assert recipe.model.layers == 4 and load_recipe("basic").batch.rows == 16


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("model.widht=64", 'unknown recipe field "model.widht"; did you mean "model.width"?'),
        ("rows=8", 'unknown recipe field "rows"; did you mean "batch.rows"?'),
        ("warmup=10", 'unknown recipe field "warmup"; did you mean "schedule.warmup"?'),
        ("batch=8", 'unknown recipe field "batch"; did you mean "batch.rows"?'),
        ("batch.rows", "--set batch.rows: write it as key=value"),
        ("steps=0", 'recipe field "steps": input should be greater than or equal to 1, got 0'),
        ("steps=ten", "recipe field \"steps\": input should be a valid integer, got 'ten'"),
        ("batch.rows=2.5", 'recipe field "batch.rows": input should be a valid integer, got 2.5'),
        ("batch.layout=paked", "did you mean \"packed\"?"),
        ("schedule.peak=-1", "greater than 0, got -1"),
        ("schedule.peak=nan", "finite number"),
        ("optimizer.beta2=1.0", "less than 1, got 1.0"),
        ("model.heads=3", "model.width 128 is not a multiple of model.heads 3; set model.head_width"),
        ("model.kv_heads=3", "model.heads 4 is not a multiple of model.kv_heads 3"),
        ("tokenizer=bpe:many", "such as bpe:8192"),
    ],
)  # fmt: skip
def test_an_impossible_setting_is_one_line_with_the_remedy(setting: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        apply_settings(load_recipe("basic"), [setting])
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["model.positions=rope", "model.head_width=33"], "needs an even head width, and this one is 33"),
        (["batch.layout=padded", "batch.end_of_text=false"], "use batch.layout=packed"),
    ],
)
def test_contradictions_are_told(settings: list[str], message: str) -> None:
    with pytest.raises(InputError) as error:
        apply_settings(load_recipe("basic"), settings)
    assert message in str(error.value)


def test_a_file_with_a_misspelt_key_names_it_before_the_one_it_leaves_missing() -> None:
    tree = load_recipe("basic").as_tree()
    for wrong, right in (("stps", "steps"), ("modle", "model")):
        broken = {wrong if key == right else key: value for key, value in tree.items()}
        with pytest.raises(InputError, match=f'unknown recipe field "{wrong}"; did you mean "{right}"'):
            Recipe.from_tree(broken)
    with pytest.raises(InputError, match='the recipe has no "steps"'):
        Recipe.from_tree({key: value for key, value in tree.items() if key != "steps"})
    with pytest.raises(InputError, match='recipe field "model"'):
        Recipe.from_tree(tree | {"model": 3})
    with pytest.raises(InputError, match=r"write it as a table, \[model\]"):
        set_key({"model": 3}, "model.width", 64)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("basc", 'did you mean "basic"'),
        ("basic/packd", 'did you mean "packed"'),
        ("basics/packed", 'did you mean "basic/packed"'),
        ("nowhere.toml", "nowhere.toml does not exist"),
        ("", "unknown recipe"),
        ("../basic", "unknown recipe"),
    ],
)
def test_an_unknown_recipe_names_the_nearest(name: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        load_recipe(name)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_file_that_is_no_toml_is_told(tmp_path: Path) -> None:
    for content, message in ((b"steps = ", "is not valid TOML"), (b"\xff\xfe", "cannot be read")):
        (tmp_path / "x.toml").write_bytes(content)
        with pytest.raises(InputError, match=message) as error:
            load_recipe(str(tmp_path / "x.toml"))
        assert "\n" not in str(error.value)


def test_steps_carry_warmup_and_evaluations_with_them() -> None:
    recipe = load_recipe("basic")  # 15,000 steps, warmup 1,000, evaluated every 500
    short = with_steps(recipe, 3_000)
    assert (short.steps, short.schedule.warmup, short.evaluation.every) == (3_000, 200, 100)
    assert short.checkpoint == recipe.checkpoint
    long = with_steps(recipe, 30_000)
    assert (long.schedule.warmup, long.evaluation.every) == (2_000, 1_000)
    tiny = with_steps(recipe, 10)
    assert (tiny.schedule.warmup, tiny.evaluation.every) == (1, 20)
    assert with_steps(recipe, 15_000) == recipe
    kept = with_steps(recipe, 3_000, keep=frozenset({"schedule.warmup", "evaluation.every"}))
    assert (kept.schedule.warmup, kept.evaluation.every) == (1_000, 500)


def test_scaling_respects_who_evaluates_often_and_who_never_warms_up() -> None:
    recipe = load_recipe("basic").with_values(**{"steps": 100, "evaluation.every": 5, "schedule.warmup": 0})
    assert with_steps(recipe, 100) == recipe
    assert with_steps(recipe, 50).evaluation.every == 5
    assert with_steps(recipe, 50).schedule.warmup == 0
    assert with_steps(recipe, 1_000).evaluation.every == 50


def test_recipes_are_frozen() -> None:
    recipe = load_recipe("basic")
    with pytest.raises(ValueError, match="frozen"):
        recipe.model.width = 3  # type: ignore[misc]
    changed = recipe.with_values(**{"model.width": 64})
    assert (changed.model.width, recipe.model.width) == (64, 128)
    with pytest.raises(InputError, match="unknown recipe field"):
        recipe.with_values(width_of_model=3)


def test_every_field_of_every_section_can_be_set() -> None:
    keys = known_keys()
    assert {"checkpoint.every", "name", "steps", "schedule.unit", "evaluation.prompts", "compute.compile"} <= set(keys)
    recipe = load_recipe("basic")
    tree = recipe.model_dump(mode="json")  # as_tree leaves out what is the user's own where nothing is
    for key in keys:
        *sections, last = key.split(".")
        value = tree
        for section in sections:
            value = value[section]
        assert recipe.with_values(**{key: value[last]}) == recipe


def test_values_of_settings() -> None:
    texts = ("3", "1e-3", "true", '"a b"', "[1, 2]", "packed", "off", "gpt2-compact")
    values = [parse_value(text) for text in texts]
    assert values == [3, 1e-3, True, "a b", [1, 2], "packed", "off", "gpt2-compact"]


def test_the_nearest_word() -> None:
    assert nearest("widht", ["width", "height"]) == '; did you mean "width"?'
    assert nearest("zzz", ["b", "a"]) == "; known: a, b"
    assert nearest("zzz", []) == ""


def test_the_vocabulary_comes_from_the_tokenizer_unless_it_is_set() -> None:
    recipe = load_recipe("basic")
    for tokenizer, vocabulary in (("gpt2", 50_257), ("bpe:8192", 8_192), ("gpt2-compact", 0)):
        assert recipe.with_values(tokenizer=tokenizer).vocabulary == vocabulary
        assert recipe.with_values(**{"tokenizer": tokenizer, "model.vocabulary": 7}).vocabulary == 7
