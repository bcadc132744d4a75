"""A run's life: prepared, started, resumed, closed with what it cost. What happens in between is the loop's."""

import datetime
import platform
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

import fabula
from fabula.data.dataset import Dataset
from fabula.errors import InputError
from fabula.model.decoder import Decoder, parameter_count
from fabula.model.own import OwnModel, num_without_embeddings, sources
from fabula.recipe.counts import count_parameters
from fabula.recipe.schema import Recipe
from fabula.recipe.toml import read_toml, to_toml
from fabula.record.checkpoint import set_aside_after
from fabula.record.lock import only_writer
from fabula.record.machine import machine, machines_with
from fabula.record.reader import read_info, read_recipe_toml
from fabula.record.writer import STREAMS, RunWriter
from fabula.score.rulers import make_rulers
from fabula.train.engine import BRIEF, THOROUGH, build_engine, warm_up
from fabula.train.life.checkpoints.resumption import LATEST, From, candidates, first_sound, take_over, tell_resumption
from fabula.train.life.layout import layout_information, source_of
from fabula.train.life.length.estimate import check_fit, estimate, recipe_for_minutes
from fabula.train.life.length.extension import shared
from fabula.train.loop import StartingPoint, Training
from fabula.train.machine.memory.fits import check_memory, check_size, out_of_memory_told
from fabula.train.machine.waiting import waited_seconds
from fabula.train.observer import Observer
from fabula.train.processes.launch import check_rows
from fabula.train.processes.together import ALONE, Together
from fabula.train.update.rates import check_asked, planned_rates


def set_up_training(
    recipe: Recipe,
    data: Dataset,
    seed: int,
    observer: Observer,
    minutes: float | None = None,
    keep: frozenset[str] = frozenset(),
    start: StartingPoint | None = None,
    together: Together = ALONE,
) -> Training:
    """Build everything a run needs and measure how long it will take; nothing is written.

    `recipe.model.vocabulary` is filled in from the data's tokenizer. With `minutes`, the steps are chosen to fit;
    dotted keys in `keep` (what the user set) do not change with them. `start` gives the first weights in place of the
    recipe's initialisation. Of several processes `together`, the first one tells the others what to set up, which wait
    for that (fabula.train.processes.following).

    Raises InputError when recipe and data do not fit each other, or the training does not fit into memory.
    """
    asked, vocabulary = recipe.model.vocabulary, data.tokenizer.vocabulary
    if asked and asked < vocabulary:
        raise InputError(
            f"the recipe's vocabulary ({asked:,}) is smaller than that of {data.folder} "
            f"({data.tokenizer.name}, {vocabulary:,}); leave model.vocabulary at 0"
        )
    recipe = recipe.with_values(**{"model.vocabulary": asked or vocabulary})
    check_fit(recipe, data)
    if together.leads:
        check_memory([recipe], observer.notice, keep, workers=1 if together.sharded else together.on_this_machine)
        check_rows(recipe, together.size)
    if together.several and together.leads:
        together.said(order(recipe, data, seed, minutes, keep, together))
    if recipe.own.schedule:
        check_asked(recipe, keep)
        planned_rates(recipe)  # all that can be wrong with a function of the user's own, before anything else is done
    with out_of_memory_told(recipe):
        source = source_of(recipe, data, seed, together)
        rulers = make_rulers(data, recipe.model.context, recipe.evaluation.split)
        engine = build_engine(recipe, recipe.vocabulary, seed, start.weights if start else None, together)
        warm_up(engine, source, observer.notice, BRIEF if minutes is None else THOROUGH)
    if minutes is not None:
        recipe = recipe_for_minutes(recipe, rulers, engine.step_seconds, minutes, keep)
        check_size(recipe)
        engine.recipe = recipe
    observer.planned(recipe, engine.choices, estimate(recipe, rulers, engine.step_seconds))
    seconds = None if minutes is None else minutes * 60
    return Training(recipe, data, seed, engine, source, rulers, observer, start=start, seconds=seconds)


def order(
    recipe: Recipe, data: Dataset, seed: int, minutes: float | None, keep: frozenset[str], together: Together
) -> dict[str, Any]:
    """What the first process has the others set up."""
    return {
        "recipe": recipe.as_tree(),
        "data": str(data.folder.absolute()),
        "seed": seed,
        "minutes": minutes,
        "keep": sorted(keep),
        "threads": torch.get_num_threads(),
        "sharded": together.sharded,
    }


