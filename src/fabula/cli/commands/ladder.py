"""`fabula ladder`: tiers x phases x seeds, and the page that says what made the models better."""

import math
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fabula.cli.commands.train import VERIFY, verify_data
from fabula.cli.making.tracking import TRACK, tracked
from fabula.cli.making.watching import HOOK, NOTIFY, WATCH, watched
from fabula.cli.screen.signals import stopped_code
from fabula.cli.screen.terminal import show

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fabula.cli.screen.display import Display
    from fabula.ladder.make import Order
    from fabula.recipe.ladder import PlannedRun


def ladder(
    name: Annotated[
        str, typer.Argument(metavar="classic|FILE", help="A built-in ladder, or a .toml file (docs/ladders.md).")
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
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Seeds 0 to N - 1 for every recipe; with --until-told, to begin with.")
    ] = None,
    until_told: Annotated[
        bool, typer.Option("--until-told", help="More seeds where they decide something, until every question is told.")
    ] = False,
    detect: Annotated[
        float | None,
        typer.Option(metavar="NATS", help="With --until-told: effects shown to be smaller need no more seeds."),
    ] = None,
    budget: Annotated[
        float | None, typer.Option(metavar="HOURS", help="With --until-told: stop before more than this is spent.")
    ] = None,
    scale: Annotated[
        float | None, typer.Option(help="Train for this share of each tier's steps, warmup scaled too.")
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(help="Compute on N threads in all (with --on: in each run). Without it: one for each core."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Runs side by side, sharing the cores; with --on: at most so many.", show_default="1"),
    ] = None,
    on: Annotated[
        str | None,
        typer.Option(
            metavar="ray[:ADDRESS]|slurm",
            help="Make the runs by Ray or Slurm, on all their machines (docs/ladders.md).",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be trained, how long it takes, and what it can tell.")
    ] = False,
    freeze: Annotated[
        bool, typer.Option("--freeze", help="Only write the plan, with its hash, before the first run.")
    ] = False,
    noise_from: Annotated[
        list[Path] | None,
        typer.Option(metavar="PATH", help="With --dry-run: runs that show how far seeds end apart. May be repeated."),
    ] = None,
    verify: Annotated[bool, typer.Option("--verify", help=VERIFY)] = False,
    watch: Annotated[bool, typer.Option("--watch", help=WATCH)] = False,
    notify: Annotated[str | None, typer.Option(metavar="URL", envvar=HOOK, help=NOTIFY)] = None,
    track: Annotated[list[str], typer.Option(metavar="NAME", help=TRACK)] = [],  # noqa: B006
) -> None:
    """Train every run of the ladder that is missing, then write the report.

    What is there is kept: an interrupted run is continued, a finished one is not repeated.
    """
    from fabula.cli.making.growing import go_on, growing, with_seeds
    from fabula.cli.named.defaults import announce, as_begun, called_today, choose_data, ladder_folder, need_torch
    from fabula.cli.screen.can_tell import noise_of, tell_what_it_can_tell
    from fabula.cli.screen.typed import as_called, typed
    from fabula.errors import InputError
    from fabula.ladder.fleet.place import place_of
    from fabula.recipe.ladder import load_ladder, plan_runs
    from fabula.study.planning.next_seeds import plan_words

    need_torch()
    elsewhere = place_of(on) if on is not None else None
    plan = load_ladder(called_today(name))
    stories, place = choose_data(data), ladder_folder(plan.name, out)
    data, out = Path(stories.value), Path(place.value)
    announce(
        f"ladder {plan.name} on {stories}, {'nothing is written' if dry_run else f'into {place}'}", None, data, None
    )
    num_seeds = plan.seeds if seeds is None else seeds
    share = plan.scale if scale is None else scale
    if not 0 < share < math.inf:
        raise InputError(f"--scale {share:g}: give a number above 0, such as 0.02")
    if noise_from and not dry_run:
        raise InputError("--noise-from says what a ladder can tell before it is made; add --dry-run, or leave it out")
    tiers = ",".join(called_today(tier.strip()) for tier in tiers.split(",")) if tiers is not None else None
    chosen_tiers = _chosen(tiers, list(plan.tiers), "tier")
    chosen_phases = _chosen(phases, [cell.name for cell in plan.cells], "phase")
    plan = plan.model_copy(update={"tiers": tuple(as_begun(out, plan.tiers))})
    tiers_begun = as_begun(out, chosen_tiers)
    grows = growing(out, tiers_begun, chosen_phases, num_seeds, until_told, detect, budget)
    num_seeds = max(grows.now.values()) if grows else num_seeds
    planned = plan_runs(plan, tiers_begun, chosen_phases, num_seeds, share)
    if verify:
        verify_data(data)
    from fabula.ladder.make import Order  # loads torch: what can be wrong before it is told before
    from fabula.train.machine.threads import use_threads

    use_threads(threads if elsewhere is None else None)  # elsewhere they are those of each run
    order = Order(plan, planned, data, out, num_seeds, share, workers or 1, typed(), None, elsewhere, threads, workers)
    order = with_seeds(order, grows) if grows else order
    if dry_run:
        with tracked(out, track, only_planned=True):
            order.description()
        noise = noise_of(order, noise_from or [])
        _dry_run(order)
        tell_what_it_can_tell(order, noise)
        if grows:
            show(f"it grows: {plan_words(grows)}")
        show(as_called(f"next: {typed(without='--dry-run')}"))
        return
    if freeze:
        _freeze(order, plan_words(grows) if grows else "")
        show(as_called(f"next: {typed(without='--freeze')}"))
        return
    page = out / "report.html"
    with (
        watched(out, watch, notify, only_planned=False) as begin_watching,
        tracked(out, track, only_planned=False) as begin_tracking,
    ):

        def begin() -> None:
            begin_watching()
            begin_tracking()

        status = make_and_report(order, page, go_on if grows else None, begin)
    if status == "interrupted":
        show(as_called(f"stopped; continue with: {typed()}"), stderr=True)
        raise typer.Exit(stopped_code())
    show(page)
    last = shlex.quote(str(out / planned[-1].folder))
    show(as_called(f"next: open {shlex.quote(str(page))} in a browser; or: fabula generate {last}"))
    if status == "failed":
        raise typer.Exit(1)


def _freeze(order: "Order", growth: str) -> None:
    """Write the plan, and say it. `growth`: how it grows, in words; empty for a fixed number of seeds."""
    from fabula.cli.screen.can_tell import questions
    from fabula.cli.screen.display import Display
    from fabula.ladder.freeze import freeze, refuse_late
    from fabula.ladder.make import check_order
    from fabula.record.ladders.frozen import PLAN_FILE
    from fabula.record.lock import only_writer
    from fabula.record.wording import plural
    from fabula.study.inference.contrasts import across_tiers
    from fabula.study.planning.frozen import ANALYSIS, question_text

    refuse_late(order.out)
    asked = questions(order)
    told = [question_text(each) for each in (*(one for some in asked.values() for one in some), *across_tiers(asked))]
    with only_writer(order.out), Display() as display:
        check_order(order, display)
        _lint(order.planned, display)
        plan = freeze(order, told, ANALYSIS, growth)
    show(order.out / PLAN_FILE)
    show(f"frozen at {plan['frozen']}: {plural(len(told), 'question')}, {plural(len(order.planned), 'run')}")
    show(f"hash {plan['hash']}; whoever is given it now can check later that the plan is this one")


def make_and_report(
    order: "Order",
    page: Path,
    go_on: "Callable[[Order, Display], Order | None] | None" = None,
    begin: "Callable[[], None]" = lambda: None,
) -> Literal["finished", "failed", "interrupted"]:
    """Make what is missing, with a display, and write the report to `page`. `go_on` says what to make after that, seen
    from what is there; None: nothing. `begin` is called once nobody else can write there."""
    from fabula.cli.screen.display import Display
    from fabula.ladder.make import check_order, make_ladder
    from fabula.record.lock import only_writer
    from fabula.record.wording import plural
    from fabula.report import write_report

    try:
        with only_writer(order.out), Display() as display:
            check_order(order, display)
            _lint(order.planned, display)
            begin()

            def started(number: int, run: "PlannedRun", missing: "Sequence[PlannedRun]") -> None:
                lengths = {(run.tier, run.recipe.steps * run.recipe.positions_per_step) for run in missing}
                display.num_alike = len(missing) if len(lengths) == 1 else 0
                here = order.workers == 1 and order.place is None
                display.title = f"{'run' if here else 'done'} {number} of {len(missing)}, seed {run.seed}: "
                if not here:
                    display.notice(f"{display.title}{run.recipe.name}")

            status = make_ladder(order, display, started)
            while go_on is not None and status != "interrupted" and (more := go_on(order, display)) is not None:
                order = more
                status = make_ladder(order, display, started)
        if (order.out / "runs").is_dir():
            write_report([order.out], page)
    except KeyboardInterrupt:  # the second Ctrl-C; the first one is a wish
        return "interrupted"
    if status == "failed":
        failed = [str(run.folder) for run in order.failed()]
        num_runs = plural(len(order.planned), "run")
        show(f"{len(failed)} of {num_runs} failed, and the report says so: {', '.join(failed)}", stderr=True)
    return status


def _lint(planned: "Sequence[PlannedRun]", display: "Display") -> None:
    """Say what each recipe is warned of before a step is made: a ladder may ask what a bad recipe costs."""
    from fabula.findings import lint
    from fabula.train.update.rates import planned_rates

    for name, recipe in {run.recipe.name: run.recipe for run in planned}.items():
        for finding in lint(recipe, planned_rates(recipe)).findings:
            if finding.severity in ("warning", "failure"):
                display.notice(f"{name}: {finding.severity}: {finding.sentence} [{finding.kind}]")


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


def _dry_run(order: "Order") -> None:
    from itertools import groupby

    from fabula.cli.screen.display import Display
    from fabula.ladder.estimate import probe_phases
    from fabula.ladder.make import check_order
    from fabula.record.wording import duration_text
    from fabula.train.update.rates import rates_line

    if order.num_tries:
        show(
            f"before them {order.num_tries} runs of seed 0 choose learning rates on tune; "
            "the times below are without those"
        )
    missing = list(order.planned) if order.num_tries else order.missing()
    if there := order.there(missing):
        show(there)
    with Display() as display:
        check_order(order, display)
        _lint(order.planned, display)
        costs = probe_phases(missing, order.data, display)
    for tier, phases in groupby(costs, key=lambda cost: cost.run.tier):
        show(tier)
        for cost in phases:
            recipe = cost.run.recipe
            show(
                f"  {cost.run.phase:<10} {cost.num_runs} x {recipe.steps:,} steps, {cost.positions:,} positions each, "
                f"{duration_text(cost.seconds)} each"
            )
            show(f"  {'':<10} {rates_line(recipe)}")
    num_positions = sum(cost.num_runs * cost.positions for cost in costs)
    total = sum(cost.num_runs * cost.seconds for cost in costs)
    show(f"{len(missing)} runs, {num_positions:,} positions, about {duration_text(total)} by a probe")
