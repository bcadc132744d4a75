"""Courses of trainings, each with one thing that is wrong or nothing, as a loop would have them step by step."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

STEPS = 600


@dataclass(frozen=True)
class Moment:
    step: int
    loss: float
    grad_norm: float
    learning_rate: float
    val_loss: float | None


def course(fault: str, seed: int = 0) -> Iterator[Moment]:
    """Losses that fall to about 2, measured every 20 steps on held-out stories; `fault` says what goes wrong."""
    noise = np.random.default_rng(seed)
    for step in range(1, STEPS + 1):
        level = 2.0 + 8.8 * math.exp(-step / 60)
        rate = 1e-3 * min(1.0, step / 50) * (1.0 - 0.9 * step / STEPS)
        norm = 1.0 + 0.1 * noise.standard_normal()
        if fault == "divergence" and step > 300:
            level += min(3.0, (step - 300) / 20)
            norm *= 4.0
        if fault == "spike" and 300 < step <= 330:
            level += 2.0
        if fault == "not finite" and step > 400:
            level = math.nan
        held_out = level + (step - 250) / 300 if fault == "overfitting" and step > 250 else level
        if fault == "raised rate" and step > 300:
            rate *= 5.0
        loss = level + 0.02 * noise.standard_normal()
        measured = held_out + 0.004 * noise.standard_normal()
        yield Moment(step, loss, abs(norm), rate, measured if step % 20 == 0 else None)


FAULTS = ("nothing", "divergence", "spike", "not finite", "overfitting", "raised rate")


def lines(folder: Path, name: str = "metrics") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
