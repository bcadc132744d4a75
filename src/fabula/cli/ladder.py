"""`fabula ladder`: tiers x phases x seeds, and the page that says what made the models better."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer


def ladder(
    name: Annotated[
        str, typer.Argument(metavar="seeds|FILE", help="A built-in ladder, or a .toml file (docs/ladders.md).")
    ],
    data: Annotated[Path, typer.Option(help="A prepared folder (`fabula prepare`).")],
    out: Annotated[Path, typer.Option(help="The ladder's folder: runs, report.html, report.md.")],
    tiers: Annotated[str | None, typer.Option(help="Only these tiers, separated by commas.")] = None,
    phases: Annotated[str | None, typer.Option(help="Only these phases, separated by commas.")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Seeds 0 to N - 1 for every recipe.")] = None,
    scale: Annotated[
        float | None, typer.Option(help="Train for this share of each tier's steps, warmup scaled too.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Runs side by side, sharing the cores.")] = 1,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be trained and how long it takes.")
    ] = False,
) -> None:
    """Train every run of the ladder that is missing, then write the report.

    What is there is kept: an interrupted run is continued, a finished one is not repeated.
    """
    from fabula.errors import InputError
    from fabula.recipe.ladder import load_ladder, plan_runs

    plan = load_ladder(name)
    num_seeds = plan.seeds if seeds is None else seeds
    share = plan.scale if scale is None else scale
    if not share > 0:
        raise InputError(f"--scale {share:g}: give a number above 0, such as 0.02")
    chosen_tiers = _chosen(tiers, list(plan.tiers), "tier")
    chosen_phases = _chosen(phases, [phase.name for phase in plan.phases], "phase")
    planned = plan_runs(plan, chosen_tiers, chosen_phases, num_seeds, share)
    if dry_run:
        _dry_run(planned, data)
        print(f"next: {shlex.join(each for each in ['fabula', *sys.argv[1:]] if each != '--dry-run')}")
        return
    command = shlex.join(["fabula", *sys.argv[1:]])
    page, status = run_ladder(plan, planned, data, out, num_seeds, share, workers, command, out / "report.html")
    if status == "interrupted":
        print(f"stopped; continue with: {command}", file=sys.stderr)
        raise typer.Exit(130)
    print(page)
    print(f"next: open {page} in a browser; or: fabula generate {out / planned[-1].folder}")


def run_ladder(plan, planned, data, out, num_seeds, scale, workers, command, page):  # type: ignore[no-untyped-def]
    """Make what is missing and write the report to `page`. Returns `page` and "finished" or "interrupted"."""
    from fabula.cli.display import Display
    from fabula.ladder.execute import carry_out
    from fabula.ladder.folder import describe, is_finished, open_folder
    from fabula.report import write_report
    from fabula.text.prepared import open_prepared

    prepared = {tokenizer: open_prepared(data, tokenizer) for tokenizer in {run.recipe.tokenizer for run in planned}}
    description = describe(plan, planned, num_seeds, scale, command)
    if (out / "ladder.json").is_file():  # look before writing: a run that does not fit must leave the folder as it was
        missing = [run for run in planned if not is_finished(run, out, prepared[run.recipe.tokenizer])]
        open_folder(out, description)
    else:
        open_folder(out, description)
        missing = list(planned)
    with Display() as display:
        if len(missing) < len(planned):
            display.notice(f"{len(planned) - len(missing)} of {len(planned)} runs are finished already")

        def started(number: int, run) -> None:  # type: ignore[no-untyped-def]
            word = "run" if workers == 1 else "finished"
            display.title = f"{word} {number} of {len(missing)}, seed {run.seed}: "
            if workers > 1:
                display.notice(f"{display.title}{run.recipe.name}")

        statuses = carry_out(missing, data, out, display, started, workers)
    write_report([out], page)
    return page, "interrupted" if "interrupted" in statuses.values() else "finished"


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


def _dry_run(planned, data: Path) -> None:  # type: ignore[no-untyped-def]
    from fabula.cli.curves import sparkline
    from fabula.cli.display import Display, duration
    from fabula.ladder.estimate import probe_tiers
    from fabula.recipe.schedule import learning_rates

    with Display() as display:
        costs = probe_tiers(planned, data, display)
    for cost in costs:
        print(f"{cost.tier}: {cost.num_runs} runs of {cost.steps:,} steps, {cost.positions:,} positions each")
        for run in cost.phases:
            rates = learning_rates(run.recipe)
            print(f"  {run.phase:<10} learning rate {sparkline(rates[1:])} peak {max(rates):g}, last {rates[-1]:g}")
    total = sum(cost.seconds for cost in costs)
    num_positions = sum(cost.positions * cost.num_runs for cost in costs)
    print(f"{len(planned)} runs, {num_positions:,} positions, about {duration(total)} by a probe of each tier")
