"""What the rules look at: a record or a recipe, brought to one form.

A rule never asks where a curve came from. Before step 0 the learning-rate curve is the planned one; of a foreign
log, only what it holds is there, and what it cannot say may come as flags.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from fabula.errors import InputError
from fabula.recipe import Recipe
from fabula.recipe.schedule import learning_rates, planned_steps
from fabula.recipe.schema import Schedule
from fabula.record.changes import changes_of, says_what_is_trained_on
from fabula.record.content.columns import Columns
from fabula.record.content.parsing import toml_value
from fabula.record.reader import Run

SAME_RATE = 0.05
"""Of the highest rate: a recorded one that is further from the recipe's is another one."""


@dataclass(frozen=True)
class Flags:
    """What a log cannot say by itself; None: not known, and the rules that need it stay silent."""

    vocabulary: int | None = None
    clip: float | None = None
    """Largest global gradient norm; 0: gradients are not clipped."""
    accumulation: int | None = None
    from_scratch: bool | None = None
    columns: Mapping[str, str] | None = None
    """Canonical name -> its column in the log, where the column's own name does not say it."""


@dataclass(frozen=True)
class Change:
    """A column of the log that says what is trained on changes; `step`: the first with the new value."""

    step: int
    column: str
    before: str
    after: str

    @property
    def told(self) -> str:
        return f"`{self.column}` changes from {self.before} to {self.after}"


@dataclass(frozen=True)
class Curve:
    """Values over steps, both float64 and of equal length, steps rising. Not finite: written as such, not missing."""

    name: str
    steps: np.ndarray
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.steps)

    @cached_property
    def finite(self) -> "Curve":
        keep = np.isfinite(self.values)
        return self if keep.all() else Curve(self.name, self.steps[keep], self.values[keep])

    @property
    def spacing(self) -> float:
        """Steps between two values, typically."""
        return float(np.median(np.diff(self.steps))) if len(self) > 1 else 1.0

    def part(self, first: float, last: float) -> "Curve":
        """The values of the steps first..last, both included."""
        keep = slice(np.searchsorted(self.steps, first, "left"), np.searchsorted(self.steps, last, "right"))
        return Curve(self.name, self.steps[keep], self.values[keep])


NAMES = {
    "val_loss": "validation loss",
    "train_loss": "training loss at the evaluations",
    "loss": "loss of the training batches",
    "grad_norm": "gradient norm",
}


