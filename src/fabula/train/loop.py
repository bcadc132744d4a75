"""Making a run: from a recipe, a prepared folder and a seed to a finished run folder."""

import datetime
import math
import platform
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor

import fabula
from fabula.errors import InputError
from fabula.model.decoder import parameter_count
from fabula.recipe.counts import count_parameters
from fabula.recipe.schema import Recipe
from fabula.recipe.toml import read_toml, to_toml
from fabula.record.checkpoint import checkpoint_steps, read_checkpoint, remove_old_checkpoints
from fabula.record.plural import plural
from fabula.record.reader import read_run
from fabula.record.writer import STREAMS, RunWriter
from fabula.score.completions import complete_prompts
from fabula.score.held_out import evaluate
from fabula.score.known_stories import KnownStories, know_stories
from fabula.score.rulers import Rulers, make_rulers
from fabula.text.batches import BatchSource
from fabula.text.prepared import PreparedData
from fabula.train import state
from fabula.train.engine import Engine, build_engine, warm_up
from fabula.train.fits import check_memory, check_size
from fabula.train.observer import Observer
from fabula.train.plan import check_fit, estimate, recipe_for_minutes
from fabula.train.waiting import waited_seconds

FINAL_SAMPLE_TOKENS = 120
MOST_SKIPPED = 20
"""Steps skipped in a row after which a run has failed: with AdamW's memory of 1 / (1 - beta2) = 20 steps, what is
not finite by then does not come back by waiting."""
MOST_SKIPPED_AT_THE_END = 3
"""Steps skipped in a row, up to the last one, after which a run has failed: one batch may be bad, three different ones
are not."""


@dataclass
class Progress:
    """How far a run is: the numbers that a checkpoint keeps beside the tensors."""

    step: int = 0
    tokens: int = 0
    positions: int = 0
    training_seconds: float = 0.0
    evaluation_seconds: float = 0.0
    skipped_in_a_row: int = 0
    best_step: int = 0
    best_loss: float | None = None


class TrainingFailed(RuntimeError):
    """The run cannot go on; its record says why."""

    def __repr__(self) -> str:  # what run.json keeps, and the report tells
        return str(self)


@dataclass(frozen=True)
class StartingPoint:
    """Weights of another model to start from, and where they came from."""

    folder: Path
    weights: Mapping[str, Tensor]


