"""`fabula evaluate`: does the model tell a story?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fabula.cli.screen.terminal import show
from fabula.cli.screen.typed import as_called

if TYPE_CHECKING:
    from fabula.data.dataset import Dataset


def evaluate(
    run: Annotated[
        Path | None, typer.Argument(metavar="[RUN]", help="The folder of a run; default: the newest under runs/.")
    ] = None,
    prompts: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|FILE",
            help="fabula (44 of ours), original (the recipes' three), validation (beginnings of validation stories), "
            "or a file of your own, a beginning a line or JSON lines with `prompt`; may be given several times. "
            "Default: fabula, and validation where the stories are found.",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The prepared stories; default: those that the run was made with."),
    ] = None,
    samples: Annotated[
        int, typer.Option(min=1, metavar="N", help="Completions of each prompt, each with its seed.")
    ] = 5,
    tokens: Annotated[int, typer.Option(min=1, metavar="N", help="Stop a completion after so many tokens.")] = 200,
    temperature: Annotated[float, typer.Option(help="0 takes the likeliest token each time.")] = 0.8,
    top_p: Annotated[
        float, typer.Option(help="Choose among the likeliest tokens that have this probability together.")
    ] = 0.95,
    seed: Annotated[
        int, typer.Option(min=0, help="The completions of a prompt have the seeds SEED, SEED + 1, ...")
    ] = 0,
    step: Annotated[int | None, typer.Option(help="The checkpoint of this step; default: the latest.")] = None,
    best: Annotated[bool, typer.Option("--best", help="The checkpoint with the lowest validation loss.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Let a model complete beginnings of stories, and measure what it tells.

    What comes is appended to RUN/evaluations.jsonl, with all that is needed to make it again.
    """
    import json
    import shlex

    from fabula.cli.newest import named_or_newest
    from fabula.cli.screen.terminal import tell
    from fabula.coherence.completing import Settings
    from fabula.coherence.prompts.sets import prompt_set, unique_names
    from fabula.coherence.session import evaluate_run
    from fabula.errors import InputError
    from fabula.model.decode.sampling import Sampling
    from fabula.model.load import best_step
    from fabula.record.wording import plural

    if best and step is not None:
        raise InputError("give --step or --best, not both")
    Sampling(temperature, top_p=top_p)
    run = named_or_newest(run)
    stories = _stories(run, data)
    names = prompts or ["fabula", *(["validation"] if stories else [])]
    sets = unique_names([prompt_set(name, stories) for name in names])

    def told(name: str, made: int, total: int) -> None:
        tell(f"{name}: {made} of {plural(total, 'completion')}", stderr=True)

    settings = Settings(samples, tokens, temperature, top_p, seed)
    done = evaluate_run(run, best_step(run) if best else step, sets, settings, stories, told)
    if as_json:
        show(json.dumps({**done.session, "completions": done.completions}, indent=2, allow_nan=False))
        return
    num = sum(not line["human"] for line in done.completions)
    show(f"{plural(num, 'completion')} at step {done.session['step']:,}, in {run / 'evaluations.jsonl'}")
    show(as_called(f"next: fabula report {shlex.quote(str(run))} --out report.html"))


def _stories(run: Path, given: Path | None) -> "Dataset | None":
    """The prepared stories that were given, or else those of the run, if they are still at their place."""
    from fabula.cli.defaults import data_of
    from fabula.data.dataset import open_dataset

    folder = given or data_of(run)
    return None if folder is None else open_dataset(folder)
