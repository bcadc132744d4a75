"""How far a run is, how fast, and when it will be done: from its record while it grows."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fabula.study.views import RunView


@dataclass(frozen=True)
class Progress:
    step: int
    steps: int | None
    """What was planned; None where the record does not say."""
    loss: float | None
    """Of the newest batch."""
    tokens_per_second: float | None
    seconds_left: float | None
    """None where nobody can know it yet."""


def progress(view: RunView, lines: Sequence[Mapping[str, Any]], seconds_per_step: float | None = None) -> Progress:
    """Of `view`, which was read a while ago; `lines` are the last ones of its record as it is now, where that can be
    read from its end. `seconds_per_step`: as it was seen from outside, for a log that does not tell."""
    made = _last_attempt([line for line in lines if line.get("kind") == "train"])
    newest: Mapping[str, Any] = made[-1] if made else view.last
    step = int(_finite(newest.get("step")) or 0)
    steps = _finite(view.of("steps"))
    return Progress(
        step,
        int(steps) if steps else None,
        _finite(newest.get("loss")),
        _typical(made, "tokens_per_second") or _finite(view.last.get("tokens_per_second")),
        _seconds_left(view, made, step, steps, seconds_per_step),
    )


def _seconds_left(
    view: RunView, made: Sequence[Mapping[str, Any]], step: int, steps: float | None, seconds_per_step: float | None
) -> float | None:
    """Of the steps at their present speed, and of the evaluations that are due."""
    if not steps or step >= steps:
        return None
    each = _seconds_per_step(made) or seconds_per_step
    return None if each is None else (steps - step) * each + _evaluations(view, steps - step)


def _seconds_per_step(made: Sequence[Mapping[str, Any]]) -> float | None:
    if len(made) < 2:
        return None
    apart = [(_finite(made[-1].get(name)) or 0.0) - (_finite(made[0].get(name)) or 0.0) for name in ("seconds", "step")]
    return apart[0] / apart[1] if min(apart) > 0 else None


def _evaluations(view: RunView, steps_left: float) -> float:
    """Seconds of those to come: as many as so far in as many steps, and the whole split at the end, as at the start."""
    evals = view.run.evals if view.run is not None else {}
    seconds = evals.get("evaluation_seconds", np.array([]))
    if len(seconds) < 2 or not evals["step"][-1] > evals["step"][0]:
        return float(np.nansum(seconds))
    return float(seconds[0] + np.nansum(seconds[1:]) / (evals["step"][-1] - evals["step"][0]) * steps_left)


def _last_attempt(made: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The lines since the steps went back, where they did."""
    steps = [_finite(line.get("step")) or 0.0 for line in made]
    begun = max((place for place in range(1, len(made)) if steps[place] <= steps[place - 1]), default=0)
    return made[begun:]


def _typical(made: Sequence[Mapping[str, Any]], name: str) -> float | None:
    values = [value for line in made if (value := _finite(line.get(name))) is not None]
    return float(np.median(values)) if values else None


def _finite(value: Any) -> float | None:
    """A number of a record, in which anything may stand."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > 1e15:
        return None
    return float(value) if math.isfinite(value) else None
