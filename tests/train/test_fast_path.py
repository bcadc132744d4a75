"""The fast path (bfloat16 products, compiled) trains what the plain path (float32, uncompiled) trains."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.train.tiny import data_in, tiny
from torch._dynamo.utils import counters

from fabula.data.batches import BatchSource
from fabula.data.dataset import Dataset
from fabula.recipe.schema import Recipe
from fabula.train.engine import Engine, build_engine

STEPS, LAST = 200, 50
SHAPES = {
    "gpt": {},
    "modern": {
        "model__positions": "rope", "model__norm": "rmsnorm_bare", "model__qk_norm": True, "model__tied": False,
        "model__feed_forward": "swiglu", "model__value_embeddings": True, "model__logit_cap": 15.0,
    },
}  # fmt: skip
COMPILED = pytest.param("on", marks=pytest.mark.slow)


def recipe_of(shape: str, precision: str, compiled: str, **values: object) -> Recipe:
    values = SHAPES[shape] | {"model__layers": 2, "model__width": 32, "steps": STEPS} | values
    return tiny(compute__precision=precision, compute__compile=compiled, **values)


def engine_and_source(recipe: Recipe, data: Dataset, seed: int) -> tuple[Engine, BatchSource]:
    batch = recipe.batch
    source = BatchSource(
        data, layout=batch.layout, rows=batch.rows, accumulation=1, context=recipe.model.context, seed=seed
    )
    return build_engine(recipe, data.tokenizer.vocabulary, seed), source


def gradients(recipe: Recipe, data: Dataset) -> dict[str, torch.Tensor]:
    """Of the first step, before clipping."""
    engine, source = engine_and_source(recipe.with_values(**{"optimizer.clip": 0.0}), data, seed=0)
    engine.step(source, 1)
    return {name: each.grad for name, each in engine.model.named_parameters() if each.grad is not None}


@pytest.mark.parametrize("compiled", ["off", COMPILED])
@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_agree_to_what_bfloat16_allows(shape: str, compiled: str, grammar_folder: Path) -> None:
    data = data_in(grammar_folder)
    plain = gradients(recipe_of(shape, "float32", "off"), data)
    fast = gradients(recipe_of(shape, "bfloat16", compiled), data)
    assert plain.keys() == fast.keys() and len(plain) > 10
    for name, expected in plain.items():
        error = float((fast[name] - expected).norm() / expected.norm())
        # Between a weight and the loss lie about ten products, each of whose factors is rounded, by 2^-9 on average;
        # errors of independent roundings add up as their squares: 2^-9 sqrt(20) is 0.009. ReLU has a step in its slope:
        # where rounding moves its input over zero, all of a gradient comes or goes.
        before_relu = shape == "gpt" and ("feed_forward.up" in name or "feed_forward_norm" in name)
        assert error < (0.1 if before_relu else 0.02), (name, error)
        assert fast[name].dtype == torch.float32, "gradients reach the master weights in their type"


def losses(recipe: Recipe, data: Dataset, seed: int) -> np.ndarray:
    engine, source = engine_and_source(recipe, data, seed)
    return np.array([engine.step(source, step).loss for step in range(1, STEPS + 1)])


@pytest.mark.slow
@pytest.mark.parametrize("compiled", ["off", "on"])
@pytest.mark.parametrize("shape", ["gpt", "modern"])
def test_losses_of_200_steps_differ_by_less_than_seeds_do(shape: str, compiled: str, grammar_folder: Path) -> None:
    data = data_in(grammar_folder)
    plain = [losses(recipe_of(shape, "float32", "off"), data, seed) for seed in range(4)]
    fast = losses(recipe_of(shape, "bfloat16", compiled), data, 0)
    assert not np.array_equal(fast, plain[0]), "bfloat16 was not used"
    assert plain[0][-LAST:].mean() < plain[0][0] - 1.0, "nothing was learnt"
    noise = np.std([each[-LAST:].mean() for each in plain], ddof=1)
    assert abs(fast[-LAST:].mean() - plain[0][-LAST:].mean()) < noise
    # And step by step, where two seeds differ in their batches as well.
    between_seeds = np.mean([np.abs(other - plain[0]).mean() for other in plain[1:]])
    assert np.abs(fast - plain[0]).mean() < 0.2 * between_seeds


@pytest.mark.slow
def test_a_second_process_would_take_over_the_compiled_graph(
    grammar_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """build_engine forgets what this process has compiled, so that its second engine stands for a second process."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    data, recipe = data_in(grammar_folder), recipe_of("gpt", "bfloat16", "on")
    found = []
    for _ in range(2):
        counters.clear()
        engine, source = engine_and_source(recipe, data, seed=0)
        assert engine.choices["compiled"].value == "kernels and graph"
        engine.step(source, 1)
        found.append(dict(counters["aot_autograd"]))
    assert found[0].get("autograd_cache_miss") == 1 and found[1].get("autograd_cache_hit") == 1