def run_information(training: Training) -> dict[str, Any]:
    """The content of run.json that is known before the first step."""
    recipe, data, engine = training.recipe, training.data, training.engine
    parameters = _parameters(recipe, engine.model)
    text_hashes, tokenizer_hash = _data_hashes(data)
    return {
        "format": 1,
        "status": "running",
        "recipe": recipe.name,
        "init_from": str(training.start.folder) if training.start else None,
        "seed": training.seed,
        "steps": recipe.steps,
        "parameters": parameters,
        **({"own": sources(recipe)} if recipe.own.named() else {}),
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
        "layout": layout_information(training.source, recipe.steps),
        "device": str(engine.device),
        "threads": torch.get_num_threads(),
        "machines": [machine()],
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


def _parameters(recipe: Recipe, model: Decoder | OwnModel) -> dict[str, int]:
    total = parameter_count(model)
    if isinstance(model, OwnModel):
        return {"total": total, "without_embeddings": num_without_embeddings(model)}
    counts = count_parameters(recipe.model, recipe.vocabulary)
    assert counts.total == total, "the closed form and the model disagree"
    return {"total": counts.total, "without_embeddings": counts.without_embeddings}


def start_run(training: Training, out: Path) -> str:
    """Train from the beginning into the new folder `out`. Returns the final status.

    Raises InputError when `out` already holds something, TrainingFailed when the loss does not stay finite.
    """
    with only_writer(out):
        writer = RunWriter.create(
            out, to_toml(training.recipe.as_tree()), training.data.tokenizer.to_json(), run_information(training)
        )
        take_over(training, None)
        return _carry_out(training, writer)


def stored_recipe(run: Path) -> Recipe:
    """The recipe that a run folder was started with. Raises InputError when `run` is none, or has another one now."""
    read_recipe_toml(run, read_info(run))
    return Recipe.from_tree(read_toml(run / "recipe.toml"))


def check_origin(run: Path, info: Mapping[str, Any], data: Dataset, seed: int | None = None) -> None:
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


def _data_hashes(data: Dataset) -> tuple[dict[str, str], str]:
    """Of the stories, split by split, and of the tokenizer."""
    return {name: facts.text_hash for name, facts in data.manifest.splits.items()}, data.tokenizer.hash


def resume_run(training: Training, out: Path, wanted: From = LATEST) -> str:
    """Continue `out` from its newest sound checkpoint, or the `wanted` one, or from the start where it has none yet. A
    recipe with more steps than the run's own extends it (life/length/extension.py has the rule).

    What is passed over or lost on the way is told, and is an event of the record. Raises InputError when the folder
    belongs to another seed, other stories or another tokenizer, when no checkpoint is sound, or when its first weights
    are nowhere to be found again.
    """
    with only_writer(out):  # from before the checkpoint is read: another writer would go on behind it
        return _carry_out(training, _writer_of_resumed(training, out, wanted))


def checkpoints_for(recipe: Recipe, out: Path, wanted: From) -> list[int]:
    """Steps of the checkpoints from which the run in `out` may go on with `recipe`, its own or a longer one, the first
    choice first."""
    stored = stored_recipe(out)
    found = candidates(out, wanted)
    return found if recipe.steps == stored.steps else shared(found, stored, recipe, out)


def _writer_of_resumed(training: Training, out: Path, wanted: From) -> RunWriter:
    """Bring `training` to where the run in `out` stands."""
    info, new = read_info(out), run_information(training)
    check_origin(out, info, training.data, training.seed)
    before, steps = stored_recipe(out).steps, training.recipe.steps
    found = first_sound(training, out, checkpoints_for(training.recipe, out, wanted))
    take_over(training, found)
    if found is None and info.get("init_from"):
        raise InputError(
            f"{out} started from {info['init_from']} and has no checkpoint yet; start it again with --init-from"
        )
    step = training.progress.step
    aside = set_aside_after(out, step)  # before the record is cut: it never ends before the latest checkpoint
    offsets = found.checkpoint.state["offsets"] if found else dict.fromkeys(STREAMS, 0)
    info |= {name: new[name] for name in ("choices", "versions", "device", "threads")}
    info["machines"] = machines_with(info.get("machines"), machine())
    for name in ("error", "record_hashes"):
        info.pop(name, None)
    hashes = found.checkpoint.state.get("record_hashes") if found else None
    writer = RunWriter.resume(out, info, offsets, step, hashes)
    writer.attempt = training.guard.attempt
    if steps != before:
        layout = layout_information(training.source, steps)
        segments = [*info.get("segments", [{"from_step": 0, "steps": before}]), {"from_step": step, "steps": steps}]
        writer.change_recipe(to_toml(training.recipe.as_tree()), steps=steps, layout=layout, segments=segments)
        writer.event(step, "extended", steps=steps, steps_before=before)
    if step:
        tell_resumption(training, writer, step, found.damaged if found else (), aside)
    return writer


def _carry_out(training: Training, writer: RunWriter) -> str:
    started, waited = time.perf_counter(), waited_seconds()
    with writer, out_of_memory_told(training.recipe):
        status = training.run(writer)
        progress = training.progress
        writer.close(
            status,
            steps_done=progress.step,
            record_hashes=writer.digests(),
            timings={
                "training_seconds": progress.training_seconds,
                "evaluation_seconds": progress.evaluation_seconds,
                "compile_seconds": training.engine.compile_seconds,
                "total_seconds": time.perf_counter() - started,
                "waiting_seconds": None if waited is None else (waited_seconds() or waited) - waited,
            },
        )
    return status
