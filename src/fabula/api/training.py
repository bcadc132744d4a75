"""A training from Python: what needs torch of `fabula.train`."""

import logging
from pathlib import Path
from typing import Any

from fabula.data.dataset import open_dataset
from fabula.errors import InputError
from fabula.exchange.reading import check_tokenizer, load_hf
from fabula.recipe.schema import Recipe
from fabula.record.reader import read_info
from fabula.train.life.extension import with_more_steps
from fabula.train.life.run import check_origin, resume_run, set_up_training, start_run, stored_recipe
from fabula.train.loop import StartingPoint
from fabula.train.machine.fits import check_size
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
    observer: Observer,
) -> None:
    """Train from the first step into `out`, which must be free."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} already exists and is not empty; choose another out, or continue with resume=True")
    prepared = open_dataset(data, recipe.tokenizer)
    use_threads(threads)
    start = None
    if init_from is not None:
        check_tokenizer(init_from, prepared.tokenizer)
        shape, weights = load_hf(init_from)
        rows = len(weights["embedding.weight"])
        recipe = recipe.model_copy(update={"model": shape.model_copy(update={"vocabulary": rows})})
        start = StartingPoint(init_from, weights)
    check_size(recipe)
    start_run(set_up_training(recipe, prepared, seed, observer, minutes, keep, start), out)


def go_on(run: Path, data: Path, steps: int | None, seed: int | None, threads: int | None, observer: Observer) -> None:
    """Go on with `run` from its newest sound checkpoint, to its end or to more `steps`."""
    info, stored = read_info(run), stored_recipe(run)
    prepared = open_dataset(data, stored.tokenizer)
    check_origin(run, info, prepared, seed)
    longer = stored if steps is None else with_more_steps(stored, steps, run)
    if longer == stored and info.get("status") == "finished":
        return
    use_threads(threads, info.get("threads"))
    resume_run(set_up_training(longer, prepared, info["seed"], observer), run)
