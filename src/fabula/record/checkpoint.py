"""Checkpoints on disk: RUN/checkpoints/step-00001000/{model.safetensors, optimizer.safetensors, state.json}.

A checkpoint is whole or does not exist: it is written beside its final name, synced and renamed. `state.json`
holds the checksums of the other files and all that is not a tensor. What the tensors mean is the business of
the room that trains; this file knows only bytes and names.
"""

import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fabula.errors import InputError
from fabula.record.files import sha256_of, whole_folder, write_json

_NAME = re.compile(r"step-(\d{8,})$")


@dataclass(frozen=True)
class Checkpoint:
    """A verified place on disk. `state` is the content of state.json."""

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
        shutil.rmtree(folder)
    with whole_folder(folder) as partial:
        for name, write in tensors.items():
            write(partial / name)
        checksums = {name: sha256_of(partial / name) for name in tensors}
        write_json(partial / "state.json", {**state, "step": step, "sha256": checksums})
    return folder


def checkpoint_steps(run: Path) -> list[int]:
    """The steps that have a checkpoint, ascending."""
    folder = run / "checkpoints"
    matches = (_NAME.match(entry.name) for entry in folder.iterdir()) if folder.is_dir() else ()
    return sorted(int(match.group(1)) for match in matches if match)


def read_checkpoint(run: Path, step: int | None = None, verify: bool = True) -> Checkpoint:
    """The checkpoint at `step`, or the latest.

    Raises InputError when there is none, when a file is missing, or when a checksum disagrees.
    """
    steps = checkpoint_steps(run)
    if not steps:
        raise InputError(f"{run} has no checkpoint; train it first, or use --resume on a run that wrote one")
    if step is not None and step not in steps:
        raise InputError(f"{run} has no checkpoint at step {step}; there are: {', '.join(map(str, steps))}")
    step = steps[-1] if step is None else step
    folder = run / "checkpoints" / f"step-{step:08d}"
    try:
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        checksums = state["sha256"]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{folder}/state.json cannot be read ({error}); remove that checkpoint folder") from error
    if verify:
        for name, expected in checksums.items():
            if not (folder / name).is_file() or sha256_of(folder / name) != expected:
                raise InputError(
                    f"{folder / name} is missing or damaged; remove that folder and use an earlier checkpoint"
                )
    return Checkpoint(folder, step, state)


def remove_old_checkpoints(run: Path, keep: int, also: set[int]) -> None:
    """Remove all but the latest `keep` checkpoints and those in `also`; keep = 0 keeps all."""
    for step in checkpoint_steps(run)[: -keep or None] if keep else []:
        if step not in also:
            shutil.rmtree(run / "checkpoints" / f"step-{step:08d}")
