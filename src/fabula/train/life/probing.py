"""How long a step of a recipe takes here, found by making a few."""

from collections.abc import Callable

from fabula.data.dataset import Dataset
from fabula.errors import InputError
from fabula.recipe.schema import Recipe
from fabula.train.engine import build_engine, warm_up
from fabula.train.life.layout import source_of
from fabula.train.machine.fits import check_memory, out_of_memory_told


def step_seconds(recipe: Recipe, data: Dataset, notice: Callable[[str], None]) -> float:
    """Seconds of one step, the median of a few, once the step is compiled. `recipe` has its vocabulary."""
    with out_of_memory_told(recipe):
        engine = build_engine(recipe, recipe.vocabulary, seed=0)
        warm_up(engine, source_of(recipe, data, seed=0), notice)
    return engine.step_seconds


def fits_memory(recipe: Recipe) -> bool:
    """Whether a training may fit into what is free."""
    try:
        check_memory([recipe], notice=lambda text: None)
    except InputError:
        return False
    return True