@dataclass(frozen=True)
class Facts:
    """Everything a rule may read. A curve that the record lacks is None."""

    train_loss: Curve | None = None
    """Loss of the batch of each training step."""
    val_loss: Curve | None = None
    val_on_subset: bool = False
    """Whether `val_loss` is that of a fixed subset of the validation stories, as during a training with fabula."""
    final_val_loss: float | None = None
    """Of the full evaluation that ends such a run: what its report ranks. None where there is none."""
    final: dict[str, float] = field(default_factory=dict)
    """That evaluation: column -> finite value."""
    held_train_loss: Curve | None = None
    """Training stories by the validation's protocol, at the evaluations."""
    grad_norm: Curve | None = None
    learning_rate: Curve | None = None
    speed: Curve | None = None
    """Named `tokens_per_second` (higher is faster; of a foreign log, any such rate) or `seconds_per_step`."""
    memory: Curve | None = None
    """In bytes; of a foreign log, in the unit of its column."""
    first_loss: float | None = None
    """Loss before the first update; None where the record begins later."""
    vocabulary: int | None = None
    clip: float | None = None
    accumulation: int | None = None
    from_scratch: bool | None = None
    num_steps: int | None = None
    """Updates the run was to make."""
    planned: bool = False
    """True before step 0: the learning rates are the recipe's, not a record's."""
    recipe: Recipe | None = None
    info: dict[str, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    samples: list[dict[str, Any]] = field(default_factory=list)
    """Lines of samples.jsonl."""
    internals: list[dict[str, Any]] = field(default_factory=list)
    """Lines of internals.jsonl."""
    changes: tuple[Change, ...] = ()
    """Where the data or the phase of a curriculum changes, by a column of the log."""

    @property
    def scope(self) -> Any:
        return "recipe" if self.planned else "run"

    @cached_property
    def planned_rate(self) -> Curve | None:
        """The learning rates without what a guard cut them by after a rollback."""
        curve = self.learning_rate
        cuts = [each for each in self.events if each.get("event") == "rolled_back" and each.get("rate_factor")]
        if curve is None or not cuts:
            return curve
        values = curve.values.copy()
        for cut in cuts:
            held = (curve.steps > cut.get("to_step", 0)) & (curve.steps <= cut.get("until_step", 0))
            values[held] /= float(cut["rate_factor"])
        return Curve(curve.name, curve.steps, values)

    @property
    def schedule(self) -> Schedule | None:
        """The recipe's; None where there is no recipe, and where its rates are made by its maker's own code."""
        return None if self.recipe is None or self.recipe.own.schedule else self.recipe.schedule

    @cached_property
    def follows_recipe(self) -> bool:
        """Whether there is a recipe, and the rates on record are those that it plans."""
        curve = self.planned_rate.finite if self.planned_rate is not None else None
        if self.recipe is None or self.schedule is None or curve is None:
            return self.schedule is not None
        planned = np.interp(curve.steps, list(planned_steps(self.recipe)), learning_rates(self.recipe))
        return bool(np.allclose(curve.values, planned, rtol=0.0, atol=SAME_RATE * float(planned.max())))

    @cached_property
    def loss_curves(self) -> list[Curve]:
        """Every curve in which an instability would show, the validation loss first."""
        curves = [self.val_loss, self.held_train_loss, self.train_loss]
        return [curve for curve in curves if curve is not None and len(curve)]

    def name_of(self, curve: Curve | str) -> str:
        """What a curve is called in a sentence: two losses on training stories need two names."""
        name = curve if isinstance(curve, str) else curve.name
        if name == "train_loss" and not self.info.get("log_format"):
            return "loss on a fixed sample of training stories"
        return NAMES.get(name, name)

    @property
    def last_step(self) -> int:
        return int(max((curve.steps[-1] for curve in self.loss_curves), default=0))


def facts_of_recipe(recipe: Recipe, rates: Mapping[int, float] | None = None) -> Facts:
    """The recipe before step 0, its schedule as the curve of learning rates. A schedule of its maker's own is code,
    which nothing that reads a recipe runs: it has a curve where its `rates` are given."""
    if rates is None and not recipe.own.schedule:
        rates = dict(zip(planned_steps(recipe)[1:], learning_rates(recipe)[1:], strict=True))
    return Facts(
        learning_rate=Curve("learning_rate", np.array([*rates], np.float64), np.array([*rates.values()]))
        if rates
        else None,
        vocabulary=recipe.vocabulary or None,
        clip=recipe.optimizer.clip,
        accumulation=recipe.batch.accumulation,
        from_scratch=True,
        num_steps=recipe.steps,
        planned=True,
        recipe=recipe,
    )


def facts_of_run(run: Run, flags: Flags | None = None) -> Facts:
    """A record, with flags for what it does not hold. A flag wins over the record."""
    flags = flags or Flags()
    recipe = read_recipe(run)
    foreign = is_foreign(run)
    val_loss = held_out_curve(run)
    train_loss = _curve(run.train, "loss", drop_missing=foreign)
    learning_rate = _curve(run.train, "learning_rate", drop_missing=foreign) or _curve(
        run.evals, "learning_rate", drop_missing=True
    )
    vocabulary = recipe.vocabulary if recipe else run.info.get("vocabulary")
    from_scratch = True if recipe and not run.info.get("init_from") else run.info.get("from_scratch")
    train_loss = _unfiltered(train_loss, run, foreign)
    first_loss = _first_loss(_curve(run.evals, "val_loss", drop_missing=foreign), train_loss)
    return Facts(
        train_loss=train_loss,
        val_loss=val_loss,
        val_on_subset="val_loss_subset" in run.evals,
        final_val_loss=_final(run).get("val_loss"),
        final=_final(run),
        held_train_loss=_curve(run.evals, "train_loss", drop_missing=True),
        grad_norm=_curve(run.train, "grad_norm", drop_missing=foreign),
        learning_rate=learning_rate,
        speed=_beside(run, "tokens_per_second") or _beside(run, "seconds_per_step"),
        memory=_beside(run, "memory") or _looked_at(run, "memory_bytes"),
        first_loss=None if run.info.get("steps_are_lines") else first_loss,
        vocabulary=flags.vocabulary or vocabulary or None,
        clip=flags.clip if flags.clip is not None else (recipe.optimizer.clip if recipe else run.info.get("clip")),
        accumulation=flags.accumulation or (recipe.batch.accumulation if recipe else run.info.get("accumulation")),
        from_scratch=flags.from_scratch if flags.from_scratch is not None else from_scratch,
        num_steps=run.info.get("steps") or (recipe.steps if recipe else None),
        recipe=recipe,
        info=run.info,
        events=run.events,
        samples=run.samples,
        internals=run.internals,
        changes=_changes(run),
    )


def _beside(run: Run, name: str) -> Curve | None:
    """A column that stands beside the losses of the steps, or of the evaluations where no step has it."""
    return _curve(run.train, name, drop_missing=True) or _curve(run.evals, name, drop_missing=True)


def _looked_at(run: Run, name: str) -> Curve | None:
    """A number of each look inside. After a rollback the record holds the steps between twice: the later counts."""
    seen = {int(look["step"]): look.get(name) for look in run.internals}
    lines = sorted((step, value) for step, value in seen.items() if isinstance(value, (int, float)))
    return Curve(name, *np.array(lines, float).T) if lines else None


def _changes(run: Run) -> tuple[Change, ...]:
    """What the reader of a foreign log found, which sees columns of text as well; else by the columns themselves."""
    found = run.info.get("changes")
    if found is None:
        columns = {name: values.tolist() for name, values in run.train.items() if says_what_is_trained_on(name)}
        found = changes_of(columns, run.train["step"].tolist())
    return tuple(Change(**each) for each in found)


def is_foreign(run: Run) -> bool:
    """Whether another program wrote the log. Not every line of it holds every value: NaN means that it is missing
    there, and infinity that it was written and is not finite."""
    return "log_format" in run.info


def held_out_curve(run: Run) -> Curve | None:
    """Validation loss on one ruler: the fixed subset's, which is on every line; a foreign log's `val_loss` as it is.

    `val_loss` itself changes its ruler between full and partial evaluations and makes no curve.
    """
    foreign = is_foreign(run)
    if "val_loss_subset" not in run.evals:
        return _curve(run.evals, "val_loss", drop_missing=foreign)
    curve = _curve(run.evals, "val_loss_subset", drop_missing=foreign)
    return None if curve is None else Curve("val_loss", curve.steps, curve.values)


def _unfiltered(loss: Curve | None, run: Run, foreign: bool) -> Curve | None:
    """A loss of exactly 0 beside a gradient norm that is not finite is what a filter of NaN leaves of it."""
    norm = _curve(run.train, "grad_norm", drop_missing=True)  # what was written and is not finite remains
    if not foreign or loss is None or norm is None:
        return loss
    lost = (loss.values == 0.0) & np.isin(loss.steps, norm.steps[~np.isfinite(norm.values)])
    return Curve(loss.name, loss.steps, np.where(lost, np.nan, loss.values)) if lost.any() else loss


def _final(run: Run) -> dict[str, float]:
    """What a full evaluation after the last step measured; empty where there is none, or its loss is not finite."""
    full = run.full_evals()
    if "val_loss" not in full or not len(full["step"]) or full["step"][-1] != run.evals["step"][-1]:
        return {}
    if full["step"][-1] == 0 or not np.isfinite(full["val_loss"][-1]):
        return {}
    return {name: float(values[-1]) for name, values in full.items() if np.isfinite(values[-1])}


def read_recipe(run: Run) -> Recipe | None:
    """The run's recipe, or None for a log without one.

    Raises InputError when recipe.toml is there but is not a recipe.
    """
    if not (run.path / "recipe.toml").is_file():
        return None
    try:
        return Recipe.from_tree(toml_value(run.recipe_toml))
    except ValueError as error:
        raise InputError(f"{run.path / 'recipe.toml'}: {error}") from error


def _curve(columns: Columns, name: str, drop_missing: bool = False) -> Curve | None:
    """A column as a curve. Of a step that was made twice (after a rollback) the later value counts."""
    if name not in columns:
        return None
    steps, values = columns["step"], columns[name]
    if drop_missing:
        keep = ~np.isnan(values)
        steps, values = steps[keep], values[keep]
    if not len(steps):
        return None
    if (np.diff(steps) <= 0).any():
        _, last_first = np.unique(steps[::-1], return_index=True)
        chosen = len(steps) - 1 - last_first
        steps, values = steps[chosen], values[chosen]
    return Curve(name, steps, values)


def _first_loss(val_loss: Curve | None, train_loss: Curve | None) -> float | None:
    """Loss of the untrained model: the evaluation at step 0, or the loss of step 1, which precedes its update."""
    for curve, step in ((val_loss, 0.0), (train_loss, 0.0), (train_loss, 1.0)):
        if curve is not None and len(curve) and curve.steps[0] == step and np.isfinite(curve.values[0]):
            return float(curve.values[0])
    return None
