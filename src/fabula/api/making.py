"""`fabula.prepare` and `fabula.train`: stories to tokens, tokens to a run."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fabula.api.diagnosing import Run, read
from fabula.api.paths import Where, need_torch, path_of
from fabula.api.planning import planned_for
from fabula.api.planning.wish import wish_of_training
from fabula.api.reading_recipe import recipe_reading_data
from fabula.errors import InputError
from fabula.findings.diagnosis import lint
from fabula.recipe.presets.by_name import apply_settings, load_recipe
from fabula.recipe.presets.files import planned_family
from fabula.recipe.scaling import with_steps
from fabula.recipe.schema import Recipe
from fabula.record.lock import only_writer

if TYPE_CHECKING:
    from fabula.data.prepare.passes import ProgressDisplay
    from fabula.data.prepare.preparation import PreparationSummary
    from fabula.train.observer import Observer

log = logging.getLogger("fabula")
"""What the commands show on the screen goes here, for those who want it."""


def prepare(
    source: Where,
    out: Where | None = None,
    *,
    tokenizer: str = "bpe:8192",
    validation: Where | float | None = None,
    test: float | None = None,
    limit: int | None = None,
    split_on: str | None = None,
    text_key: str | None = None,
    progress: "ProgressDisplay | None" = None,
) -> "PreparationSummary":
    """Read the stories of `source` (`"builtin"`, a file, a folder, a data set of the hub), split them, turn them into
    tokens, and write a prepared folder. The arguments are the options of `fabula prepare`; what was made is in
    `.folder`, `.manifest` and `.tokenization`.

    Raises InputError, and leaves nothing behind, for anything wrong with these.
    """
    from fabula.data.prepare.preparation import prepare as prepare_folder  # spares what only reads a run the tokenizers

    return prepare_folder(
        str(source),
        None if out is None else path_of(out),
        tokenizer=tokenizer,
        validation=None if validation is None else str(validation),
        test=test,
        limit=limit,
        split_on=split_on,
        text_key=text_key,
        progress=progress,
    )


def train(
    recipe: str | Recipe | None = None,
    *,
    data: Where,
    out: Where,
    set: Mapping[str, Any] | None = None,
    steps: int | None = None,
    minutes: float | None = None,
    seed: int | None = None,
    resume: bool = False,
    threads: int | None = None,
    strict: bool = False,
    init_from: Where | None = None,
    observer: "Observer | None" = None,
) -> Run:
    """Train one model into the folder `out`, and read its record. `recipe`: a name, a .toml file, a Recipe, or "plan"
    (what `fabula.plan` chooses for the `minutes`; "plan/modern-portable": in that family); left out, the recommended
    one, or the first that reads these tokens. `set` changes fields of it (`{"batch.rows": 8}`); with `resume` the run
    in `out` goes on, with its own recipe. The arguments are the options of `fabula train`; `observer` is told of each
    step. A run that Ctrl-C ends is `interrupted`, and can be resumed.

    Raises InputError for anything wrong with these, and TrainingFailed where the loss does not stay finite.
    """
    need_torch()
    from fabula.api.training import LoggingObserver, check_free, go_on, start_with  # spares what only reads a run torch

    folder, run = path_of(data), path_of(out)
    watching = observer if observer is not None else LoggingObserver()
    with only_writer(run):
        if resume:
            if minutes is not None or set or init_from is not None:
                raise InputError("a run is resumed with its own recipe and weights; leave out minutes, set, init_from")
            named = recipe if isinstance(recipe, Recipe) else _named(recipe)
            go_on(run, folder, named, steps, seed, threads, strict, watching)
        else:
            settings, keep = dict(set or {}), frozenset(set or ())
            family = planned_family(recipe) if isinstance(recipe, str) else None
            if family is not None:
                check_free(run)
                wish = wish_of_training(settings, steps, minutes, init_from)
                recipe_of(family, settings, None, minutes)  # what is wrong with the settings is told before
                recipe = planned_for(wish, family, folder, (), threads, watching.notice).recipe
            elif recipe is None:
                reads = recipe_reading_data(folder)
                recipe, settings = reads.name, {**reads.settings, **settings}
            chosen = recipe_of(recipe, settings, steps, minutes)
            start = None if init_from is None else path_of(init_from)
            start_with(chosen, run, folder, seed or 0, minutes, keep, threads, start, strict, watching)
    return read(run)


def _named(recipe: str | None) -> Recipe | None:
    """The recipe of that name; None where none is named, or one that is planned for the run."""
    return None if recipe is None or planned_family(recipe) is not None else load_recipe(recipe)


def recipe_of(
    recipe: str | Recipe,
    settings: Mapping[str, Any] | Sequence[str],
    steps: int | None,
    minutes: float | None,
    dashes: str = "",
) -> Recipe:
    """`settings`: values, or as they are typed. Raises InputError for a name that is none, a field that is none, and
    for two lengths at once or one that is none; `dashes` stands before the names of options there."""
    fields = settings if isinstance(settings, Mapping) else [each.partition("=")[0].strip() for each in settings]
    given = [f"{dashes}{name}" for name, is_given in (("steps", steps is not None), ("minutes", minutes is not None),
                                                     ("set steps", "steps" in fields)) if is_given]  # fmt: skip
    if len(given) > 1:
        raise InputError(f"{' and '.join(given)} both say how long to train; give one of them")
    if minutes is not None and not 0 < minutes < math.inf:
        raise InputError(f"{dashes}minutes {minutes:g}: give a number above 0")
    chosen = load_recipe(recipe) if isinstance(recipe, str) else recipe
    chosen = chosen if steps is None else with_steps(chosen, steps)
    return chosen.with_values(**settings) if isinstance(settings, Mapping) else apply_settings(chosen, [*settings])


def warn_of(recipe: Recipe, strict: bool, say: Callable[[str], None], dashes: str = "") -> None:
    """Say what the plan is warned of before a step is made. Raises InputError for it with `strict`."""
    from fabula.train.update.rates import planned_rates  # torch, which `fabula.prepare` is spared

    for finding in lint(recipe, planned_rates(recipe)).findings:
        if finding.severity in ("warning", "failure"):
            if strict:
                raise InputError(f"{finding.kind}: {finding.sentence} ({dashes}strict)")
            say(f"{finding.severity}: {finding.sentence} [{finding.kind}]")
