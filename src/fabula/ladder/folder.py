"""The ladder's folder: LADDER/ladder.json and its runs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fabula.errors import InputError
from fabula.recipe.ladder import Ladder, PlannedRun
from fabula.record.files import write_json
from fabula.record.reader import is_run, read_run
from fabula.text.prepared import PreparedData
from fabula.train.loop import stored_recipe


def describe(
    ladder: Ladder, planned: Sequence[PlannedRun], num_seeds: int, scale: float, command: str
) -> dict[str, Any]:
    """The content of ladder.json."""
    tiers, phases = ({getattr(run, name): None for run in planned} for name in ("tier", "phase"))
    changes = {phase.name: phase.change for phase in ladder.phases}
    return {
        "format": 1,
        "name": ladder.name,
        "tiers": list(tiers),
        "phases": [{"name": name, "change": changes[name]} for name in phases],
        "seeds": num_seeds,
        "scale": scale,
        "command": command,
    }


def open_folder(out: Path, description: dict[str, Any]) -> None:
    """Create the ladder's folder, or add tiers, phases and seeds to one that is there.

    Raises InputError when `out` holds something else, or a ladder of another name or scale.
    """
    path = out / "ladder.json"
    if not path.is_file():
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise InputError(f"{out} exists and is no ladder; choose another --out")
        out.mkdir(parents=True, exist_ok=True)
        write_json(path, description)
        return
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        for key in ("name", "scale"):
            if stored[key] != description[key]:
                raise InputError(
                    f"{out} holds a ladder with {key} {stored[key]}, not {description[key]}; choose another --out"
                )
        merged = {**description, "seeds": max(stored["seeds"], description["seeds"])}
        for key in ("tiers", "phases"):
            merged[key] = stored[key] + [each for each in description[key] if each not in stored[key]]
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is damaged ({error!r}); choose another --out") from error
    write_json(path, merged)


def is_finished(planned: PlannedRun, out: Path, data: PreparedData) -> bool:
    """Whether this run stands complete in the ladder's folder.

    Raises InputError when the run that is there has another recipe or other stories.
    """
    folder = out / planned.folder
    if not is_run(folder):
        return False
    run, stored = read_run(folder), stored_recipe(folder)
    wanted = planned.recipe.with_values(**{"model.vocabulary": planned.recipe.vocabulary or stored.model.vocabulary})
    if stored != wanted:
        raise InputError(f"{folder} was made with another recipe; choose another --out for the changed ladder")
    hashes = {name: facts.text_hash for name, facts in data.manifest.splits.items()}
    if run.info["data"]["text_hashes"] != hashes or run.info["data"]["tokenizer_hash"] != data.tokenizer.hash:
        raise InputError(f"{folder} was trained on other stories or another tokenizer than {data.folder} holds")
    return run.status == "finished"
