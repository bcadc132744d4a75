"""`fabula train`: one run."""

from pathlib import Path
from typing import Annotated

import typer


def train(
    recipe: Annotated[
        str, typer.Argument(metavar="TIER[/PHASE]|FILE", help="A preset (`fabula recipes`), or a .toml file.")
    ],
    data: Annotated[Path, typer.Option(help="A prepared folder (`fabula prepare`).")],
    out: Annotated[Path, typer.Option(help="The run folder to write.")],
    set_: Annotated[
        list[str], typer.Option("--set", metavar="KEY=VALUE", help="Change a recipe field, e.g. batch.rows=8.")
    ] = [],  # noqa: B006
    steps: Annotated[
        int | None, typer.Option(min=1, help="Train for N steps; warmup and evaluations keep their share.")
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="Train for about M minutes: a probe fixes the steps.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Initial weights, order of the stories, completions.")] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run in --out where its latest checkpoint stands.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be trained and how long it takes; write nothing.")
    ] = False,
) -> None:
    """Train one model. Give the same recipe, seed and data twice, and the records are the same but for times."""
    from fabula.cli.display import Display
    from fabula.errors import InputError
    from fabula.text.prepared import open_prepared
    from fabula.train.loop import prepare_training, resume_run, start_run, stored_recipe

    chosen = _recipe(recipe, set_, steps, minutes)
    keep = frozenset(setting.partition("=")[0].strip() for setting in set_)
    if resume:
        stored = stored_recipe(out)
        if steps or minutes or set_:
            raise InputError("a run is resumed with its own recipe; leave out --steps, --minutes and --set")
        if stored.name != chosen.name:
            raise InputError(
                f"{out} was started with the recipe {stored.name}, not {chosen.name}; resume it with that name"
            )
        chosen = stored
    elif out.exists() and any(out.iterdir() if out.is_dir() else [out]):
        raise InputError(f"{out} already exists and is not empty; choose another --out, or continue with --resume")
    prepared = open_prepared(data, chosen.tokenizer)
    with Display() as display:
        if resume and _is_finished(out):
            display.notice(f"{out} is finished already")
        else:
            training = prepare_training(chosen, prepared, seed, display, minutes, keep)
            if dry_run:
                display.close()
                _print_plan(training)
                print(f"next: fabula train {recipe} --data {data} --out {out}")
                return
            status = resume_run(training, out) if resume else start_run(training, out)
            if status == "interrupted":
                display.notice(f"stopped; continue with: fabula train {recipe} --data {data} --out {out} --resume")
                raise typer.Exit(130)
    print(f"next: fabula generate {out} --prompt 'Once upon a time', or fabula report {out} --out report.html")


def _recipe(name, settings, steps, minutes):  # type: ignore[no-untyped-def]
    from fabula.errors import InputError
    from fabula.recipe.presets import apply_settings, load_recipe, with_steps

    if steps is not None and minutes is not None:
        raise InputError("give --steps or --minutes, not both")
    if minutes is not None and not minutes > 0:
        raise InputError(f"--minutes {minutes:g}: give a positive number")
    chosen = load_recipe(name)
    if steps is not None:
        chosen = with_steps(chosen, steps)
    return apply_settings(chosen, settings)


def _is_finished(run: Path) -> bool:
    from fabula.record.reader import read_run

    return read_run(run).status == "finished"


def _print_plan(training) -> None:  # type: ignore[no-untyped-def]
    from fabula.cli.curves import sparkline
    from fabula.cli.display import duration
    from fabula.recipe.counts import count_parameters
    from fabula.recipe.schedule import learning_rates
    from fabula.train.plan import estimate

    recipe = training.recipe
    rates = learning_rates(recipe)
    cost = estimate(recipe, training.rulers, training.engine.step_seconds)
    print(f"{recipe.name}: {count_parameters(recipe.model, recipe.vocabulary).total:,} parameters")
    print(f"{recipe.steps:,} steps, {recipe.steps * recipe.positions_per_step:,} positions")
    print(f"learning rate {sparkline(rates[1:])} peak {max(rates):g}, last {rates[-1]:g}")
    print(
        f"about {cost.total / 60:.1f} minutes ({cost.training / 60:.1f} training, {cost.evaluation / 60:.1f} evaluation)"
    )
