"""A training from Python: what needs torch of `fabula.train`."""

import logging
from pathlib import Path
from typing import Any

from fabula.api.making import warn_of
from fabula.data.dataset import Dataset, open_dataset
from fabula.errors import InputError
from fabula.exchange.reading import check_tokenizer, load_hf
from fabula.recipe.presets.files import current_name
from fabula.recipe.schema import Recipe
from fabula.record.reader import read_info
from fabula.train.life.length.extension import with_more_steps
from fabula.train.life.run import check_origin, resume_run, set_up_training, start_run, stored_recipe
from fabula.train.loop import StartingPoint
from fabula.train.machine.memory.fits import check_size
from fabula.train.machine.threads import use_threads
from fabula.train.observer import Observer

log = logging.getLogger("fabula")


class LoggingObserver(Observer):
    """Says what the screen would show to Python's logging."""

    def notice(self, text: str) -> None:
        log.warning(text)

    def evaluated(self, line: dict[str, Any]) -> None:
        log.info("step %s: validation loss %s", line.get("step"), line.get("val_loss"))


def start_with(
    recipe: Recipe,
    out: Path,
    data: Path,
    seed: int,
    minutes: float | None,
    keep: frozenset[str],
    threads: int | None,
    init_from: Path | None,
    strict: bool,
    observer: Observer,
) -> None:
    """Train from the first step into `out`, which must be free."""
    check_free(out)
    prepared = open_dataset(data, recipe.tokenizer)
    use_threads(threads)
    start = None
    if init_from is not None:
        recipe, start = starting_from(recipe, init_from, prepared)
    check_size(recipe)
    if strict and minutes is None:  # with minutes, the probe has to say first for how long the recipe goes
        warn_of(recipe, strict, observer.notice)
    training = set_up_training(recipe, prepared, seed, observer, minutes, keep, start)
    warn_of(training.recipe, strict, observer.notice)
    start_run(training, out)


def check_free(out: Path) -> None:
    """Raise InputError where a run cannot be begun in `out`."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} already exists and is not empty; choose another out, or continue with resume=True")


def starting_from(recipe: Recipe, folder: Path, data: Dataset) -> tuple[Recipe, StartingPoint]:
    """The recipe with the shape of the Hugging Face model in `folder`, and that model's weights."""
    if recipe.own.model:
        raise InputError(
            f"the weights of {folder} are put into fabula's model, and this recipe has one of its own "
            f"({recipe.own.model}); have its function read weights, or leave out own.model"
        )
    check_tokenizer(folder, data.tokenizer)
    shape, weights = load_hf(folder)
    rows = len(weights["embedding.weight"])
    recipe = recipe.model_copy(update={"model": shape.model_copy(update={"vocabulary": rows})})
    return recipe, StartingPoint(folder, weights)


def recipe_stored(run: Path, named: Recipe | None) -> Recipe:
    """The recipe of `run`. Raises InputError where another one was named."""
    stored = stored_recipe(run)
    if named is not None and current_name(stored.name) != current_name(named.name):
        raise InputError(f"{run} was made with the recipe {stored.name}, not {named.name}; give that name")
    return stored


def go_on(
    run: Path,
    data: Path,
    named: Recipe | None,
    steps: int | None,
    seed: int | None,
    threads: int | None,
    strict: bool,
    observer: Observer,
) -> None:
    """Go on with `run` from its newest sound checkpoint, to its end or to more `steps`."""
    if not run.exists() or (run.is_dir() and not any(run.iterdir())):
        raise InputError(f"nothing was saved in {run}, so there is nothing to go on with; leave resume out to begin")
    info, stored = read_info(run), recipe_stored(run, named)
    prepared = open_dataset(data, stored.tokenizer)
    check_origin(run, info, prepared, seed)
    longer = stored if steps is None else with_more_steps(stored, steps, run)
    if longer == stored and info.get("status") == "finished":
        return
    use_threads(threads, info.get("threads"))
    training = set_up_training(longer, prepared, info["seed"], observer)
    warn_of(training.recipe, strict, observer.notice)
    resume_run(training, run)
