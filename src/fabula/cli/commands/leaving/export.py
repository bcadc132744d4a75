"""`fabula export`: a run's model for other people's programs."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fabula.cli.screen.terminal import show

if TYPE_CHECKING:
    from collections.abc import Iterator


class Form(StrEnum):
    hf = "hf"
    gguf = "gguf"
    html = "html"
    tensorboard = "tensorboard"
    wandb = "wandb"
    trackio = "trackio"
    mlflow = "mlflow"
    aim = "aim"


MODELS = (Form.hf, Form.gguf, Form.html)
"""The others are trackers, which are told of a run's record."""


def export(
    to: Annotated[
        Form,
        typer.Option(
            help="hf: a folder for transformers and vLLM; gguf: for llama.cpp and Ollama; html: one file, for any "
            "browser; the others: the record, into that tracker (a ladder's runs too)."
        ),
    ],
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="[RUN]...",
            help="The folder of a run; default: the newest under runs/. html: up to four, RUN@STEP for a checkpoint.",
        ),
    ] = [],  # noqa: B006
    out: Annotated[
        Path | None,
        typer.Option(
            help="The folder to write, or the file NAME.html; default: exported/, then the run's name and the form."
        ),
    ] = None,
    step: Annotated[int | None, typer.Option(help="The checkpoint of this step; default: the latest.")] = None,
    best: Annotated[bool, typer.Option("--best", help="The checkpoint with the lowest validation loss.")] = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="Into a tracker, until the training that writes the record has ended.")
    ] = False,
) -> None:
    """Write a run's model in a form that other programs load, computing exactly what it computes here; or show its
    record in a tracker.

    html is for people: a page that works offline, on a phone too, with 8-bit weights.
    """
    from fabula.cli.named.newest import named_or_newest
    from fabula.errors import InputError

    if best and step is not None:
        raise InputError("give --step or --best, not both")
    if follow and to in MODELS:
        raise InputError("--follow tells a tracker of a training; a model is exported when there is a checkpoint")
    if to is Form.html:
        _export_page(runs, out, step, best)
        return
    if len(runs) > 1:
        raise InputError(f"--to {to} takes one run, and {len(runs)} are named; name one, or use --to html")
    run = named_or_newest(Path(runs[0]) if runs else None, ladders=to not in MODELS)
    if to in MODELS:
        _export_folder(to, run, out, step, best)
        return
    if best or step is not None or out is not None:
        raise InputError(f"{to} is told of the record and not of a model; leave out --out, --step and --best")
    _send(run, to, follow)


def _export_page(runs: list[str], out: Path | None, step: int | None, best: bool) -> None:
    from fabula.cli.html_file import write_html
    from fabula.cli.named.newest import named_or_newest
    from fabula.cli.named.several_models import place_of
    from fabula.cli.screen.terminal import tell
    from fabula.errors import InputError
    from fabula.model.load import best_step
    from fabula.record.wording import plural

    places = [place_of(each) for each in runs] or [(named_or_newest(None), None)]
    if (best or step is not None) and any(named is not None for _, named in places):
        raise InputError("RUN@STEP names a checkpoint already; leave out --step and --best")
    places = [(run, best_step(run) if best else step if named is None else named) for run, named in places]
    written, models = write_html(places, out)
    told = ", ".join(f"{each.shown['name']} (step {each.shown['step']:,})" for each in models)
    size, parameters = written.stat().st_size, sum(each.shown["parameters"] for each in models)
    tell(
        f"{written}: {told}, {plural(parameters, 'parameter')} in {size / 1e6:,.1f} MB; whoever has this file needs "
        "nothing else, no network either"
    )
    show(f"\nNext: open it in a browser: {written.resolve().as_uri()}")


def _export_folder(to: Form, run: Path, out: Path | None, step: int | None, best: bool) -> None:
    import shlex

    from fabula.cli.named.several_models import name_of
    from fabula.cli.screen.terminal import tell
    from fabula.errors import InputError
    from fabula.model.load import best_step  # loads torch

    step = best_step(run) if best else step
    if out is None:
        out = Path("exported") / f"{name_of(run)}-{to}"
    if out.is_dir() and any(out.iterdir()):
        free = next(each for each in _other_folders(out, to) if not each.exists())
        raise InputError(f"{out} already exists and is not empty; choose another --out, such as {free}")
    if to is Form.hf:
        from fabula.exchange.huggingface import export_hf

        exported = export_hf(run, out, step)
    else:
        from fabula.exchange.llama_cpp import export_gguf

        exported = export_gguf(run, out, step)
    size = f"{exported.num_bytes / 1e6:,.1f} MB of float32 weights"
    tell(f"{out}: step {exported.step:,} as {exported.architecture}, {size}")
    if exported.counterpart.folded:
        tell(f"folded into the weights, with the same results: {', '.join(exported.counterpart.folded)}")
    folder = shlex.quote(str(out))
    if to is Form.hf:
        show(f"\nNext: transformers.AutoModelForCausalLM.from_pretrained({str(out)!r}), or vllm serve {folder}")
    else:
        show(f"\nNext: llama-completion -m {folder}/model.gguf -no-cnv -p 'Once upon a time'")


def _send(run: Path, tracker: str, follow: bool) -> None:
    from fabula.cli.making.tracking import send
    from fabula.exchange.trackers.known import KNOWN
    from fabula.record.wording import plural

    num_runs = send(run, tracker, follow)
    show(f"{run}: {plural(num_runs, 'run')} in {tracker}, {KNOWN[tracker].where()}")


def _other_folders(out: Path, form: str) -> "Iterator[Path]":
    """out-gguf, out-gguf-2, ...: names for what does not go into `out`."""
    from itertools import count

    yield out.with_name(out.name if out.name.endswith(f"-{form}") else f"{out.name}-{form}")
    for number in count(2):
        yield out.with_name(f"{out.name.removesuffix(f'-{form}')}-{form}-{number}")
