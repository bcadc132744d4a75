"""Curves in the form of the reference runs (step,train_loss,val_loss,learning_rate), and what is to be seen in them.

Those of our own are drawn from formulas, so that they are at hand on every machine; where ../shared lies beside the
checkout, the reference runs are asked the same.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fabula.recipe import load_recipe
from fabula.recipe.schema import Schedule


@dataclass(frozen=True)
class Baseline:
    """A run that starts far above ln V, diverges, recovers, and diverges again for good."""

    path: Path
    first_loss: float
    divergences: tuple[tuple[int, int], tuple[int, int]]
    recovery: tuple[int, int]
    num_evaluations: int
    last_train_loss: float


@dataclass(frozen=True)
class Packed:
    """A run that starts at ln V and stays stable to its end, with its learning rates in seven digits."""

    path: Path
    schedule: Schedule
    steps: int


SCHEDULE = Schedule(peak=8e-4, floor=4e-5, warmup=1500)
STEPS = 20_000


def draw_baseline(path: Path) -> Baseline:
    """Every 500 steps; from 352 down to 4.6, twice up by about 2 and 0.5 nats."""
    steps = np.arange(0, 24_001, 500)
    loss = 4.4 + 347.6 * np.exp(-steps / 180.0) + 9.0 / (1.0 + steps / 900.0) + 0.004 * np.sin(steps * 0.7)
    loss[24:27] += [1.9, 2.4, 0.9]
    loss[27] += 0.3
    loss[42:] += [0.08, 0.25, 0.5, 0.55, 0.6, 0.62, 0.63]
    rows = [f"{step},{each + 0.01:.4f},{each:.4f}," for step, each in zip(steps, loss, strict=True)]
    path.write_text("step,train_loss,val_loss,learning_rate\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return Baseline(
        path,
        first_loss=round(float(loss[0]), 4),
        divergences=((12_000, 13_000), (21_000, 24_000)),
        recovery=(13_500, 14_000),
        num_evaluations=len(steps),
        last_train_loss=round(float(loss[-1]) + 0.01, 4),
    )


def draw_packed(path: Path) -> Packed:
    """Every 400 steps; from ln 50,257 down to 2.9, with warm-up and cosine; no training losses, as in the reference."""
    steps = np.arange(0, STEPS, 400)
    loss = 2.85 + (np.log(50_257) + 0.02 - 2.85) / (1.0 + steps / 500.0) + 0.003 * np.sin(steps * 0.3)
    done = np.clip((steps - SCHEDULE.warmup) / (STEPS - SCHEDULE.warmup), 0.0, 1.0)
    falling = SCHEDULE.floor + (SCHEDULE.peak - SCHEDULE.floor) * np.cos(np.pi * done / 2) ** 2
    rate = np.where(steps < SCHEDULE.warmup, SCHEDULE.peak * steps / SCHEDULE.warmup, falling)
    rows = [f"{step},,{each:.4f},{lr:.6e}" for step, each, lr in zip(steps, loss, rate, strict=True)]
    path.write_text("step,train_loss,val_loss,learning_rate\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return Packed(path, SCHEDULE, STEPS)


def reference_baseline(path: Path) -> Baseline:
    """The reference's scaled-up run without the better start."""
    return Baseline(path, 376.4251, ((26_000, 28_000), (44_000, 49_000)), (29_000, 31_000), 50, 5.0854)


def reference_packed(path: Path) -> Packed:
    """The reference's best run, whose schedule is that of `basic/packed`."""
    recipe = load_recipe("basic/packed")
    return Packed(path, recipe.schedule, recipe.steps)