@dataclass
class Training:
    """One run in the making. `run` is the loop; every other method is one thing the loop does."""

    recipe: Recipe
    data: PreparedData
    seed: int
    engine: Engine
    source: BatchSource
    rulers: Rulers
    observer: Observer
    progress: Progress = field(default_factory=Progress)
    start: StartingPoint | None = None
    last_losses: list[float] = field(default_factory=list)
    """What the last evaluation measured."""

    def run(self, writer: RunWriter) -> str:
        """Train to the last step, or until the observer wants to stop. Returns the run's final status.

        Raises TrainingFailed when too many steps in a row were not finite, or what came out is not.
        """
        self.observer.begun(self.progress.step)
        if self.progress.step == 0:
            writer.event(0, "started")
            self.evaluate(writer, full=True)
        while self.progress.step < self.recipe.steps:
            self.update(writer)
            step = self.progress.step
            last = step == self.recipe.steps
            if last or step % self.recipe.evaluation.every == 0:
                self.evaluate(writer, full=last)
            if last:
                self.check_end(writer)
            stopping = not last and self.observer.stopping()
            if stopping or self.has_checkpoint(step):
                self.check_weights(writer)
            if last or stopping:
                writer.event(step, "finished" if last else "interrupted")
            if stopping or self.has_checkpoint(step):
                self.save(writer)
            if stopping:
                return "interrupted"
        return "finished"

    def has_checkpoint(self, step: int) -> bool:
        """Whether the recipe asks for a checkpoint after update `step`."""
        every = self.recipe.checkpoint.every
        return step == self.recipe.steps or (every > 0 and step > 0 and step % every == 0)

    def update(self, writer: RunWriter) -> None:
        """One optimizer update and its line."""
        progress = self.progress
        started = time.perf_counter()
        step = progress.step + 1
        result = self.engine.step(self.source, step)
        seconds = time.perf_counter() - started
        progress.step = step
        progress.tokens += result.num_tokens
        progress.positions += self.recipe.positions_per_step
        progress.training_seconds += seconds
        line = {
            "step": step,
            "tokens": progress.tokens,
            "positions": progress.positions,
            "loss": result.loss,
            "grad_norm": result.grad_norm,
            "learning_rate": self.engine.learning_rate(step),
            "seconds": progress.training_seconds,
            "tokens_per_second": result.num_tokens / seconds,
        }
        writer.train(**line)
        self.observer.stepped(line)
        if result.applied:
            progress.skipped_in_a_row = 0
            return
        progress.skipped_in_a_row += 1
        writer.event(step, "batch_skipped", reason="loss or gradient is not finite", in_a_row=progress.skipped_in_a_row)
        self.observer.notice(f"step {step}: loss or gradient is not finite; no weight was changed")
        if progress.skipped_in_a_row >= MOST_SKIPPED:
            self.fail(writer, f"{MOST_SKIPPED} steps in a row were not finite")

    def check_end(self, writer: RunWriter) -> None:
        """Raise TrainingFailed where a run has made all its steps and ends in nothing: a loss that is not finite, or
        steps that changed no weight."""
        skipped = self.progress.skipped_in_a_row
        if not all(map(math.isfinite, self.last_losses)):
            self.fail(writer, "the last evaluation is not finite")
        if skipped >= min(MOST_SKIPPED_AT_THE_END, self.recipe.steps):
            self.fail(writer, f"the last {plural(skipped, 'step')} changed no weight: loss or gradient was not finite")

    def check_weights(self, writer: RunWriter) -> None:
        """Raise TrainingFailed where a weight is not finite: no later step brings it back, so that a checkpoint of it
        is of no use."""
        if not all(bool(each.isfinite().all()) for each in self.engine.model.parameters()):
            self.fail(writer, f"the weights after step {self.progress.step:,} are not finite")

    def fail(self, writer: RunWriter, reason: str) -> NoReturn:
        """End the run as failed, and say what to change."""
        progress = self.progress
        writer.event(progress.step, "failed", reason=reason)
        never = progress.skipped_in_a_row == progress.step
        advice = "lower initialization.std" if never else "lower schedule.peak or lengthen schedule.warmup"
        kept = progress.best_loss is not None and progress.best_step in checkpoint_steps(writer.folder)
        best = f"; the best checkpoint is that of step {progress.best_step:,}" if kept else ""
        raise TrainingFailed(f"{reason}; {advice}{best}")

    def evaluate(self, writer: RunWriter, full: bool) -> None:
        """Score by the yardstick and complete the prompts; their time is not training time."""
        progress = self.progress
        started = time.perf_counter()
        eot = self.data.tokenizer.eot
        tell = self.observer.evaluating
        fields, stories = evaluate(self.engine.token_losses, self.rulers, eot, self.engine.device, full, tell)
        if progress.step == self.recipe.steps:
            for story in stories:
                writer.stories(step=progress.step, **story)
        loss = fields["val_loss_subset"]
        assert loss is not None, "every evaluation scores the subset"
        self.last_losses = [each for each in fields.values() if each is not None]
        finite = all(map(math.isfinite, self.last_losses))
        samples = self.sample(writer) if finite else []  # without finite logits there is nothing to choose from
        seconds = time.perf_counter() - started
        progress.evaluation_seconds += seconds
        line = {
            "step": progress.step,
            "tokens": progress.tokens,
            "positions": progress.positions,
            **fields,
            "full": full,
            "seconds": progress.training_seconds,
            "evaluation_seconds": seconds,
        }
        writer.evaluation(**line)
        self.observer.evaluated(line)
        for sample in samples:
            self.observer.sampled(sample)
        if finite:
            self.note_best(loss)

    def note_best(self, loss: float) -> None:
        """Remember the best step among those that can be gone back to."""
        progress = self.progress
        if not self.has_checkpoint(progress.step):
            return
        if progress.best_loss is None or loss < progress.best_loss:
            progress.best_loss, progress.best_step = loss, progress.step

    def sample(self, writer: RunWriter) -> list[dict[str, Any]]:
        """Complete the first prompt; after the last step all of them, at length. Returns the lines of the record."""
        evaluation = self.recipe.evaluation
        if not evaluation.sample_tokens or not evaluation.prompts:
            return []
        final = self.progress.step == self.recipe.steps
        prompts = evaluation.prompts if final else evaluation.prompts[:1]
        num_tokens = FINAL_SAMPLE_TOKENS if final else evaluation.sample_tokens
        model, tokenizer = self.engine.model, self.data.tokenizer
        completions = complete_prompts(model, tokenizer, prompts, num_tokens, self.seed, self.known_stories)
        lines = [{"step": self.progress.step, **each, "final": final} for each in completions]
        for line in lines:
            writer.sample(**line)
        return lines

    @cached_property
    def known_stories(self) -> KnownStories:
        return know_stories(self.data)

    def save(self, writer: RunWriter) -> None:
        """Write a checkpoint that remembers where the record stood, then tidy up the older ones."""
        engine = self.engine
        stored = {
            "progress": asdict(self.progress),
            "offsets": writer.offsets(),
            "tokenizer_hash": self.data.tokenizer.hash,
        }
        state.save(writer.folder, self.progress.step, engine.model, engine.optimizer, stored)
        remove_old_checkpoints(writer.folder, self.recipe.checkpoint.keep, also={self.progress.best_step})


