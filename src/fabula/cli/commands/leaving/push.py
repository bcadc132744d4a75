"""`fabula push`: a run for others to see and to use, on the Hugging Face hub."""

import shutil
import tempfile
from contextlib import chdir
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from fabula.cli.screen.terminal import show


def push(
    run: Annotated[Path, typer.Argument(help="The folder of a run.")],
    repository: Annotated[str, typer.Argument(metavar="REPO", help="OWNER/NAME on the hub, or NAME for your own.")],
    public: Annotated[
        bool, typer.Option("--public", help="Let everybody see it. Without this only you and whom you let.")
    ] = False,
    update: Annotated[
        bool, typer.Option("--update", help="Put it over what a repository of this name has by now, in one commit.")
    ] = False,
    step: Annotated[int | None, typer.Option(help="The checkpoint of this step; default: the latest.")] = None,
    best: Annotated[bool, typer.Option("--best", help="The checkpoint with the lowest validation loss.")] = False,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A page with the model in it, to be sent with the rest.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say which files would go where, and how large they are; send nothing.")
    ] = False,
) -> None:
    """Put a run's model on the Hugging Face hub: weights, a card written from the record, the report.

    It is one commit to a private repository, so that nothing is ever there by halves.
    """
    from fabula.errors import InputError

    if best and step is not None:
        raise InputError("give --step or --best, not both")
    if find_spec("huggingface_hub") is None:
        raise InputError("fabula push needs huggingface_hub; install it with: pip install 'fabula[hub]'")
    if html is not None and not html.is_file():
        raise InputError(f"{html} is no file; give the page with the model, or leave --html out")
    from fabula.exchange.pushing import check_repository
    from fabula.exchange.pushing import push as send
    from fabula.model.load import best_step

    check_repository(repository, sending=not dry_run)
    with tempfile.TemporaryDirectory(prefix="fabula-push-") as place:
        folder = Path(place) / "repository"
        told = _gather(run, folder, best_step(run) if best else step, html)
        files = sorted(each for each in folder.rglob("*") if each.is_file())
        for each in files:
            show(f"{each.stat().st_size:>14,}  {each.relative_to(folder)}", stderr=not dry_run)
        seen = "public" if public else "private"
        if dry_run:
            show(f"{len(files)} files would go to {repository}, {seen}, as one commit; nothing was sent")
            return
        pushed = send(folder, repository, public=public, update=update, message=told)
    show(pushed.url)
    seen = "public" if pushed.public else "private"
    show(f"{seen}; next: transformers.AutoModelForCausalLM.from_pretrained({repository!r})")


def _gather(run: Path, folder: Path, step: int | None, html: Path | None) -> str:
    """Write to `folder` all that is to be sent. Returns what the commit is to be called."""
    from fabula.api.comparing import report_with
    from fabula.exchange.huggingface import export_hf
    from fabula.findings import Flags
    from fabula.record.files import write_text

    exported = export_hf(run, folder, step)
    with chdir(run.resolve().parent):  # the page names runs as they were given, and is read by others
        report_with([Path(run.resolve().name)], folder / "report.html", None, Flags())
    card = (folder / "README.md").read_text(encoding="utf-8")
    links = (
        "## The training\n\n[report.md](report.md) has its curves in numbers and all that was found; report.html is "
    )
    links += "the same page with figures, to be opened in a browser.\n"
    if html is not None:
        shutil.copyfile(html, folder / "model.html")
        links += "\n`model.html` is the model in one file: a page on which it can be asked, without a network.\n"
    write_text(folder / "README.md", f"{card}\n{links}")
    return f"step {exported.step:,} of a run by fabula"
