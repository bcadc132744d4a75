"""`fabula ladder`: tiers x phases x seeds, and the page that says what made the models better."""

import math
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fabula.cli.screen.display import Display
    from fabula.recipe.ladder import Ladder, PlannedRun


def ladder(
    name: Annotated[
        str, typer.Argument(metavar="seeds|FILE", help="A built-in ladder, or a .toml file (docs/ladders.md).")
    ],
    data: Annotated[
        Path | None,
        typer.Option(help="The stories, as `fabula prepare` wrote them. Without it: the only prepared folder here."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The folder for the runs, report.html and report.md. Without it: runs/ladder-NAME."),
    ] = None,
    tiers: Annotated[str | None, typer.Option(help="Only these tiers (model sizes), separated by commas.")] = None,
    phases: Annotated[
        str | None, typer.Option(help="Only these phases (changes to the recipe), separated by commas.")
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Seeds 0 to N - 1 for every recipe.")] = None,
    scale: Annotated[
        float | None, typer.Option(help="Train for this share of each tier's steps, warmup scaled too.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="Compute on N threads in all. Without it: one for each core.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Runs side by side, sharing the cores.")] = 1,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be trained and how long it takes.")
    ] = False,
) -> None:
    """Train every run of the ladder that is missing, then write the report.

    What is there is kept: an interrupted run is continued, a finished one is not repeated.
    """
    from fabula.cli.defaults import announce, choose_data, ladder_folder, need_torch
    from fabula.cli.screen.typed import as_called, typed
    from fabula.errors import InputError
    from fabula.recipe.ladder import load_ladder, plan_runs

    need_torch()
    plan = load_ladder(name)
    stories, place = choose_data(data), ladder_folder(plan.name, out)
    data, out = Path(stories.value), Path(place.value)
    announce(
        f"ladder {plan.name} on {stories}, {'nothing is written' if dry_run else f'into {place}'}", None, data, None
    )
    num_seeds = plan.seeds if seeds is None else seeds
    share = plan.scale if scale is None else scale
    if not 0 < share < math.inf:
        raise InputError(f"--scale {share:g}: give a number above 0, such as 0.02")
    chosen_tiers = _chosen(tiers, list(plan.tiers), "tier")
    chosen_phases = _chosen(phases, [cell.name for cell in plan.cells], "phase")
    planned = plan_runs(plan, chosen_tiers, chosen_phases, num_seeds, share)
    from fabula.ladder.folder import describe, with_earlier  # loads torch: what can be wrong before it is told before
    from fabula.train.machine.threads import use_threads

    use_threads(threads)
    if dry_run:
        with_earlier(out, describe(plan, planned, num_seeds, share, typed(), workers), plan)
        _dry_run(plan, planned, data, out, workers)
        print(as_called(f"next: {typed(without='--dry-run')}"))
        return
    page = out / "report.html"
    try:
        status = run_ladder(
            plan, planned, data, out, num_seeds=num_seeds, scale=share, workers=workers, command=typed(), page=page
        )
    except KeyboardInterrupt:  # the second Ctrl-C; the first one is a wish
        status = "interrupted"
    if status == "interrupted":
        print(as_called(f"stopped; continue with: {typed()}"), file=sys.stderr)
        raise typer.Exit(130)
    print(page)
    last = shlex.quote(str(out / planned[-1].folder))
    print(as_called(f"next: open {shlex.quote(str(page))} in a browser; or: fabula generate {last}"))
    if status == "failed":
        raise typer.Exit(1)


def run_ladder(
    plan: "Ladder",
    planned: "Sequence[PlannedRun]",
    data: Path,
    out: Path,
    *,
    num_seeds: int,
    scale: float,
    workers: int,
    command: str,
    page: Path,
) -> Literal["finished", "failed", "interrupted"]:
    """Make what is missing and write the report to `page`. "failed": some runs failed, now or earlier; all others are
    made."""
    from fabula.cli.screen.display import Display
    from fabula.ladder.brackets import choose_rates, rates_of
    from fabula.ladder.execute import carry_out
    from fabula.ladder.folder import describe, open_folder, with_earlier
    from fabula.recipe.ladder import plan_runs
    from fabula.record.plural import plural
    from fabula.record.reader import read_run
    from fabula.report import write_report

    # All that can be wrong is found before anything is written; what brackets choose is known only later.
    description = with_earlier(out, describe(plan, planned, num_seeds, scale, command, workers), plan)
    bracketed = any(phase.bracket for phase in plan.phases)
    missing = [] if bracketed else _missing(planned, data, out)
    with Display() as display:
        _check_memory(planned, data, workers, display)
        open_folder(out, description)
        _lint(planned, display)
        if bracketed:
            there = [tier for tier in plan.tiers if Path(tier).stem in description["tiers"]]
            phases = [phase["name"] for phase in description["phases"]]
            choices = choose_rates(plan, there, phases, scale, data, out, display)
            if choices is None:
                return "interrupted"
            open_folder(out, {**description, "brackets": [choice.as_json() for choice in choices]})
            tiers = [tier for tier in there if Path(tier).stem in {run.tier for run in planned}]
            phases = list(dict.fromkeys(run.phase for run in planned))
            planned = plan_runs(plan, tiers, phases, num_seeds, scale, rates_of(choices))
            missing = _missing(planned, data, out)
        if told := _told(missing, planned):
            display.notice(told)

        def started(number: int, run: "PlannedRun") -> None:
            word = "run" if workers == 1 else "done"
            display.title = f"{word} {number} of {len(missing)}, seed {run.seed}: "
            if workers > 1:
                display.notice(f"{display.title}{run.recipe.name}")

        lengths = {(run.tier, run.recipe.steps * run.recipe.positions_per_step) for run in missing}
        display.num_alike = len(missing) if len(lengths) == 1 else 0
        statuses = carry_out(missing, data, out, display, started, workers)
    write_report([out], page)
    if len(statuses) < len(missing) or "interrupted" in statuses.values():
        return "interrupted"
    failed = [run for run in planned if read_run(out / run.folder).status == "failed"]
    if failed:
        names = ", ".join(str(run.folder) for run in failed)
        print(
            f"{len(failed)} of {plural(len(planned), 'run')} failed, and the report says so: {names}", file=sys.stderr
        )
    return "failed" if failed else "finished"


def _lint(planned: "Sequence[PlannedRun]", display: "Display") -> None:
    """Say what each recipe is warned of before a step is made: a ladder may ask what a bad recipe costs."""
    from fabula.findings.diagnosis import lint

    for name, recipe in {run.recipe.name: run.recipe for run in planned}.items():
        for finding in lint(recipe).findings:
            if finding.severity in ("warning", "failure"):
                display.notice(f"{name}: {finding.severity}: {finding.sentence} [{finding.kind}]")


def _check_memory(planned: "Sequence[PlannedRun]", data: Path, workers: int, display: "Display") -> None:
    """Raise InputError for a recipe that does not fit into memory, `workers` of them side by side."""
    from fabula.data.dataset import open_dataset
    from fabula.train.machine.fits import check_memory

    recipes = {run.recipe.name: run.recipe for run in planned}.values()
    words = {recipe.tokenizer: open_dataset(data, recipe.tokenizer).tokenizer.vocabulary for recipe in recipes}
    known = (
        each.with_values(**{"model.vocabulary": each.model.vocabulary or words[each.tokenizer]}) for each in recipes
    )
    check_memory(known, display.notice, workers=workers)


def _missing(planned: "Sequence[PlannedRun]", data: Path, out: Path) -> "list[PlannedRun]":
    """The runs that have no end in `out` yet. Raises InputError when one does not fit its plan or the data."""
    from fabula.data.dataset import open_dataset
    from fabula.ladder.folder import how_it_ended

    prepared = {tokenizer: open_dataset(data, tokenizer) for tokenizer in {run.recipe.tokenizer for run in planned}}
    if not (out / "ladder.json").is_file():
        return list(planned)
    return [run for run in planned if how_it_ended(run, out, prepared[run.recipe.tokenizer]) is None]


def _told(missing: "Sequence[PlannedRun]", planned: "Sequence[PlannedRun]") -> str:
    """How much of the plan is there already; empty where nothing is."""
    there = len(planned) - len(missing)
    return f"{there} of {len(planned)} runs have ended already and are not repeated" if there else ""


def _chosen(wanted: str | None, known: list[str], what: str) -> list[str]:
    from fabula.errors import InputError, nearest

    if wanted is None:
        return known
    names = [name.strip() for name in wanted.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise InputError(f'unknown {what} "{name}"{nearest(name, known)}')
    if not names:
        raise InputError(f"give at least one {what}: {', '.join(known)}")
    return [name for name in known if name in names]


def _dry_run(plan: "Ladder", planned: "Sequence[PlannedRun]", data: Path, out: Path, workers: int) -> None:
    from itertools import groupby

    from fabula.cli.screen.curves import sparkline
    from fabula.cli.screen.display import Display, duration
    from fabula.ladder.estimate import probe_phases
    from fabula.recipe.schedule import learning_rates

    tries = sum(len(phase.bracket) for phase in plan.phases) * len({run.tier for run in planned})
    if tries:
        print(f"before them {tries} runs of seed 0 choose learning rates on tune; the times below are without those")
    missing = list(planned) if tries else _missing(planned, data, out)
    if told := _told(missing, planned):
        print(told)
    with Display() as display:
        _check_memory(planned, data, workers, display)
        _lint(planned, display)
        costs = probe_phases(missing, data, display)
    for tier, phases in groupby(costs, key=lambda cost: cost.run.tier):
        print(tier)
        for cost in phases:
            recipe = cost.run.recipe
            rates = learning_rates(recipe)
            print(
                f"  {cost.run.phase:<10} {cost.num_runs} x {recipe.steps:,} steps, {cost.positions:,} positions each, "
                f"{duration(cost.seconds)} each"
            )
            print(f"  {'':<10} learning rate {sparkline(rates[1:])} peak {max(rates):g}, last {rates[-1]:g}")
    num_positions = sum(cost.num_runs * cost.positions for cost in costs)
    total = sum(cost.num_runs * cost.seconds for cost in costs)
    print(f"{len(missing)} runs, {num_positions:,} positions, about {duration(total)} by a probe")
