"""Where trackers keep runs, and what reads each place."""

from collections.abc import Mapping
from pathlib import Path

from fabula.errors import InputError
from fabula.record.foreign.stores import aim, mlflow, sqlite, trackio, wandb_offline
from fabula.record.reader import Run

LATEST = "latest-run"
"""W&B's link to the folder that it made last."""


def in_folder(folder: Path) -> list[Path]:
    """The stores directly in `folder`, and `folder` itself where it is one run of a store."""
    if mlflow.is_folder(folder) or aim.is_one(folder):
        return [folder]
    if offline_files(folder):
        parts, own = parts_of(folder)
        return [folder] if own == len(parts) else []  # the last one tells all
    files = sorted(each for each in folder.iterdir() if each.suffix in sqlite.SUFFIXES and each.is_file())
    return [*filter(is_store, files), *([folder / aim.NAME] if aim.is_one(folder / aim.NAME) else [])]


def offline_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("run-*.wandb"))


def parts_of(folder: Path) -> tuple[list[Path], int]:
    """The files of W&B's run in `folder`, of which each resume makes another folder beside it, in the order of their
    dates; and how many there are up to `folder`'s own. One whose name tells no date any more stands alone."""
    folder = folder.resolve()  # of "." and of a link, names say nothing
    own = folder / offline_files(folder)[0].name
    beside = [each for form in ("run-*", "offline-run-*") for each in folder.parent.glob(f"{form}/{own.name}")]
    parts = sorted(beside, key=lambda each: each.parent.name.removeprefix("offline-"))
    return (parts, parts.index(own) + 1) if own in parts else ([own], 1)


def is_store(path: Path) -> bool:
    """Whether a file is the database of a tracker; not where it cannot be read, which holds nothing beside it back."""
    try:
        if not sqlite.looks_like(path):
            return False
        with sqlite.opened(path, patience=0.5) as database:
            return trackio.is_one(database) or mlflow.is_one(database)
    except (InputError, OSError):
        return False


def read(path: Path, wanted: Mapping[str, str] | None = None) -> list[Run]:
    """The runs of a store. Raises InputError as the reader of each does."""
    if path.is_dir():
        if mlflow.is_folder(path):
            return mlflow.read_folder(path, wanted)
        if aim.is_one(path):
            return aim.read(path, wanted)
        parts, own = parts_of(path)
        return wandb_offline.read(path, [each.read_bytes() for each in parts[:own]], wanted)
    with sqlite.opened(path) as database:
        ours, theirs = trackio.is_one(database), mlflow.is_one(database)
    if not ours and not theirs:
        raise InputError(f"{path} is a database, but none of trackio's or MLflow's; export what is in it as CSV")
    return trackio.read(path, wanted) if ours else mlflow.read(path, wanted)
