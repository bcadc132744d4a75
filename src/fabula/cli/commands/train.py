"""`fabula train`: one run."""

import shlex
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fabula.cli.making.processes import follow_torchrun, together_with
from fabula.cli.making.tracking import TRACK, tracked
from fabula.cli.making.watching import HOOK, NOTIFY, WATCH, watched
from fabula.cli.screen.signals import stopped_code
from fabula.cli.screen.terminal import show
from fabula.cli.screen.typed import as_called

if TYPE_CHECKING:
    from collections.abc import Callable

    from fabula.cli.screen.display import Display
    from fabula.recipe.schema import Recipe
    from fabula.train.life.checkpoints.resumption import From
    from fabula.train.loop import Training
    from fabula.train.processes.together import Together


VERIFY = "Check every file of --data against its checksum, also those that were checked before."


def verify_data(folder: Path) -> None:
    """Say that all of a prepared folder is what was prepared. Raises InputError where it is not."""
    from fabula.data.dataset import verify

    show(f"{folder}: all {verify(folder)} files are what was prepared", stderr=True)


def train(
    recipe: Annotated[
        str | None,
        typer.Argument(
            metavar="[TIER[/PHASE]|FILE]",
            help="What to train: a name that `fabula recipes` lists, a .toml file, or `plan`, what `fabula plan` would "
            "choose. Without it: the recommended one.",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="The stories, as `fabula prepare` wrote them. Without it: the only prepared folder here."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder to write the run to. Without it: runs/RECIPE-1, or the next number.")
    ] = None,
    set_: Annotated[
        list[str],
        typer.Option("--set", metavar="KEY=VALUE", help="Change a recipe field, e.g. batch.rows=8; may be repeated."),
    ] = [],  # noqa: B006
    steps: Annotated[
        int | None,
        typer.Option(
            min=1, help="Train for N steps; with --resume: make the run so long. Without it: as the recipe says."
        ),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Train for about M minutes: a few steps are timed, and the number follows.")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Random numbers for first weights, order of stories, sample stories; 0 if not given."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in --out from its latest sound checkpoint.")
    ] = False,
    step: Annotated[int | None, typer.Option(min=1, help="With --resume: from the checkpoint of this step.")] = None,
    best: Annotated[
        bool, typer.Option("--best", help="With --resume: from the checkpoint with the lowest validation loss.")
    ] = False,
    threads: Annotated[
        int | None, typer.Option(help="Compute on N threads, in each process. Without it: one for each core.")
    ] = None,
    processes: Annotated[
        int | None, typer.Option(help="Share the rows of each step among N processes here, and the threads as well.")
    ] = None,
    shard: Annotated[
        bool, typer.Option("--shard", help="With several processes: each keeps a part of the model, not all of it.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be trained and how long it takes; write nothing.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Do not train a recipe that there is a warning about.")
    ] = False,
    init_from: Annotated[
        Path | None,
        typer.Option(help="Start from the model in a Hugging Face folder; its shape replaces the recipe's."),
    ] = None,
    verify: Annotated[bool, typer.Option("--verify", help=VERIFY)] = False,
    watch: Annotated[bool, typer.Option("--watch", help=WATCH)] = False,
    notify: Annotated[str | None, typer.Option(metavar="URL", envvar=HOOK, help=NOTIFY)] = None,
    track: Annotated[list[str], typer.Option(metavar="NAME", help=TRACK)] = [],  # noqa: B006
) -> None:
    """Train one model, and keep all that was measured in a run folder.

    The same recipe, seed and stories on one machine give the same record again, but for its times.
    """
    from fabula.cli.named.defaults import (
        Chosen,
        announce,
        called_today,
        choose_data,
        choose_recipe,
        data_of,
        is_free,
        need_torch,
        new_run_folder,
    )  # fmt: skip
    from fabula.errors import InputError
    from fabula.record.lock import only_writer
    from fabula.train.processes.launch import torchrun_rank, torchrun_restarts

    need_torch()
    rank, (restarts, most_restarts) = torchrun_rank(), torchrun_restarts()
    if rank:
        raise typer.Exit(follow_torchrun())
    if rank == 0 and most_restarts and out is None:
        raise InputError("torchrun may start this run again (--max-restarts), and must find it again; give --out")
    if restarts and out is not None and (out / "run.json").is_file():
        show(f"started again by torchrun: going on with {out}", stderr=True)
        resume, step, best, steps, minutes, set_, init_from = True, None, False, None, None, [], None
    if (step is not None or best) and not resume:
        raise InputError(f"{'--best' if best else '--step'} says where --resume goes on; give --resume too")
    if step is not None and best:
        raise InputError("give --step or --best, not both")
    recipe = called_today(recipe) if recipe is not None else None
    if resume:
        if minutes is not None or set_ or init_from is not None:
            raise InputError(
                "a run is resumed with its own recipe and weights; leave out --minutes, --set and --init-from "
                "(more --steps make it longer)"
            )
        if out is None:
            raise InputError("--resume goes on with the run in --out; give that folder")
        if is_free(out):
            raise InputError(
                f"nothing was saved in {out}, so there is nothing to go on with; leave --resume out to begin"
            )
        folder, stories, needed = out, choose_data(data or data_of(out)), list[str]()
        if (folder / "run.json").is_file():
            announce(f"going on with {folder} on {stories}", recipe, Path(stories.value), None)
    else:
        stories = choose_data(data)
        kind, needed = (Chosen(recipe), []) if recipe is not None else choose_recipe(Path(stories.value))
        place = Chosen(str(out)) if out is not None else new_run_folder(kind.value)
        recipe, folder = kind.value, Path(place.value)
        written = "nothing is written" if dry_run else f"into {place}"
        announce(f"{kind} on {stories}, {written}", recipe, Path(stories.value), folder)
        if not is_free(folder):
            raise InputError(
                f"{folder} already exists and is not empty; choose another --out, or continue with --resume"
            )
        if not (parent := next(each for each in folder.absolute().parents if each.exists())).is_dir():
            raise InputError(f"{parent} is a file, so {folder} cannot be a folder; choose another --out")
    if verify:
        verify_data(Path(stories.value))
    from fabula.api.making import recipe_of  # loads what takes time: the first line is told before
    from fabula.api.planning.wish import wish_of_training
    from fabula.recipe.presets.files import planned_family

    chosen, wish = None, None
    family = None if recipe is None else planned_family(recipe)
    if family is not None and not resume:
        wish = wish_of_training((each.partition("=")[0].strip() for each in set_), steps, minutes, init_from, "--")
        if processes is not None:
            raise InputError(
                "a plan is made for one process; leave out --processes, or plan, --out, and train that file"
            )
        chosen = recipe_of(family, set_, None, minutes, dashes="--")  # its size is planned below
    elif recipe is not None and family is None:
        chosen = recipe_of(recipe, [*needed, *set_], None if resume else steps, minutes, dashes="--")
    try:
        with (
            watched(folder, watch, notify, dry_run) as begin_watching,
            tracked(folder, track, dry_run) as begin_tracking,
            nullcontext() if dry_run else only_writer(folder),
            together_with(processes, shard, chosen) as together,
        ):

            def begin() -> None:
                begin_watching()
                begin_tracking()

            where = Path(stories.value), folder
            if resume:
                from fabula.train.life.checkpoints.resumption import From

                _resume(chosen, *where, From(step, best), steps, seed, threads, together, dry_run, strict, begin)
            else:
                assert chosen is not None, "only a run that goes on has its recipe elsewhere"
                if family is not None and wish is not None:
                    from fabula.cli.plans import planned_recipe

                    planned = planned_recipe(wish, family, stories.value, threads)
                    chosen = recipe_of(planned, set_, None, minutes, dashes="--")
                keep = frozenset(setting.partition("=")[0].strip() for setting in set_)
                _start(chosen, *where, seed or 0, minutes, threads, together, keep, init_from, dry_run, strict, begin)
    except (
        KeyboardInterrupt
    ):  # while the model is built or compiled; once steps are made, `_carry_out` knows what to say
        show("\nstopped before the first step; nothing was written", stderr=True)
        raise typer.Exit(stopped_code()) from None


def _start(
    recipe: "Recipe",
    data: Path,
    out: Path,
    seed: int,
    minutes: float | None,
    threads: int | None,
    together: "Together | None",
    keep: frozenset[str],
    init_from: Path | None,
    dry_run: bool,
    strict: bool,
    begin: "Callable[[], None]",
) -> None:
    """Train from the first step; `begin` is called when nothing can refuse it any more."""
    from fabula.data.dataset import open_dataset

    prepared = open_dataset(data, recipe.tokenizer)  # what can be wrong here is told before torch is loaded
    from fabula.api.making import warn_of
    from fabula.api.training import starting_from
    from fabula.cli.screen.display import Display
    from fabula.train.life.run import set_up_training, start_run
    from fabula.train.machine.memory.fits import check_size
    from fabula.train.machine.threads import use_threads
    from fabula.train.processes.together import ALONE

    together = together or ALONE
    use_threads(threads, processes=together.sharing_threads)

    start = None
    if init_from is not None:
        recipe, start = starting_from(recipe, init_from, prepared)
    check_size(recipe)
    with Display(begin) as display:
        if strict and minutes is None:  # with minutes, the probe has to say first for how long the recipe goes
            warn_of(recipe, strict, display.notice, dashes="--")
        display.preparing(recipe)
        training = set_up_training(recipe, prepared, seed, display, minutes, keep, start, together)
        warn_of(training.recipe, strict, display.notice, dashes="--")
        if dry_run:
            _print_plan(training)
            return
        _carry_out(training, out, start_run, display)


def _resume(
    recipe: "Recipe | None",
    data: Path,
    out: Path,
    wanted: "From",
    steps: int | None,
    seed: int | None,
    threads: int | None,
    together: "Together | None",
    dry_run: bool,
    strict: bool,
    begin: "Callable[[], None]",
) -> None:
    """Go on with the run in `out`; `recipe` is the one that was named, if one was."""
    from fabula.data.dataset import open_dataset
    from fabula.record.reader import read_info, read_run

    info = read_info(out)
    from fabula.api.making import warn_of
    from fabula.api.training import recipe_stored
    from fabula.cli.screen.display import Display
    from fabula.train.life.length.extension import with_more_steps
    from fabula.train.life.run import check_origin, checkpoints_for, resume_run, set_up_training
    from fabula.train.machine.threads import use_threads
    from fabula.train.processes.together import ALONE, processes_of

    together = together or ALONE
    stored = recipe_stored(out, recipe)
    prepared = open_dataset(data, stored.tokenizer)
    check_origin(out, info, prepared, seed)
    longer = stored if steps is None else with_more_steps(stored, steps, out)
    # What is not there is told before anything is built.
    places = checkpoints_for(longer, out, wanted) if wanted.chosen or longer != stored else []
    if longer == stored and not wanted.chosen and info.get("status") == "finished":
        read_run(out)
        show(f"{out} is finished already", stderr=True)
        _print_outcome(out)
        return
    as_before = info.get("threads") if processes_of(info) == together.size else None
    use_threads(threads, as_before, together.sharing_threads)
    with Display(begin) as display:
        if longer != stored:
            display.notice(_extension(stored, longer, places[0] if places else 0))
        display.preparing(longer)
        training = set_up_training(longer, prepared, info["seed"], display, together=together)
        warn_of(training.recipe, strict, display.notice, dashes="--")
        if dry_run:
            _print_plan(training)
            return
        _carry_out(training, out, partial(resume_run, wanted=wanted), display)


def _extension(stored: "Recipe", longer: "Recipe", start: int) -> str:
    """What becomes of a run that is made longer."""
    place = f"from the checkpoint of step {start:,}" if start else "from its beginning"
    how = "at the same rate"
    if stored.own.schedule:
        how = f"up to which {stored.own.schedule} has the same rates for both lengths"
    elif stored.schedule.kind == "warmdown":
        how = "before its learning rate fell, and at its peak"
    return (
        f"made longer, {stored.steps:,} to {longer.steps:,} steps: on {place}, {how}; what came after it is set aside"
    )


def _carry_out(training: "Training", out: Path, run: "Callable[[Training, Path], str]", display: "Display") -> None:
    """Train to the end and say what came out, or how it ended and what to do."""
    from fabula.cli.screen.terminal import tell
    from fabula.train.loop import TrainingFailed

    try:
        status = run(training, out)
    except KeyboardInterrupt:  # the second Ctrl-C; the first one is a wish
        status = "interrupted"
    except TrainingFailed as error:
        display.close()
        tell(f"fabula: the training failed: {error}", stderr=True)
        raise typer.Exit(1) from None
    display.close()
    if training.lost is not None:
        tell(f"fabula: {training.lost}", stderr=True)
    if status == "interrupted":
        again = shlex.join(["fabula", "train", "--data", str(training.data.folder), "--out", str(out), "--resume"])
        show(as_called(f"stopped; continue with: {again}"), stderr=True)
        raise typer.Exit(stopped_code() if training.lost is None else 1)
    _print_outcome(out)


def _print_outcome(out: Path) -> None:
    from fabula.cli.making.outcome import outcome
    from fabula.cli.screen.terminal import tell
    from fabula.record.reader import read_info

    for sentence in outcome(out):
        tell(as_called(sentence))
    quoted = shlex.quote(str(out))
    trust = " --trust" if "model" in (read_info(out).get("own") or {}) else ""
    ask = f"fabula generate {quoted}{trust} --prompt 'Once upon a time'"
    told = f"next: {ask}, or fabula report {quoted} --out report.html"
    show(as_called(told))


def _print_plan(training: "Training") -> None:
    from fabula.cli.plans import expectation_told
    from fabula.cli.screen.typed import typed
    from fabula.model.decoder import parameter_count
    from fabula.record.wording import duration_text, plural
    from fabula.train.life.length.estimate import estimate
    from fabula.train.update.rates import rates_line

    recipe = training.recipe
    cost = estimate(recipe, training.rulers, training.engine.step_seconds)
    show(f"{recipe.name}: {parameter_count(training.engine.model):,} parameters")
    show(f"{plural(recipe.steps, 'step')}, {recipe.steps * recipe.positions_per_step:,} positions")
    if recipe.guard.policy != "skip":
        show(f"guard: {recipe.guard.policy} where a step is not finite or the loss rises and stays up")
    show(rates_line(recipe))
    show(
        f"about {duration_text(cost.total)}: training {duration_text(cost.training)}, "
        f"evaluation {duration_text(cost.evaluation)}"
    )
    if (expected := expectation_told(recipe, training.data)) is not None:
        show(expected)
    show(as_called(f"next: {typed(without='--dry-run')}"))
