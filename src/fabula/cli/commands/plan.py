"""`fabula plan`: what to train here."""

from pathlib import Path
from typing import Annotated

import typer

from fabula.cli.screen.terminal import show
from fabula.cli.screen.typed import as_called, typed

RUNS = "A finished run of your own, or a folder of them, to learn from as well; may be repeated."


def plan(
    family: Annotated[
        str,
        typer.Argument(
            metavar="[FAMILY]",
            help="In whose sizes it is planned: modern, or modern-portable, which leaves for other programs.",
        ),
    ] = "modern",
    data: Annotated[
        Path | None,
        typer.Option(help="The stories, as `fabula prepare` wrote them. Without it: the only prepared folder here."),
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="What to train in M minutes on this machine.")] = None,
    tokens: Annotated[int | None, typer.Option(help="What to train on N tokens.")] = None,
    parameters: Annotated[int | None, typer.Option(help="What to train with at most N weights.")] = None,
    loss: Annotated[
        float | None, typer.Option(help="What reaches this validation loss soonest, in nats a GPT-2 token.")
    ] = None,
    runs: Annotated[list[Path], typer.Option(help=RUNS)] = [],  # noqa: B006
    threads: Annotated[int | None, typer.Option(help="Compute on N threads. Without it: one for each core.")] = None,
    out: Annotated[Path | None, typer.Option(help="A .toml file to write the recipe to, for `fabula train`.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Say what to train here: which size, for how many steps, and which loss to expect.

    Give one of --minutes, --tokens, --parameters and --loss. What it says rests on runs that were measured, and it says
    on which. `fabula train plan --minutes M` trains it, or `fabula train plan/modern-portable --minutes M`.
    """
    import json
    import shlex

    from fabula.cli.named.defaults import announce, choose_data, need_torch

    need_torch()
    from fabula.api.planning.wish import Wish
    from fabula.errors import InputError
    from fabula.recipe.presets.files import known_family

    known_family(family)
    wish = Wish(minutes, tokens, parameters, loss).checked("--")
    if out is not None and (out.suffix != ".toml" or not out.absolute().parent.is_dir()):
        raise InputError(f"--out {out}: give the name of a .toml file in a folder that exists")
    if out is not None and out.exists():
        raise InputError(f"{out} exists; choose another name, or remove it")
    stories = choose_data(data)
    announce(f"a plan for {stories}", None, Path(stories.value), None)
    from fabula.api.planning import planned_for
    from fabula.cli.plans import as_values, told
    from fabula.recipe.toml import to_toml
    from fabula.record.files import write_text

    made = planned_for(wish, family, stories.value, runs, threads, lambda text: show(text, stderr=True))
    if out is not None:  # without the number of words, which the data says
        write_text(out, to_toml(made.recipe.with_values(**{"model.vocabulary": 0}).as_tree()))
    if as_json:
        show(json.dumps(as_values(made), indent=1))
        return
    for line in told(made):
        show(line)
    data_told = shlex.quote(stories.value)
    if out is not None:
        following = f"fabula train {shlex.quote(str(out))} --data {data_told}"
    elif wish.minutes is not None and not runs and threads is None:
        following = f"fabula train {made.recipe.name} --minutes {wish.minutes:g} --data {data_told}"
    else:
        following = f"{typed()} --out plan.toml, and then fabula train plan.toml --data {data_told}"
    show(as_called(f"next: {following}"))
