"""`--track` and `export --to TRACKER`: runs in the trackers that people use (exchange/trackers)."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fabula.cli.screen.terminal import show
from fabula.cli.screen.typed import as_called

TRACK = "Show it in NAME as well, while it is made: tensorboard, wandb, trackio, mlflow or aim; may be repeated."
LOWER = 10
"""By how much a follower stands behind the training in the queue for a processor (nice)."""


@contextmanager
def tracked(folder: Path, names: Sequence[str], only_planned: bool) -> "Iterator[Callable[[], None]]":
    """The block makes what is in `folder`, and calls what it is given when it begins to, with the folder locked: from
    then on the trackers are told. After the block, wait for what is left to be sent.

    Raises InputError, before anything is made, for a tracker that is not known or not installed.
    """
    from fabula.exchange.trackers.beside import Followers
    from fabula.exchange.trackers.known import chosen

    trackers = chosen(names)
    for each in trackers:
        show(f"fabula: {each.name}: {each.where()}", stderr=True)
    followers = Followers(folder, [] if only_planned else trackers)
    try:
        yield followers.begin
    finally:
        followers.end(lambda text: show(as_called(f"fabula: {text}"), stderr=True))


def send(folder: Path, tracker: str, follow: bool) -> int:
    """Send what a tracker has not been told of the run, or the ladder, in `folder`. Returns the number of runs."""
    from fabula.exchange.trackers import follower
    from fabula.exchange.trackers.known import chosen
    from fabula.findings import diagnose
    from fabula.record.reader import read_run

    chosen([tracker])
    if follow and hasattr(os, "nice"):
        os.nice(LOWER)

    def findings(run: Path) -> list[dict[str, Any]]:
        return [each.as_json() for each in diagnose(read_run(run)).findings]

    return follower.follow(folder, tracker, findings, follow)
