"""`fabula generate`: text from a run's model."""

from pathlib import Path
from typing import Annotated

import typer

from fabula.cli.screen.terminal import show
from fabula.cli.screen.typed import as_called


def generate(
    run: Annotated[
        Path | None, typer.Argument(metavar="[RUN]", help="The folder of a run; default: the newest under runs/.")
    ] = None,
    prompt: Annotated[
        str | None, typer.Option(help='How the story begins; "" for one from nothing. Without it: a prompt loop.')
    ] = None,
    count: Annotated[
        int, typer.Option(min=1, metavar="N", help="Tell N stories, with the seeds SEED to SEED + N - 1.")
    ] = 1,
    max_tokens: Annotated[int, typer.Option(min=1, help="Stop a story after so many tokens.")] = 300,
    temperature: Annotated[float, typer.Option(help="0 takes the likeliest token each time.")] = 0.8,
    top_k: Annotated[int, typer.Option(help="Choose among the K likeliest tokens; 0: all.")] = 0,
    top_p: Annotated[
        float, typer.Option(help="Choose among the likeliest tokens that have this probability together.")
    ] = 0.95,
    min_p: Annotated[
        float, typer.Option(help="Leave out tokens below this share of the likeliest one's probability.")
    ] = 0.0,
    repetition_penalty: Annotated[float, typer.Option(help="Above 1: tokens seen before become less likely.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same story.")] = 0,
    step: Annotated[int | None, typer.Option(help="The checkpoint of this step; default: the latest.")] = None,
    best: Annotated[bool, typer.Option("--best", help="The checkpoint with the lowest validation loss.")] = False,
    trust: Annotated[
        bool, typer.Option("--trust", help="Run the code of your own that the run's recipe names.")
    ] = False,
) -> None:
    """Let a trained model tell stories. The text appears as it is chosen and ends where the story does.

    Beyond the model's context the text goes on, each token seeing at least the last half of the context.
    """
    import shlex

    from fabula.cli.named.newest import named_or_newest
    from fabula.cli.screen.terminal import tell
    from fabula.cli.screen.words import argument_as_utf8
    from fabula.cli.telling.prompt_loop import PromptLoop
    from fabula.cli.telling.storyteller import Storyteller
    from fabula.errors import InputError
    from fabula.exchange.architectures import has_counterpart
    from fabula.model.decode.sampling import Sampling
    from fabula.model.load import best_step, load_trusted, move_to_gpu

    sampling = Sampling(temperature, top_k, top_p, min_p, repetition_penalty)
    if best and step is not None:
        raise InputError("give --step or --best, not both")
    prompt = None if prompt is None else argument_as_utf8(prompt)
    run = named_or_newest(run)
    step = best_step(run) if best else step
    model, recipe, tokenizer = load_trusted(run, step, trust, lambda said: tell(f"fabula: {said}", stderr=True))
    move_to_gpu(model)
    if unfinished := _unfinished(run, step, recipe.steps):
        tell(unfinished, stderr=True)
    teller = Storyteller(model, recipe, tokenizer, sampling, max_tokens, seed)
    if prompt is not None:
        teller.tell(prompt, count)
    else:
        PromptLoop(teller, count).run()
    if recipe.own.model:
        return
    form = "hf" if has_counterpart(recipe.model) else "html"
    show(as_called(f"\nNext: fabula export {shlex.quote(str(run))} --to {form}"), stderr=True)


def _unfinished(run: Path, step: int | None, num_steps: int) -> str:
    """Which step of `num_steps` the model is of, where the training has not come to its end."""
    from fabula.record.checkpoint import checkpoint_steps
    from fabula.record.reader import read_info

    if read_info(run).get("status") == "finished":
        return ""
    taken = step if step is not None else checkpoint_steps(run)[-1]
    return f"[not a finished training: the model is of step {taken:,} of {num_steps:,}]"
