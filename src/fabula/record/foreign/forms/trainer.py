"""The output folder of the Hugging Face Trainer: trainer_state.json of its latest checkpoint, or the folder's own.

training_args.bin beside it, which would tell more, is a pickle and is never opened.
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fabula.errors import InputError
from fabula.record.content.parsing import json_value
from fabula.record.content.shape import LARGEST, count_or_zero
from fabula.record.files import refuse_pointer
from fabula.record.foreign.forms import jsonl
from fabula.record.foreign.lines.numbers import as_float, is_number
from fabula.record.foreign.notes import Note, note
from fabula.record.reader import Run

STATE = "trainer_state.json"
MOST_EPOCHS = 1e9
"""More are no training."""


def is_output(folder: Path) -> bool:
    return any(_states(folder))


def read_folder(folder: Path, wanted: Mapping[str, str] | None = None) -> list[Run]:
    """The run of an output folder. Raises InputError when its state cannot be read or logged nothing."""
    states = [
        (count_or_zero(state.get("global_step")), path, state) for path in _states(folder) for state in [_load(path)]
    ]
    _, path, state = max(states, key=lambda each: each[0])
    return _runs(folder, path, state, wanted)


def read(path: Path, text: str, wanted: Mapping[str, str] | None = None) -> list[Run]:
    """The run of a trainer_state.json that is given by itself."""
    return _runs(path, path, _parsed(path, text), wanted)


def traps(apart: float | None) -> list[Note]:
    """What holds of every loss that the Trainer logs, a value every `apart` steps (None: not known)."""
    steps = "how many, the log does not say" if apart is None else f"{apart:,g} steps"
    return [note("window_mean", steps=steps), note("nan_filtered"), note("maybe_scaled")]


def zeros_as_nan(lines: list[dict[str, Any]]) -> list[Note]:
    """Put NaN for losses of exactly 0 that follow a loss far above it, and say so. Changes `lines`.

    The filter adds the mean so far for a NaN; where all losses of a window are NaN that mean is 0.
    """
    before = 0.0
    notes: list[Note] = []
    if any(is_number(line.get("loss")) and as_float(line["loss"]) < 0.0 for line in lines):
        return notes  # no loss of words: that of a policy lies around 0
    for line in lines:
        if not is_number(line.get("loss")):
            continue
        loss = as_float(line["loss"])
        if loss == 0.0 and before > 0.01:  # a mean of 0 to all digits does not follow at once from a hundredth
            line["loss"] = float("nan")
            if not notes:
                notes.append(note("zero_is_nan", before=f"{before:.3g}", step=line.get("step", "unknown")))
        elif loss == loss:
            before = loss
    return notes


def _states(folder: Path) -> list[Path]:
    checkpoints = [path for path in folder.glob("checkpoint-*") if re.fullmatch(r"checkpoint-\d+", path.name)]
    return [each / STATE for each in [folder, *checkpoints] if (each / STATE).is_file()]


def _load(path: Path) -> dict[str, Any]:
    try:
        content = path.read_bytes()
        refuse_pointer(path, content)
        return _parsed(path, content.decode())
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error})") from error


def _parsed(path: Path, text: str) -> dict[str, Any]:
    try:
        state = json_value(text)
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON ({error}); remove it, and an earlier checkpoint is read") from error
    if not isinstance(state, dict) or not isinstance(state.get("log_history"), list):
        raise InputError(f"{path} has no log_history, so the Trainer did not write it")
    return state


def _runs(given: Path, path: Path, state: dict[str, Any], wanted: Mapping[str, str] | None) -> list[Run]:
    lines = [dict(line) for line in state["log_history"] if isinstance(line, dict)]
    if not lines:
        raise InputError(f"{path}: its log_history is empty; the Trainer logs every logging_steps steps")
    step, planned = count_or_zero(state.get("global_step")), count_or_zero(state.get("max_steps"))
    notes = [*traps(_spacing(state)), *zeros_as_nan(lines)]
    sets = sorted({name for line in lines for name in line if re.fullmatch(r"eval_\w+_loss", name)})
    if len(sets) > 1 and not any("eval_loss" in line for line in lines):
        first = next(name for line in lines for name in line if name in sets)
        notes.append(note("several_evaluations", sets=len(sets), name=first))
    info: dict[str, Any] = {}
    if planned > 0:
        info["steps"] = planned
        if step >= planned:
            info["status"] = "finished"
        else:
            notes.append(note("latest_checkpoint", step=f"{step:,}", planned=f"{planned:,}"))
        if step and isinstance(epoch := state.get("epoch"), (int, float)) and 0 < epoch < MOST_EPOCHS:
            info["layout"] = {"epochs": float(epoch) * planned / step}
    if vocabulary := _vocabulary(path.parent):
        info["vocabulary"] = vocabulary
    return jsonl.runs_in(given, "trainer", lines, notes, wanted, **info)


def _spacing(state: dict[str, Any]) -> float | None:
    """logging_steps; below 1 it is a share of all steps."""
    given, planned = state.get("logging_steps"), count_or_zero(state.get("max_steps"))
    if not isinstance(given, (int, float)) or not 0 < given < LARGEST:
        return None
    return float(given) if given >= 1 else float(math.ceil(given * planned)) or None


def _vocabulary(folder: Path) -> int | None:
    """The size that stands in the model's config.json beside the state, if there is one."""
    config = folder / "config.json"
    if not config.is_file():
        return None
    try:
        content = json_value(config.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{config} cannot be read ({error}); remove it, and give --vocab instead") from error
    if not isinstance(content, dict):
        return None
    inner = content.get("text_config")
    size = count_or_zero(content.get("vocab_size")) or count_or_zero(
        (inner if isinstance(inner, dict) else {}).get("vocab_size")
    )
    return size if size > 1 else None
