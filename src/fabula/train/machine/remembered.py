"""Seconds of a step that were measured on this machine before, so that the next plan compiles nothing to know them.

They are kept in the user's cache folder under a hash of all that a step's time depends on, but for other programs: only
what was measured alone is kept, and asked for where nothing else computes.
"""

import datetime
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch

import fabula
from fabula.model.kernels.build import processor
from fabula.recipe.schema import Recipe
from fabula.record.files import write_json
from fabula.train.machine.choices import choose_compile, choose_fused, choose_precision
from fabula.train.machine.neighbours import CROWDED
from fabula.train.machine.waiting import waited_share

KEPT_DAYS = 30
"""After which a step is measured anew: a compiler or a system may have changed."""
MOST_KEPT = 200
LOOK_SECONDS, WIDTH = 0.4, 512
"""How long all threads multiply matrices of that width, to see whether they wait for a processor. Alone they wait far
less than `CROWDED` says, and beside one busy program far more."""


class Remembered(NamedTuple):
    seconds: float
    day: str
    """When it was measured, as YYYY-MM-DD."""


def cache_file() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fabula" / "steps.json"


def recall(recipe: Recipe) -> Remembered | None:
    """What a step of `recipe`, its vocabulary known, took on this machine's processor; None where that is not known, is
    long ago, or other programs compute now."""
    found = _kept().get(_key(recipe))
    return found if found is not None and is_alone() else None


def remember(recipe: Recipe, seconds: float) -> None:
    """Keep what was measured while this machine did nothing else. Where the cache cannot be written, nothing is."""
    kept = _kept()
    kept.pop(key := _key(recipe), None)  # so that it comes last
    kept[key] = Remembered(seconds, _today().isoformat())
    newest = list(kept.items())[-MOST_KEPT:]
    try:
        cache_file().parent.mkdir(parents=True, exist_ok=True)
        write_json(cache_file(), {key: each._asdict() for key, each in newest})
    except OSError:
        return


def is_alone() -> bool:
    """Whether the threads of this process get a processor whenever they want one. False also where the system does not
    say."""
    share = waited_share(_multiply)
    return share is not None and share < CROWDED


def _multiply() -> None:
    matrix, ends = torch.ones(WIDTH, WIDTH), time.perf_counter() + LOOK_SECONDS
    while time.perf_counter() < ends:
        torch.mm(matrix, matrix)


def _today() -> datetime.date:
    return datetime.datetime.now(datetime.UTC).date()


def _kept() -> dict[str, Remembered]:
    """Those that are young enough, the oldest first; none where the file is not there, or is not ours."""
    oldest = (_today() - datetime.timedelta(days=KEPT_DAYS)).isoformat()
    try:
        stored = json.loads(cache_file().read_text(encoding="utf-8"))
        found = {str(key): Remembered(float(each["seconds"]), str(each["day"])) for key, each in stored.items()}
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return {}
    return {key: each for key, each in found.items() if each.day >= oldest and 0 < each.seconds < float("inf")}


def _key(recipe: Recipe) -> str:
    """Hash of what decides how long a step takes on a processor."""
    tree: dict[str, Any] = recipe.as_tree()
    precision = choose_precision(recipe.compute.precision, "cpu").value
    depends_on = [
        fabula.__version__,
        torch.__version__,
        processor(),
        torch.get_num_threads(),
        precision,
        choose_compile(recipe, recipe.vocabulary, "cpu").value,
        choose_fused("cpu", precision).value,
        *(tree.get(part) for part in ("model", "batch", "optimizer", "compute")),
    ]
    return hashlib.sha256(json.dumps(depends_on, sort_keys=True).encode()).hexdigest()[:32]
