"""Models as a command line names them: RUN or RUN@STEP, several side by side."""

from collections.abc import Sequence
from itertools import chain, count
from pathlib import Path

from fabula.errors import InputError
from fabula.play.page import MOST_MODELS
from fabula.record.checkpoint import checkpoint_steps


def place_of(given: str) -> tuple[Path, int | None]:
    """A run folder, or RUN@STEP; a folder whose name looks so is a folder."""
    run, _, step = given.rpartition("@")
    if run and step.isdecimal() and not Path(given).exists():
        return Path(run), int(step)
    return Path(given), None


def are_there(places: Sequence[tuple[Path, int | None]]) -> bool:
    """Whether each has its checkpoint, by its name on disk."""
    steps = [(step, checkpoint_steps(run)) for run, step in places]
    return all(there and (step is None or step in there) for step, there in steps)


def name_of(run: Path) -> str:
    """What to call what comes of a run: its folder's name; in a ladder, tier and phase too, for seeds have one name."""
    parts = run.resolve().parts
    return "-".join(parts[-3:]) if parts[-1].startswith("seed-") else parts[-1]


def names_of(places: Sequence[tuple[Path, int | None]]) -> list[str]:
    """What to call models of runs and steps side by side, all different: runs in several folders may have one name.

    Raises InputError for more than a page has room for.
    """
    if len(places) > MOST_MODELS:
        raise InputError(f"{len(places)} models are named, and the page has room for four; name one to four")
    names: list[str] = []
    for run, step in places:
        name = name_of(run) + ("" if step is None else f" at {step}")
        tried = chain([name], (f"{name} ({number})" for number in count(2)))
        names.append(next(each for each in tried if each not in names))
    return names
