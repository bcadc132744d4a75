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
        tells_all = folder.name == LATEST or parts_of(folder)[-1].parent == folder
        return [folder] if tells_all else []
    files = sorted(each for each in folder.iterdir() if each.suffix in sqlite.SUFFIXES and each.is_file())
    return [*filter(is_store, files), *([folder / aim.NAME] if aim.is_one(folder / aim.NAME) else [])]


def offline_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("run-*.wandb"))


def parts_of(folder: Path) -> list[Path]:
    """The files of W&B's run in `folder`, of which each resume makes another folder beside it, in their order."""
    name = offline_files(folder)[0].name
    return sorted(each for each in folder.parent.glob(f"*run-*/{name}") if each.parent.name != LATEST)


def is_store(path: Path) -> bool:
    """Whether a file is the database of a tracker."""
    if not sqlite.looks_like(path):
        return False
    with sqlite.opened(path) as database:
        return trackio.is_one(database) or mlflow.is_one(database)


def read(path: Path, wanted: Mapping[str, str] | None = None) -> list[Run]:
    """The runs of a store. Raises InputError as the reader of each does."""
    if path.is_dir():
        if mlflow.is_folder(path):
            return mlflow.read_folder(path, wanted)
        if aim.is_one(path):
            return aim.read(path, wanted)
        if path.name == LATEST:
            path = path.resolve()
        parts = [file.read_bytes() for file in parts_of(path) if file.parent <= path]
        return wandb_offline.read(path, parts, wanted)
    with sqlite.opened(path) as database:
        ours, theirs = trackio.is_one(database), mlflow.is_one(database)
    if not ours and not theirs:
        raise InputError(f"{path} is a database, but none of trackio's or MLflow's; export what is in it as CSV")
    return trackio.read(path, wanted) if ours else mlflow.read(path, wanted)
