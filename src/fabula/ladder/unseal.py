"""The losses of a ladder's runs on the test stories, which nothing else reads: once, when all runs have ended."""

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

import fabula
from fabula.data.dataset import Dataset, open_dataset
from fabula.errors import InputError
from fabula.model.load import load_model
from fabula.record.files import content_hash, write_json
from fabula.record.ladders.described import LADDER_FILE, read_described
from fabula.record.ladders.frozen import read_frozen
from fabula.record.ladders.unsealed import TEST_FILE, Unsealed, read_unsealed
from fabula.record.lock import only_writer
from fabula.record.reader import is_run, read_run
from fabula.score.held_out import score
from fabula.score.rulers import COMMON_CONTEXT, Protocol, Ruler
from fabula.train.engine import loss_functions
from fabula.train.life.run import check_origin

PROTOCOLS: tuple[Protocol, ...] = ("stream", "story")


def unseal(ladder: Path, data: Path | None = None, tell: Callable[[str], None] = lambda line: None) -> Unsealed:
    """Score every finished run's last checkpoint on the test split, and write LADDER/test.json. `data`: where the
    stories are, if not where the runs say.

    Raises InputError where it was done already, where a run of the ladder has not ended, and for stories without a test
    split or other ones than the runs were made with.
    """
    with only_writer(ladder):
        refuse_again(ladder)
        runs = finished_runs(ladder)
        losses: dict[str, dict[str, float]] = {}
        rulers: dict[str, str] = {}
        for number, run in enumerate(runs, start=1):
            tell(f"run {number} of {len(runs)}: {run}")
            folder = ladder / run
            found, of = _losses(folder, data)
            losses[str(run)] = found
            rulers |= {f"{run.parts[1]}/{name}": hash_ for name, hash_ in of.items()}
        frozen = read_frozen(ladder)
        content = {
            "format": 1,
            "unsealed": datetime.now(UTC).isoformat(timespec="seconds"),
            "fabula": fabula.__version__,
            "plan_hash": frozen.hash if frozen and not frozen.problem else None,
            "rulers": rulers,
            "losses": losses,
        }
        write_json(ladder / TEST_FILE, {**content, "hash": content_hash(content)})
    told = read_unsealed(ladder)
    assert told is not None and not told.problem, "it was just written"
    return told


def refuse_again(ladder: Path) -> None:
    """Raise InputError where the test stories were unsealed for this ladder."""
    earlier = read_unsealed(ladder)
    if earlier is not None:
        said = earlier.problem or f"its losses were computed once, at {earlier.when}, and are kept"
        raise InputError(f"{ladder / TEST_FILE}: {said}; the test stories are scored only once for a ladder")


def finished_runs(ladder: Path) -> list[Path]:
    """The finished runs, below the ladder's folder. Raises InputError where one has not ended."""
    plan = _plan(ladder)
    due = [
        Path("runs", tier, phase["name"], f"seed-{seed}")
        for tier in plan["tiers"]
        for phase in plan["phases"]
        for seed in range(plan["seeds"])
    ]
    there = [run for run in due if is_run(ladder / run)]
    status = {run: read_run(ladder / run).status for run in there}
    grows = plan.get("until_told") is not None  # seeds that its rule did not ask for are not missing
    missing = [run for run in due if status.get(run) not in ("finished", "failed") and not (grows and run not in there)]
    if missing:
        raise InputError(
            f"{len(missing)} of {len(due)} runs have not ended, {missing[0]} among them; the test stories are scored "
            "only once, so make the ladder whole first: fabula ladder"
        )
    finished = [run for run in there if status[run] == "finished"]
    if not finished:
        raise InputError(f"{ladder} has no finished run to score")
    return finished


def _plan(ladder: Path) -> dict[str, Any]:
    if not (ladder / LADDER_FILE).is_file():
        raise InputError(f"{ladder} holds no ladder; give a folder that fabula ladder wrote")
    plan = read_described(ladder)
    if plan.get("seeds") is None:
        raise InputError(f"{ladder / LADDER_FILE} lacks seeds; run `fabula ladder` again")
    return plan


def _losses(run: Path, data: Path | None) -> tuple[dict[str, float], dict[str, str]]:
    """Ruler -> loss, and ruler -> its hash."""
    model, recipe, _ = load_model(run)
    info = read_run(run).info
    stories = open_dataset(data or Path(str(info.get("data", {}).get("path"))), recipe.tokenizer)
    check_origin(run, info, stories)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device)
    _, token_losses = loss_functions(model, some_hidden=False)
    found, hashes = {}, {}
    for name, ruler in _rulers(stories, recipe.model.context):
        told = score(token_losses, ruler, stories.tokenizer.eot, device)
        if math.isfinite(told.loss):
            found[name] = told.loss
        hashes[name] = ruler.hash
    return found, hashes


def _rulers(stories: Dataset, context: int) -> Sequence[tuple[str, Ruler]]:
    split, common = stories.unsealed(), min(COMMON_CONTEXT, context)
    of = [(name, Ruler(split, name, context)) for name in PROTOCOLS]
    return [*of, *((f"{name}_at_128", Ruler(split, name, common)) for name in PROTOCOLS)]
