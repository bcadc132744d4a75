"""Labelled columns of the machine, and losses that are measured in different ways, for heldout.py."""

import numpy as np
from tests.findings.families import Generator, record

from fabula.findings import Flags
from fabula.record.reader import Run

Made = tuple[Run, Flags]


def _run(column: str, values: np.ndarray, every: int) -> Made:
    steps = np.arange(1.0, len(values) + 1) * every
    run = record(6.0 * np.exp(-3.0 * steps / steps[-1]) + 2.0, steps=steps, info={"log_format": "csv"})
    return Run(run.path, run.info, {**run.train, column: values}, run.evals), Flags()


def speeds(random: Generator, drops: bool) -> Made:
    """Tokens a second or seconds a step: a lasting fall at once or bit by bit, or what is none: a slow start, pauses,
    a slow stretch that ends, a small fall, noise."""
    length = int(10 ** random.uniform(1.6, 4.0))
    part = np.arange(length) / length
    noise = np.exp(random.uniform(0.005, 0.06) * random.standard_normal(length))
    speed = np.ones(length)
    at = random.uniform(0.2, 0.8)
    if drops and random.integers(2):
        speed[part >= at] = random.uniform(0.2, 0.65)
    elif drops:
        speed = np.interp(part, [0, at * 0.5, at, 1], [1, 1, *[random.uniform(0.2, 0.55)] * 2])
    else:
        kind = random.integers(5)
        if kind == 1:
            speed[part >= at] = random.uniform(0.85, 1.0)
        elif kind == 2:
            speed[(part >= at) & (part < min(0.85, at + 0.3))] = random.uniform(0.2, 0.7)
        elif kind == 3:
            speed = np.interp(part, [0, at, 1], [random.uniform(0.3, 1), 1, 1])
    speed[:: max(2, int(random.integers(10, 100)))] *= random.uniform(0.05, 0.9)  # evaluations and checkpoints
    speed[: int(random.integers(0, 3))] *= 0.02  # compiles
    rate = 10 ** random.uniform(2, 6) * speed * noise
    seconds = bool(random.integers(2))
    values = 10 ** random.uniform(2, 6) / rate if seconds else rate
    return _run("seconds_per_step" if seconds else "tokens_per_second", values, int(random.choice([1, 10, 100])))


def memories(random: Generator, grows: bool) -> Made:
    """A leak, smooth or in steps, with what is freed again; or memory that is level, that is taken at the start, that
    goes up and down, or the largest batch so far."""
    length = int(10 ** random.uniform(1.6, 4.0))
    part = np.arange(length) / length
    if grows:
        leak = random.uniform(0.3, 4.0) * part
        if random.integers(2):
            stairs = random.integers(12, 60)
            leak = leak[-1] * np.floor(part * stairs) / stairs
        used = 1.0 + leak + random.uniform(0, 0.1) * leak[-1] * random.random(length)
    else:
        kind = random.integers(4)
        used = 1.0 + random.uniform(0, 0.1) * random.random(length)
        if kind == 1:
            used += random.uniform(0.1, 3.0) * (1 - np.exp(-part / random.uniform(0.005, 0.08)))
        elif kind == 2:
            used += random.uniform(0.1, 1.0) * (0.5 + 0.5 * np.sin(2 * np.pi * part * random.uniform(3, 20)))
        elif kind == 3:
            used = np.maximum.accumulate(1.0 + 0.1 * random.standard_normal(length))
    used[: max(1, length // 50)] *= random.uniform(0.2, 1.0)
    return _run("memory", 10 ** random.uniform(0, 10) * used, int(random.choice([1, 10, 100])))


def below(random: Generator, shows: bool) -> Made:
    """Validation loss under a training loss with dropout, or beside one of the same ruler, or above it."""
    length = int(10 ** random.uniform(2, 4))
    part = np.arange(1.0, length + 1) / length
    fall = random.uniform(1.0, 3.0) + random.uniform(3.0, 7.0) * np.exp(-part / random.uniform(0.03, 0.2))
    every = max(1, length // int(random.integers(10, 60)))
    factor = (
        random.uniform(1.1, 1.6) if shows else random.choice([random.uniform(0.5, 0.95), random.uniform(0.98, 1.02)])
    )
    train = factor * fall * (1 + random.uniform(0.003, 0.03) * random.standard_normal(length))
    evals = fall[every - 1 :: every] * (1 + 0.002 * random.standard_normal(len(fall[every - 1 :: every])))
    at = np.arange(1.0, length + 1)[every - 1 :: every]
    return record(train, evals, eval_steps=at, info={"log_format": "csv"}), Flags()
