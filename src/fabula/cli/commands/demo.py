"""`fabula demo`: everything once, with nothing but what is in the package."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from fabula.cli.screen.signals import stopped_code
from fabula.cli.screen.terminal import show, tell
from fabula.cli.screen.typed import as_called

NUM_STORIES = 20_000


def demo(
    out: Annotated[Path, typer.Option(help="The folder to write: stories, ladder, report.")] = Path("demo"),
) -> None:
    """Tell 20,000 stories from the built-in grammar, train a small ladder on them, and write the report.

    Four phases, three seeds, no network: minutes on a laptop. Call it again to continue after an interruption.
    """
    from fabula.cli.commands.ladder import make_and_report
    from fabula.data.prepare.preparation import prepare
    from fabula.ladder.make import Order
    from fabula.recipe.ladder import load_ladder, plan_runs
    from fabula.train.machine.threads import use_threads

    use_threads()
    plan = load_ladder("demo")
    phases = [cell.name for cell in plan.cells]
    planned = plan_runs(plan, plan.tiers, phases, plan.seeds, plan.scale)
    stories, ladder_folder = out / "stories", out / "ladder"
    if not stories.exists():
        tell(f"Telling {NUM_STORIES:,} stories from the built-in grammar ...", stderr=True)
        prepare("grammar", stories, tokenizer=planned[0].recipe.tokenizer, validation="0.02", limit=NUM_STORIES)
    page = out / "report.html"
    command = f"fabula demo --out {shlex.quote(str(out))}"
    order = Order(plan, planned, stories, ladder_folder, plan.seeds, plan.scale, 1, command)
    status = make_and_report(order, page)
    if status == "interrupted":
        show(as_called(f"stopped; continue with: {command}"), stderr=True)
        raise typer.Exit(stopped_code())
    last = shlex.quote(str(ladder_folder / planned[-1].folder))
    show(page)
    told = f"next: open {shlex.quote(str(page))} in a browser; or: fabula generate {last} --prompt 'Once upon a time'"
    show(as_called(told))
    if status == "failed":
        raise typer.Exit(1)
