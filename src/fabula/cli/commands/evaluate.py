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
    judge: Annotated[
        str | None,
        typer.Option(
            metavar="PROVIDER:MODEL",
            help="Have a language model mark the stories: anthropic:MODEL or openai:MODEL; the key is taken from "
            "ANTHROPIC_API_KEY, OPENAI_API_KEY or FABULA_JUDGE_KEY.",
        ),
    ] = None,
    judge_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The judge's server, for example a llama.cpp or Ollama of your own."),
    ] = None,
    max_cost: Annotated[
        float | None,
        typer.Option(min=0.0, metavar="DOLLARS", help="Ask nothing if that may cost more, and stop before it does."),
    ] = None,
    judge_price: Annotated[
        str | None,
        typer.Option(metavar="IN/OUT", help="The judge's price: dollars for a million tokens sent and written."),
    ] = None,
    judge_samples: Annotated[
        int, typer.Option(min=1, metavar="N", help="Have at most N completions of each prompt judged.")
    ] = 2,
    judge_requests: Annotated[int, typer.Option(min=1, metavar="N", help="Ask the judge N things at once.")] = 4,
    judge_timeout: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="Wait so long for an answer of the judge.")
    ] = 60.0,
    against: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Have the judge choose between this run's stories and those of RUN."),
    ] = None,
    stories: Annotated[
        Path | None,
        typer.Option(metavar="FILE.jsonl", help='Measure these texts, {"text": ...} a line, also with "prompt".'),
    ] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Run the code of your own that the run's recipe names.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Let a model complete beginnings of stories, and measure what it tells; or measure any stories.

    What the model tells is appended to RUN/evaluations.jsonl, with all that is needed to make it again. What a judge
    says is appended to RUN/judgements.jsonl, with the tests that show whether it can be believed. With --stories
    nothing is written, and each story gets its measures and one `consistency`: higher is better. With --stories and
    --data, what holds together is learned from these data instead of TinyStories.
    """
    import json
    import shlex
    from collections import Counter

    from fabula.cli.judging import Wanted, judge_run, ready
    from fabula.cli.measuring import distances_told, measure_stories, only_stories
    from fabula.cli.named.newest import named_or_newest
    from fabula.cli.screen.terminal import tell
    from fabula.coherence.completing import Settings
    from fabula.coherence.measuring import hold_against
    from fabula.coherence.prompts.sets import prompt_set, unique_names
    from fabula.coherence.session import evaluate_run
    from fabula.data.dataset import open_dataset
    from fabula.errors import InputError
    from fabula.model.decode.sampling import Sampling
    from fabula.model.load import best_step
    from fabula.record.wording import plural
    from fabula.study.judging.words import as_fields
    from fabula.study.judging.words import told as sentences

    if stories is not None:
        only_stories(run=run, prompts=prompts, step=step, best=best or None, judge=judge, against=against)
        known = None if data is None else open_dataset(data)
        measure_stories(stories, hold_against(known, fit=True, told=lambda text: tell(text, stderr=True)), as_json)
        return
    if best and step is not None:
        raise InputError("give --step or --best, not both")
    Sampling(temperature, top_p=top_p)
    wanted = Wanted(
        judge, judge_url, max_cost, judge_price, judge_samples, judge_requests, judge_timeout, against, data
    )
    asked = ready(wanted)
    run = named_or_newest(run)
    known = _stories_of(run, data)
    sets = unique_names([prompt_set(name, known) for name in prompts or ["fabula", *(["validation"] if known else [])]])
    made: Counter[str] = Counter()

    def told(name: str, total: int, number: int) -> None:
        made[name] += number
        tell(f"{name}: {made[name]} of {plural(total, 'completion')}", stderr=True)

    def say(text: str) -> None:
        tell(f"fabula: {text}", stderr=True)

    settings = Settings(samples, tokens, temperature, top_p, seed)
    done = evaluate_run(run, best_step(run) if best else step, sets, settings, hold_against(known), told, trust, say)
    step = int(done.session["step"])
    verdict = None if asked is None else judge_run(run, step, done.completions, wanted, asked)
    if as_json:
        said = {} if verdict is None else {"judged": as_fields(verdict)}
        show(json.dumps({**done.session, **said, "completions": done.completions}, indent=2, allow_nan=False))
        return
    num = sum(not line["human"] for line in done.completions)
    show(f"{plural(num, 'completion')} at step {done.session['step']:,}, in {run / 'evaluations.jsonl'}")
    for line in distances_told(done.session["summary"]):
        tell(line, indent="  ")
    for sentence in [] if verdict is None else sentences(verdict):
        tell(sentence)
    show(as_called(f"next: fabula report {shlex.quote(str(run))} --out report.html"))


def _stories_of(run: Path, given: Path | None) -> "Dataset | None":
    """The prepared stories that were given, or else those of the run, if they are still at their place."""
    from fabula.cli.named.defaults import data_of
    from fabula.data.dataset import open_dataset

    folder = given or data_of(run)
    return None if folder is None else open_dataset(folder)
