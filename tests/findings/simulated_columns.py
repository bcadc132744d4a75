"""What a simulated training's log says beside its losses: how fast it was and how much memory it took, with labels; and
a training loss that is measured in another way than the validation's.

Labels follow from what was done. Between yes and no lies a gap: a speed that falls to between 0.7 and 0.85, memory that
grows by 5 to 20 %, losses that differ by 2 to 9 %.
"""

import numpy as np
from tests.findings.dynamics import Array

from fabula.record.content.columns import Columns

Generator = np.random.Generator
LEAST_LINES = 60
MEASURED_APART = 0.15
"""How often the logged training loss is not of the validation's ruler: dropout, label smoothing, another term."""


def machine(random: Generator, lines: int) -> tuple[Columns, dict[str, bool]]:
    """Columns of `lines` values, and whether the speed falls for good and the memory leaks."""
    part = np.arange(lines) / max(1, lines - 1)
    labels: dict[str, bool] = {}
    long = lines >= LEAST_LINES
    at, falls, leaks = random.uniform(0.15, 0.8), long and random.random() < 0.2, long and random.random() < 0.2
    speed = np.where(part < at, 1.0, random.uniform(0.2, 0.65) if falls else random.uniform(0.9, 1.3))
    if not falls and random.random() < 0.3:  # slow for a while
        speed[(part > at) & (part < at + 0.12)] *= 0.5
    speed *= np.exp(random.uniform(0.01, 0.1) * random.standard_normal(lines))
    speed[:: int(random.integers(8, 50))] *= random.uniform(0.1, 0.9)
    speed[0] *= 0.05
    used = 1.0 + 0.03 * random.random(lines) + random.uniform(0.0, 2.0) * (1.0 - np.exp(-part / 0.01))
    if leaks:
        used += random.uniform(0.3, 3.0) * part ** random.uniform(0.8, 1.3) * used[-1]
    if long:
        labels = {"throughput_dropped": falls, "memory_growing": leaks}
    return {"tokens_per_second": 1e4 * speed, "memory": 1e9 * used}, labels


def measured_apart(random: Generator, loss: Array, fault: str) -> tuple[Array, bool]:
    """The training loss as it is logged, and whether it lies above that of the same ruler."""
    if fault != "none" or random.random() > MEASURED_APART:
        return loss, False
    return loss * random.uniform(1.12, 1.5), True


def below(eval_steps: Array, held: Array, train_steps: Array, train: Array) -> dict[str, bool]:
    """Whether the exact validation loss lies below the logged training loss over the later half, from exact losses."""
    late = eval_steps[eval_steps >= 0.5 * (eval_steps[0] + eval_steps[-1])] if len(eval_steps) else eval_steps
    if len(late) < 6 or len(train_steps) < LEAST_LINES:
        return {}
    ratios = np.interp(late, train_steps, train) / np.interp(late, eval_steps, held)
    if not np.isfinite(ratios).all():
        return {}
    if ratios.min() > 1.09:
        return {"validation_below_training": True}
    return {"validation_below_training": False} if np.median(ratios) < 1.02 else {}