def prepare_training(
    recipe: Recipe,
    data: PreparedData,
    seed: int,
    observer: Observer,
    minutes: float | None = None,
    keep: frozenset[str] = frozenset(),
    start: StartingPoint | None = None,
) -> Training:
    """Build everything a run needs and measure how long it will take; nothing is written.

    `recipe.model.vocabulary` is filled in from the data's tokenizer. With `minutes`, the steps are chosen to fit;
    dotted keys in `keep` (what the user set) do not change with them. `start` gives the first weights in place of the
    recipe's initialisation.

    Raises InputError when recipe and data do not fit each other, or the training does not fit into memory.
    """
    vocabulary = data.tokenizer.vocabulary
    if recipe.vocabulary and recipe.vocabulary < vocabulary:
        raise InputError(
            f"the recipe's vocabulary ({recipe.vocabulary:,}) is smaller than that of {data.folder} "
            f"({data.tokenizer.name}, {vocabulary:,}); leave model.vocabulary at 0"
        )
    recipe = recipe.with_values(**{"model.vocabulary": recipe.vocabulary or vocabulary})
    check_fit(recipe, data)
    check_memory([recipe], observer.notice, keep)
    source = BatchSource(
        data, layout=recipe.batch.layout, rows=recipe.batch.rows, accumulation=recipe.batch.accumulation,
        context=recipe.model.context, seed=seed, end_of_text=recipe.batch.end_of_text,
        hidden_tokens=recipe.batch.hidden_tokens,
    )  # fmt: skip
    rulers = make_rulers(data, recipe.model.context, recipe.evaluation.split)
    engine = build_engine(recipe, recipe.vocabulary, seed, start.weights if start else None)
    warm_up(engine, source, observer.notice)
    if minutes is not None:
        recipe = recipe_for_minutes(recipe, rulers, engine.step_seconds, minutes, keep)
        check_size(recipe)
        engine.recipe = recipe
    observer.planned(recipe, engine.choices, estimate(recipe, rulers, engine.step_seconds))
    return Training(recipe, data, seed, engine, source, rulers, observer, start=start)


