"""How long a step of a recipe takes here, found by making a few."""

from collections.abc import Callable

from fabula.data.dataset import Dataset
from fabula.errors import InputError
from fabula.recipe.schema import Recipe
from fabula.record.wording import number, plural
from fabula.train.engine import build_engine, warm_up
from fabula.train.life.layout import source_of
from fabula.train.machine.choices import choose_device
from fabula.train.machine.memory.fits import check_memory, out_of_memory_told
from fabula.train.machine.remembered import is_alone, recall, remember


def step_seconds(recipe: Recipe, data: Dataset, notice: Callable[[str], None], anew: bool = False) -> float:
    """Seconds of one step, the median of a few, once the step is compiled; on a processor as they were measured before,
    where no other program disturbs, now or then, unless they are wanted `anew`. `recipe` has its vocabulary."""
    on_processor = choose_device(recipe.compute.device).value == "cpu"
    if on_processor and not anew and (known := recall(recipe)) is not None:
        shape = f"{plural(recipe.model.layers, 'layer')} of width {recipe.model.width}"
        notice(f"{shape}: {number(known.seconds)} s a step, as measured here on {known.day}")
        return known.seconds
    with out_of_memory_told(recipe):
        engine = build_engine(recipe, recipe.vocabulary, seed=0)
        warm_up(engine, source_of(recipe, data, seed=0), notice, evaluates=False)
    if on_processor and is_alone():
        remember(recipe, engine.step_seconds)
    return engine.step_seconds


def fits_memory(recipe: Recipe) -> bool:
    """Whether a training may fit into what is free."""
    try:
        check_memory([recipe], notice=lambda text: None)
    except InputError:
        return False
    return True
