"""What a command takes for granted where nothing is said: the only prepared stories, a recipe that reads them, a new
folder. Each is told in the command's first line.

Only names on disk are looked at, so that the first line comes before a library is loaded.
"""

import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from fabula.cli.screen.terminal import tell
from fabula.errors import InputError

MANIFEST = "manifest.json"
RUNS = Path("runs")
MOST_LISTED = 6


PRESETS = Path(__file__).parents[2] / "recipe" / "presets"
LOADING = "; loading torch ..."
"""Seconds in which nothing else could be shown."""


class Chosen(NamedTuple):
    """A value, and why it is that one; no reason where the user gave it."""

    value: str
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.value} ({self.reason})" if self.reason else self.value


def choose_data(given: Path | None) -> Chosen:
    """The prepared folder: the one that was given, or the only one under data/, else here.

    Raises InputError when there is none, or when there are several.
    """
    if given is not None:
        return Chosen(str(given))
    found = _prepared(Path("data")) or _prepared(Path())
    if not found:
        raise InputError("no prepared stories in data/ or here; make some, for example with: fabula prepare builtin")
    if len(found) > 1:
        listed = ", ".join(map(str, found[:MOST_LISTED])) + (", ..." if len(found) > MOST_LISTED else "")
        raise InputError(f"there are several prepared folders ({listed}); say which one with --data")
    return Chosen(str(found[0]), "the only prepared stories here")


def _prepared(place: Path) -> list[Path]:
    """The prepared folders that `place` is or holds."""
    folders = [place, *sorted(place.iterdir())] if place.is_dir() else []
    return [
        folder
        for folder in folders
        if not folder.name.startswith(".") and (folder / MANIFEST).is_file() and (folder / "tokens").is_dir()
    ]


def called_today(name: str) -> str:
    """`name` of a ladder or recipe; where it has another one today, that one, of which a line on stderr tells."""
    from fabula.recipe.presets.files import current_name

    today = current_name(name)
    if today != name:
        tell(f"fabula: {name} is called {today} now", stderr=True)
    return today


def as_begun(ladder: Path, tiers: Sequence[str]) -> list[str]:
    """`tiers` by the names that they had when the ladder in this folder was begun: its runs lie under those."""
    from fabula.recipe.presets.files import EARLIER_NAMES

    begun = {today: name for name, today in EARLIER_NAMES.items() if (ladder / "runs" / name).is_dir()}
    return [begun.get(tier, tier) for tier in tiers]


def choose_recipe(data: Path) -> tuple[Chosen, list[str]]:
    """The recipe that reads these stories, and the settings that make it."""
    from fabula.api.reading_recipe import recipe_reading_data

    reads = recipe_reading_data(data)
    return Chosen(reads.name, reads.reason), [f"{field}={value}" for field, value in reads.settings.items()]


def new_run_folder(recipe: str) -> Chosen:
    """runs/RECIPE-N with the first free number N."""
    name = Path(recipe.removesuffix(".toml")).name if recipe.endswith(".toml") else recipe.replace("/", "-")
    number = 1
    while (RUNS / f"{name}-{number}").exists():
        number += 1
    return Chosen(str(RUNS / f"{name}-{number}"), "a new folder")


def ladder_folder(ladder: str, given: Path | None) -> Chosen:
    """runs/ladder-NAME: always the same, so that the same call goes on with what is there."""
    if given is not None:
        return Chosen(str(given))
    from fabula.recipe.presets.files import EARLIER_NAMES

    earlier = (RUNS / f"ladder-{old}" for old, name in EARLIER_NAMES.items() if name == ladder)
    place = next((folder for folder in earlier if folder.exists()), RUNS / f"ladder-{ladder}")
    return Chosen(str(place), "goes on with what is there" if place.exists() else "a new folder")


def data_of(run: Path) -> Path | None:
    """The prepared folder that a run was made with, where it still stands at its place."""
    try:
        path = Path(json.loads((run / "run.json").read_text(encoding="utf-8"))["data"]["path"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return path if (path / MANIFEST).is_file() else None


def need_torch() -> None:
    """Raise ModuleNotFoundError where torch is not installed, before anything else is found to be missing."""
    if find_spec("torch") is None:
        raise ModuleNotFoundError("torch is not installed", name="torch")


def announce(what: str, recipe: str | None, data: Path, out: Path | None) -> None:
    """Say on stderr what begins, before torch is loaded; nothing where names alone show that it cannot begin, for then
    one line is to say what is wrong. `out` is a folder that must be free."""
    if not (data / MANIFEST).is_file() or (recipe is not None and not _is_recipe(recipe)):
        return
    if out is not None and not is_free(out):
        return
    tell(f"fabula: {what}{LOADING}", stderr=True)


def is_free(folder: Path) -> bool:
    """Whether a run may be written to `folder`: it is not there, or it is empty."""
    return not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))


def _is_recipe(name: str) -> bool:
    if name.endswith(".toml"):
        return Path(name).is_file()
    from fabula.recipe.presets.files import FAMILIES, PLAN

    return name in (PLAN, *(f"{PLAN}/{family}" for family in FAMILIES)) or any(
        (PRESETS / kind / f"{name.partition('/')[0]}.toml").is_file() for kind in ("tiers", "recipes")
    )