def run_information(training: Training) -> dict[str, Any]:
    """The content of run.json that is known before the first step."""
    recipe, data, engine = training.recipe, training.data, training.engine
    counts = count_parameters(recipe.model, recipe.vocabulary)
    assert counts.total == parameter_count(engine.model), "the closed form and the model disagree"
    layout = training.source.statistics(recipe.steps)
    text_hashes, tokenizer_hash = _data_hashes(data)
    return {
        "format": 1,
        "status": "running",
        "recipe": recipe.name,
        "init_from": str(training.start.folder) if training.start else None,
        "seed": training.seed,
        "steps": recipe.steps,
        "parameters": {"total": counts.total, "without_embeddings": counts.without_embeddings},
        "data": {
            "path": str(data.folder),
            "source": data.manifest.source,
            "tokenizer": data.tokenizer.name,
            "tokenizer_hash": tokenizer_hash,
            "text_hashes": text_hashes,
            "entropy_floor": data.entropy_floor(),
            "end_of_text": recipe.batch.end_of_text,
        },
        "rulers": training.rulers.hashes,
        "layout": {
            "positions": layout.positions,
            "padding_share": layout.padding_share,
            "truncated_share": layout.story_tokens_cut_share,
            "distinct_story_tokens": layout.distinct_story_tokens,
            "epochs": layout.epochs,
        },
        "device": str(engine.device),
        "threads": torch.get_num_threads(),
        "versions": {
            "fabula": fabula.__version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
            "platform": platform.platform(),
        },
        "choices": {name: asdict(choice) for name, choice in engine.choices.items()},
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def start_run(training: Training, out: Path) -> str:
    """Train from the beginning into the new folder `out`. Returns the final status.

    Raises InputError when `out` already holds something, TrainingFailed when the loss does not stay finite.
    """
    writer = RunWriter.create(
        out, to_toml(training.recipe.as_tree()), training.data.tokenizer.to_json(), run_information(training)
    )
    return _carry_out(training, writer)


def stored_recipe(run: Path) -> Recipe:
    """The recipe that a run folder was started with. Raises InputError when `run` is none."""
    read_run(run)
    return Recipe.from_tree(read_toml(run / "recipe.toml"))


def check_origin(run: Path, info: Mapping[str, Any], data: PreparedData, seed: int | None = None) -> None:
    """Raise InputError unless the run in the folder `run`, whose run.json holds `info`, was made with these stories,
    this tokenizer and, where one is given, this seed."""
    text_hashes, tokenizer_hash = _data_hashes(data)
    try:
        stored_seed = info["seed"]
        same = {
            "other stories": info["data"]["text_hashes"] == text_hashes,
            "another tokenizer": info["data"]["tokenizer_hash"] == tokenizer_hash,
        }
    except (KeyError, TypeError) as error:
        raise InputError(f"{run / 'run.json'} lacks fields of a run ({error!r}); the run folder is damaged") from error
    if seed not in (None, stored_seed):
        raise InputError(f"{run} was made with seed {stored_seed}, not {seed}; give that one, or choose another --out")
    for what, agrees in same.items():
        if not agrees:
            raise InputError(
                f"{run} was made with {what} than {data.folder} holds; give the --data it was made with, "
                "or choose another --out"
            )


def _data_hashes(data: PreparedData) -> tuple[dict[str, str], str]:
    """Of the stories, split by split, and of the tokenizer."""
    return {name: facts.text_hash for name, facts in data.manifest.splits.items()}, data.tokenizer.hash


def resume_run(training: Training, out: Path) -> str:
    """Continue `out` from its latest checkpoint, or from the start where it has none yet.

    Raises InputError when the folder belongs to another seed, other stories or another tokenizer, when its latest
    checkpoint is damaged or was not written by a training, or when its first weights are nowhere to be found again.
    """
    info, new = read_run(out).info, run_information(training)
    check_origin(out, info, training.data, training.seed)
    offsets = dict.fromkeys(STREAMS, 0)
    if checkpoint_steps(out):
        checkpoint = read_checkpoint(out)
        if not {"progress", "offsets"} <= checkpoint.state.keys():
            raise InputError(f"{checkpoint.folder} was not written by a training, so no training can go on from it")
        state.load(checkpoint, training.engine.model, training.engine.optimizer)
        training.progress = Progress(**checkpoint.state["progress"])
        offsets = checkpoint.state["offsets"]
    elif info.get("init_from"):
        raise InputError(
            f"{out} started from {info['init_from']} and has no checkpoint yet; start it again with --init-from"
        )
    info |= {name: new[name] for name in ("choices", "versions", "device", "threads")}
    info.pop("error", None)
    writer = RunWriter.resume(out, info, offsets)
    if training.progress.step:
        writer.event(training.progress.step, "resumed")
    return _carry_out(training, writer)


def _carry_out(training: Training, writer: RunWriter) -> str:
    started, waited = time.perf_counter(), waited_seconds()
    with writer:
        status = training.run(writer)
        progress = training.progress
        writer.close(
            status,
            steps_done=progress.step,
            timings={
                "training_seconds": progress.training_seconds,
                "evaluation_seconds": progress.evaluation_seconds,
                "compile_seconds": training.engine.compile_seconds,
                "total_seconds": time.perf_counter() - started,
                "waiting_seconds": None if waited is None else (waited_seconds() or waited) - waited,
            },
        )
    return status
