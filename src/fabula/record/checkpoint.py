"""Checkpoints on disk: RUN/checkpoints/step-00001000/{model.safetensors, optimizer.safetensors, state.json}.

A checkpoint is whole or does not exist: it is written beside its final name, synced and renamed. `state.json`
holds all that is not a tensor, the checksums of the other files, and one of itself. What the tensors mean is the
business of the package that trains; this file knows only bytes and names.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fabula.errors import InputError
from fabula.record.content.parsing import json_value
from fabula.record.files import PARTIAL, make_folder, sha256_of, sync_folder, whole_folder, write_json

_NAME = re.compile(r"step-(\d{8,})$")
_REMEDY = "remove that checkpoint's folder, and the one before it is used"


@dataclass(frozen=True)
class Checkpoint:
    """A place on disk, verified by its checksums. `state` is the content of state.json."""

    folder: Path
    step: int
    state: dict[str, Any]

    @property
    def model(self) -> Path:
        return self.folder / "model.safetensors"

    @property
    def optimizer(self) -> Path:
        return self.folder / "optimizer.safetensors"


def write_checkpoint(
    run: Path, step: int, tensors: Mapping[str, Callable[[Path], None]], state: Mapping[str, Any]
) -> Path:
    """Write one checkpoint; `tensors` maps a file name to the function that writes it to a path."""
    folder = run / "checkpoints" / f"step-{step:08d}"
    if folder.exists():
        remove_checkpoint(run, step)
    with whole_folder(folder) as partial:
        for name, write in tensors.items():
            write(partial / name)
        checksums = {name: sha256_of(partial / name) for name in tensors}
        content = {**state, "step": step, "sha256": checksums}
        write_json(partial / "state.json", {**content, "checksum": _checksum(content)})
    return folder


def checkpoint_steps(run: Path) -> list[int]:
    """The steps that have a checkpoint, ascending."""
    folder = run / "checkpoints"
    matches = (_NAME.match(entry.name) for entry in folder.iterdir()) if folder.is_dir() else ()
    return sorted(int(match.group(1)) for match in matches if match)


def read_checkpoint(run: Path, step: int | None = None, only: str | None = None) -> Checkpoint:
    """The checkpoint at `step`, or the latest. `only` names the one file that is needed; the others may lack.

    Raises InputError when there is none, when a file is missing, or when a checksum disagrees.
    """
    steps = checkpoint_steps(run)
    if not steps:
        raise InputError(f"{run} has no checkpoint; give a run that has been trained far enough to write one")
    if step is not None and step not in steps:
        raise InputError(f"{run} has no checkpoint at step {step}; choose one of: {', '.join(map(str, steps))}")
    step = steps[-1] if step is None else step
    folder = run / "checkpoints" / f"step-{step:08d}"
    state = _read_state(folder / "state.json")
    for name, expected in state["sha256"].items():
        if only in (None, name) and (not (folder / name).is_file() or sha256_of(folder / name) != expected):
            raise InputError(f"{folder / name} is missing or damaged", _REMEDY)
    return Checkpoint(folder, step, state)


def _read_state(path: Path) -> dict[str, Any]:
    try:
        state = json_value(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error})", _REMEDY) from error
    # Without a checksum it was written by hand or before there was one; then only the tensors are verified.
    whole = isinstance(state, dict) and state.pop("checksum", None) in (None, _checksum(state))
    if not whole or not isinstance(state.get("sha256"), dict):
        raise InputError(f"{path} is damaged", _REMEDY)
    return state


def _checksum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def remove_old_checkpoints(run: Path, keep: int, also: set[int]) -> None:
    """Remove all but the latest `keep` checkpoints and those at the steps in `also`; keep = 0 keeps all."""
    for step in checkpoint_steps(run)[:-keep] if keep else []:
        if step not in also:
            remove_checkpoint(run, step)


def set_aside_after(run: Path, step: int) -> list[int]:
    """Move the checkpoints behind `step` to checkpoints.discarded/, the latest first, and return their steps: the run
    goes on from `step`, and a checkpoint of other steps than it makes must not be taken for its own."""
    later = [each for each in checkpoint_steps(run) if each > step]
    for each in reversed(later):
        folder = run / "checkpoints" / f"step-{each:08d}"
        place = run / "checkpoints.discarded" / folder.name
        make_folder(place.parent)
        if place.exists():
            shutil.rmtree(place)
        folder.rename(place)
        sync_folder(place.parent)
        sync_folder(folder.parent)
    return later


def remove_checkpoint(run: Path, step: int) -> None:
    """Renamed first: a process that is killed on the way, or a power cut, leaves litter, and no half of a checkpoint
    under its name."""
    folder = run / "checkpoints" / f"step-{step:08d}"
    doomed = folder.with_name(f".{folder.name}.{os.getpid()}{PARTIAL}")
    folder.rename(doomed)
    sync_folder(doomed.parent)
    shutil.rmtree(doomed)
