"""`fabula watch`: the report as a live page, while it trains."""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fabula.cli.named.of_logs import Accumulation, Clip, Columns, FromScratch, Vocabulary
from fabula.cli.screen.terminal import show

if TYPE_CHECKING:
    from fabula.watch.notifying import Notifier
    from fabula.watch.watcher import Watcher

NOTIFY = "Post warnings and failures there, once each: the address of a chat's incoming hook."
HOOK = "FABULA_NOTIFY"
"""The environment variable that says the same: what is typed, other users of the machine may see."""
USUAL_PORT = 8642
ONE_THREAD = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Of NumPy's algebra, which has next to nothing to do here: threads that wait for more would spin on the cores of the
training."""


def watch(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="[RUN|LADDER|LOG]...",
            help="Runs, a ladder, folders of runs, logs that other programs write; default: the newest under runs/.",
        ),
    ] = [],  # noqa: B006
    port: Annotated[
        int | None, typer.Option(help=f"The page's port. Without it: a free one from {USUAL_PORT} on.")
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            help="Listen there, such as on 0.0.0.0, with a token in the address. Without it: this machine alone."
        ),
    ] = None,
    linger: Annotated[
        float | None,
        typer.Option(
            min=0.0, metavar="MINUTES", help="End by itself when the runs have ended and no page was open for so long."
        ),
    ] = None,
    notify: Annotated[str | None, typer.Option(metavar="URL", envvar=HOOK, help=NOTIFY)] = None,
    no_page: Annotated[
        bool, typer.Option("--no-page", help="With --notify: only post, and end when the runs have ended.")
    ] = False,
    vocab: Vocabulary = None,
    clip: Clip = None,
    accumulation: Accumulation = None,
    from_scratch: FromScratch = False,
    columns: Columns = None,
) -> None:
    """Show the report as a page that follows the training: curves, expected finish, findings, the newest stories.

    Reads records alone, in a process of its own, also a log that another program is writing. The page is for this
    machine, and stays until Ctrl-C.
    """
    for name in ONE_THREAD:  # before NumPy is loaded
        os.environ.setdefault(name, "1")

    from fabula.api.paths import flags_of
    from fabula.cli.named.newest import named_or_newest
    from fabula.errors import InputError
    from fabula.record.foreign import STDIN
    from fabula.record.lock import writer_of
    from fabula.watch.hooks import checked
    from fabula.watch.notifying import Notifier
    from fabula.watch.watcher import Watcher

    if no_page and (notify is None or port is not None or host is not None or linger is not None):
        raise InputError("--no-page only posts: give --notify with it, and leave out --port, --host and --linger")
    flags = flags_of(vocab, clip, accumulation, from_scratch, columns)
    paths = paths or [named_or_newest(None, ladders=True)]
    for path in paths:
        if path == STDIN:
            raise InputError(
                "fabula watch follows files, and standard input is none; write the log to a file, name that"
            )
        if not path.exists() and writer_of(path) is None:
            raise InputError(
                f"{path} does not exist; give a run folder, a ladder or a log (an empty file is waited for)"
            )
    notifier = Notifier(checked(notify), say) if notify is not None else None
    watcher = Watcher(paths, flags, page=not no_page)
    if no_page:
        assert notifier is not None, "asked for above"
        _post(watcher, notifier)
    else:
        _serve(watcher, notifier, port, host, None if linger is None else linger * 60)


def _serve(
    watcher: "Watcher", notifier: "Notifier | None", port: int | None, host: str | None, linger_seconds: float | None
) -> None:
    from fabula.serve.address import listen
    from fabula.serve.door import Door, new_token
    from fabula.serve.running import serve
    from fabula.watch.pages import POLICY, Live, application

    address = listen(USUAL_PORT, port, host)
    token = "" if address.is_local else new_token()

    def after() -> None:
        assert notifier is not None, "only then it is called"
        notifier.after(watcher.found)

    def ready() -> None:
        say(f"{address.url}?token={token}" if token else address.url, stderr=False)
        if linger_seconds is None:
            say("the page follows the training until Ctrl-C, which does not end the training")

    live = Live(watcher, after if notifier is not None else None, linger_seconds)
    serve(Door(application(live), address, POLICY, token), address, ready, live.ended)


def _post(watcher: "Watcher", notifier: "Notifier") -> None:
    """Until the runs have ended, and all is posted that can be."""
    from fabula.watch.pace import PULSE_SECONDS, step_aside

    step_aside()
    for _ in range(MOST_TRIES):
        while True:
            over = watcher.is_over  # before the last look, which sees the end then
            watcher.look()
            notifier.after(watcher.found)
            if over:
                break
            time.sleep(PULSE_SECONDS)
        if notifier.is_done():
            return
        time.sleep(notifier.pause)


MOST_TRIES = 5
"""To post what is left when the runs have ended."""


def say(text: str, *, stderr: bool = True) -> None:
    """At once; who listened may be gone: a training that has ended leaves its page open."""
    with suppress(BrokenPipeError):
        show(text, stderr=stderr)
