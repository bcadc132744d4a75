"""The ladder's folder: LADDER/ladder.json and its runs."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from fabula.data.dataset import Dataset
from fabula.errors import InputError
from fabula.recipe.ladder import Ladder, PlannedRun
from fabula.recipe.presets.files import current_name
from fabula.record.files import make_folder, write_json
from fabula.record.ladders.frozen import PLAN_FILE, read_frozen
from fabula.record.reader import is_run, read_run
from fabula.train.life.run import check_origin, stored_recipe


def describe(
    ladder: Ladder, planned: Sequence[PlannedRun], num_seeds: int, scale: float, command: str, workers: int = 1
) -> dict[str, Any]:
    """The content of ladder.json: what was asked for, and the command that did."""
    tiers, phases = ({getattr(run, name): None for run in planned} for name in ("tier", "phase"))
    cells = {cell.name: cell for cell in ladder.cells}
    return {
        "format": 1,
        "name": ladder.name,
        "design": ladder.design,
        "tiers": list(tiers),
        "phases": [
            {"name": name, "change": cells[name].change, "includes": [phase.name for phase in cells[name].phases]}
            for name in phases
        ],
        "seeds": num_seeds,
        "scale": scale,
        "workers": workers,
        "command": command,
    }


def _is_fresh(out: Path) -> bool:
    """Whether nothing but a frozen plan is there."""
    return not out.exists() or (out.is_dir() and all(each.name == PLAN_FILE for each in out.iterdir()))


def with_earlier(out: Path, description: dict[str, Any], ladder: Ladder) -> dict[str, Any]:
    """`description`, together with the tiers, phases and seeds of the ladder that stands in `out`, in the order of
    `ladder`. Nothing is written.

    Raises InputError when `out` holds something else, or a ladder of another name, design, scale or way to stop.
    """
    path = out / "ladder.json"
    if not path.is_file():
        if not _is_fresh(out):
            raise InputError(f"{out} exists and is not a ladder; choose another --out")
        frozen = read_frozen(out)
        if frozen is not None and frozen.problem:
            raise InputError(f"{out}: {frozen.problem}; no run is there yet: delete the file and freeze it anew")
        return {**description, **({"plan_hash": frozen.hash} if frozen else {})}
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        stored = {"design": ladder.design, **stored}  # ladders of before it was written down
        stored["name"] = current_name(stored["name"])
        differences = [key for key in ("name", "design", "scale") if stored[key] != description[key]]
        tiers = dict.fromkeys([*stored["tiers"], *description["tiers"]])
        phases = {each["name"]: each for each in [*stored["phases"], *description["phases"]]}
        num_seeds = max(stored["seeds"], description["seeds"])
        grows = stored.get("until_told") is not None
        workers = max(stored["workers"], description["workers"]) if stored.get("workers") else None  # not known
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged ({error!r}); choose another --out") from error
    for key in differences:
        raise InputError(f"{out} holds a ladder with {key} {stored[key]}, not {description[key]}; choose another --out")
    if grows != ("until_told" in description):
        what = "a ladder that grows until it is told" if grows else "a ladder with a fixed number of seeds"
        raise InputError(f"{out} holds {what}, and how it stops was settled before its first run; choose another --out")
    return {
        **description,
        **{key: stored[key] for key in ("plan_hash", "on") if key in stored},
        "tiers": _in_order(tiers, [Path(tier).stem for tier in ladder.tiers]),
        "phases": [phases[name] for name in _in_order(phases, [cell.name for cell in ladder.cells])],
        "seeds": num_seeds,
        "workers": workers,
    }


def open_folder(out: Path, description: dict[str, Any]) -> None:
    """Create the ladder's folder with its ladder.json, or replace that."""
    make_folder(out)
    write_json(out / "ladder.json", description)


def note_until_told(out: Path, until_told: Mapping[str, Any]) -> None:
    """Replace what ladder.json holds of how a growing ladder stands."""
    stored = json.loads((out / "ladder.json").read_text(encoding="utf-8"))
    write_json(out / "ladder.json", {**stored, "until_told": until_told})


def _in_order(names: Iterable[str], order: list[str]) -> list[str]:
    """`names` as `order` has them, and then those that it does not have."""
    return sorted(names, key=lambda name: order.index(name) if name in order else len(order))


def how_it_ended(planned: PlannedRun, out: Path, data: Dataset) -> Literal["finished", "failed"] | None:
    """How this run ended, where it has an end in the ladder's folder; None where it is missing or may go on.

    A run whose loss did not stay finite has failed for good: the same steps would come to the same numbers. One that
    an error stopped may go on.

    Raises InputError when the run that is there has another recipe, other stories or another tokenizer.
    """
    folder = out / planned.folder
    if not is_run(folder):
        return None
    run, stored = read_run(folder), stored_recipe(folder)
    vocabulary = planned.recipe.model.vocabulary or stored.model.vocabulary  # the data's, where the plan names none
    wanted = planned.recipe.with_values(**{"model.vocabulary": vocabulary})
    if stored != wanted:
        raise InputError(f"{folder} was made with another recipe; choose another --out for the changed ladder")
    check_origin(folder, run.info, data, planned.seed)
    if run.status == "failed" and any(event.get("event") == "failed" for event in run.events):
        return "failed"
    return "finished" if run.status == "finished" else None
