"""`fabula train`: one run."""

import math
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fabula.cli.display import Display
    from fabula.recipe.schema import Recipe
    from fabula.text.prepared import PreparedData
    from fabula.train.loop import StartingPoint, Training


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
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Initial weights, order of the stories, completions; 0 unless you say otherwise."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run in --out where its latest checkpoint stands.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be trained and how long it takes; write nothing.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Do not train a recipe that the lint warns of.")] = False,
    init_from: Annotated[
        Path | None,
        typer.Option(help="Start from the weights of a Hugging Face folder, whose shape takes the recipe's place."),
    ] = None,
) -> None:
    """Train one model. Give the same recipe, seed and data twice, and the records are the same but for times."""
    from fabula.cli.display import Display
    from fabula.cli.typed import typed
    from fabula.errors import InputError
    from fabula.record.reader import read_run
    from fabula.text.prepared import open_prepared
    from fabula.train.loop import TrainingFailed, check_origin, prepare_training, resume_run, start_run, stored_recipe

    chosen = _recipe(recipe, set_, steps, minutes)
    if resume:
        if steps is not None or minutes is not None or set_ or init_from is not None:
            raise InputError(
                "a run is resumed with its own recipe and weights; leave out --steps, --minutes, --set and --init-from"
            )
        info, stored = read_run(out).info, stored_recipe(out)
        if stored.name != chosen.name:
            raise InputError(f"{out} was made with the recipe {stored.name}, not {chosen.name}; give that name")
        chosen = stored
    elif out.exists() and any(out.iterdir() if out.is_dir() else [out]):
        raise InputError(f"{out} already exists and is not empty; choose another --out, or continue with --resume")
    elif not (parent := next(each for each in out.absolute().parents if each.exists())).is_dir():
        raise InputError(f"{parent} is a file, so {out} cannot be a folder; choose another --out")
    prepared = open_prepared(data, chosen.tokenizer)
    next_command = (
        f"next: fabula generate {shlex.quote(str(out))} --prompt 'Once upon a time', "
        f"or fabula report {shlex.quote(str(out))} --out report.html"
    )
    if resume:
        check_origin(out, info, prepared, seed)
        seed = info["seed"]
        if info.get("status") == "finished":
            print(f"{out} is finished already", file=sys.stderr)
            print(next_command)
            return
    keep = frozenset(setting.partition("=")[0].strip() for setting in set_)
    start = None
    if init_from is not None:
        chosen, start = _starting_point(chosen, init_from, prepared)
    with Display() as display:
        if strict and minutes is None:  # with minutes, the probe has to say first for how long the recipe goes
            _lint(chosen, strict, display)
        training = prepare_training(chosen, prepared, seed or 0, display, minutes, keep, start)
        _lint(training.recipe, strict, display)
        if dry_run:
            _print_plan(training)
            print(f"next: {typed(without='--dry-run')}")
            return
        try:
            status = resume_run(training, out) if resume else start_run(training, out)
        except KeyboardInterrupt:  # the second Ctrl-C; the first one is a wish
            status = "interrupted"
        except TrainingFailed as error:
            display.close()
            print(f"fabula: {error}", file=sys.stderr)
            raise typer.Exit(1) from None
    if status == "interrupted":
        again = shlex.join(["fabula", "train", recipe, "--data", str(data), "--out", str(out), "--resume"])
        print(f"stopped; continue with: {again}", file=sys.stderr)
        raise typer.Exit(130)
    print(next_command)


def _recipe(name: str, settings: list[str], steps: int | None, minutes: float | None) -> "Recipe":
    from fabula.errors import InputError
    from fabula.recipe.presets import apply_settings, load_recipe, with_steps

    given = [
        option
        for option, is_given in (
            ("--steps", steps is not None),
            ("--minutes", minutes is not None),
            ("--set steps", any(setting.partition("=")[0].strip() == "steps" for setting in settings)),
        )
        if is_given
    ]
    if len(given) > 1:
        raise InputError(f"{' and '.join(given)} both say how long to train; give one of them")
    if minutes is not None and not 0 < minutes < math.inf:
        raise InputError(f"--minutes {minutes:g}: give a number above 0")
    chosen = load_recipe(name)
    if steps is not None:
        chosen = with_steps(chosen, steps)
    return apply_settings(chosen, settings)


def _starting_point(recipe: "Recipe", folder: Path, data: "PreparedData") -> "tuple[Recipe, StartingPoint]":
    """The recipe with the shape of the model in `folder`, and that model's weights."""
    from fabula.exchange.reading import check_tokenizer, load_hf
    from fabula.train.loop import StartingPoint

    check_tokenizer(folder, data.tokenizer)
    shape, weights = load_hf(folder)
    rows = len(weights["embedding.weight"])
    return recipe.model_copy(update={"model": shape.model_copy(update={"vocabulary": rows})}), StartingPoint(
        folder, weights
    )


def _lint(recipe: "Recipe", strict: bool, display: "Display") -> None:
    """Say what the plan is warned of before a step is made. Raises InputError for it with `strict`."""
    from fabula.errors import InputError
    from fabula.findings.diagnose import lint

    for finding in lint(recipe).findings:
        if finding.severity in ("warning", "failure"):
            if strict:
                raise InputError(f"{finding.kind}: {finding.sentence} (--strict)")
            display.notice(f"{finding.severity}: {finding.sentence} [{finding.kind}]")


def _print_plan(training: "Training") -> None:
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
    print(f"about {duration(cost.total)}: training {duration(cost.training)}, evaluation {duration(cost.evaluation)}")
