"""Generated curves with labels: what a rule must find, and what it must not take for it.

Labels come from how a curve was made, before any rule looks at it. `TUNING` families set the thresholds.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fabula.record.content.columns import Columns
from fabula.record.reader import Run

Generator = np.random.Generator
NAN = float("nan")


@dataclass(frozen=True)
class Labelled:
    """A record with the kinds that it was made to show; `kinds` empty: a healthy run."""

    name: str
    run: Run
    kinds: frozenset[str]


def record(
    train: np.ndarray | None = None,
    evals: np.ndarray | None = None,
    *,
    steps: np.ndarray | None = None,
    eval_steps: np.ndarray | None = None,
    held_train: np.ndarray | None = None,
    grad_norm: np.ndarray | None = None,
    learning_rate: np.ndarray | None = None,
    info: dict[str, Any] | None = None,
) -> Run:
    """A Run from arrays; steps count from 1 where none are given."""
    columns: Columns = {"step": np.array([])}
    any_train = next((each for each in (train, grad_norm, learning_rate) if each is not None), None)
    if any_train is not None:
        columns = {"step": np.arange(1.0, len(any_train) + 1) if steps is None else steps}
        named = {"loss": train, "grad_norm": grad_norm, "learning_rate": learning_rate}
        columns |= {name: values for name, values in named.items() if values is not None}
    evaluated: Columns = {"step": np.array([])}
    if evals is not None:
        assert eval_steps is not None
        evaluated = {"step": eval_steps, "val_loss": evals}
        if held_train is not None:
            evaluated["train_loss"] = held_train
    return Run(Path("generated"), dict(info or {}), columns, evaluated)


def level(random: Generator, steps: np.ndarray) -> np.ndarray:
    """A healthy fall from about ln V to some end, of one of three shapes."""
    last = float(steps[-1])
    start, end = random.uniform(8.0, 11.0), random.uniform(1.2, 4.0)
    shape = random.integers(3)
    if shape == 0:  # power law
        return end + (start - end) * (1.0 + steps / (random.uniform(0.003, 0.03) * last)) ** -random.uniform(0.5, 1.0)
    if shape == 1:  # two exponentials
        fast, slow = random.uniform(0.01, 0.05) * last, random.uniform(0.2, 0.6) * last
        part = random.uniform(0.7, 0.9)
        return end + (start - end) * (part * np.exp(-steps / fast) + (1 - part) * np.exp(-steps / slow))
    # a start that waits for its warmup
    delay = random.uniform(0.005, 0.03) * last
    return end + (start - end) / (1.0 + (steps / (3 * delay)) ** random.uniform(0.8, 1.4))


def noise(random: Generator, values: np.ndarray, size: float) -> np.ndarray:
    """Batch noise in proportion to the level: Gaussian, heavy-tailed, or with memory."""
    kind = random.integers(3)
    if kind == 0:
        drawn = random.standard_normal(len(values))
    elif kind == 1:
        drawn = random.standard_t(5, len(values)) * np.sqrt(3 / 5)
    else:
        drawn = random.standard_normal(len(values))
        for index in range(1, min(len(drawn), 20_000)):
            drawn[index] = 0.5 * drawn[index - 1] + np.sqrt(0.75) * drawn[index]
    return values + size * values * drawn


def length(random: Generator, longest: float = 4.3) -> int:
    """20 to 20,000 steps, evenly in their logarithm (10 ** 4.3); longer ones by `longest`."""
    return int(10 ** random.uniform(1.31, longest))


def healthy(random: Generator, longest: float = 4.3) -> Run:
    """Noise from a batch on every step, and evaluations on a fixed subset."""
    steps = np.arange(1.0, length(random, longest) + 1)
    size = random.uniform(0.005, 0.05)
    every = max(1, len(steps) // int(random.integers(10, 60)))
    eval_steps = np.arange(0.0, len(steps) + 1, every)
    at = level(random, np.arange(0.0, len(steps) + 1))
    evals = at[eval_steps.astype(int)]
    evals = evals + random.uniform(0.0005, 0.003) * evals * random.standard_normal(len(evals))
    which = random.integers(3)
    train = noise(random, at[1:], size)
    if which == 0:
        return record(train, steps=steps)
    if which == 1 and len(evals) >= 8:
        return record(evals=evals, eval_steps=eval_steps, held_train=evals * random.uniform(0.97, 1.0))
    return record(train, evals, steps=steps, eval_steps=eval_steps)


def bumped(random: Generator, kind: str) -> Run:
    """A healthy run with one episode: a spike, a divergence that recovers, or one that does not."""
    count = int(10 ** random.uniform(2.0, 4.3))
    steps = np.arange(0.0, count + 1)
    at = level(random, steps)
    begin = random.uniform(0.3, 0.7) * count
    here = at[int(begin)]
    height = random.uniform(0.35, 1.5) * here
    if kind == "spike":
        decay = max(5.0, random.uniform(0.0015, 0.004) * count)  # one or two bad steps are an odd batch, no spike
        bump = np.where(steps >= begin, height * np.exp(-np.maximum(steps - begin, 0.0) / decay), 0.0)
    elif kind == "recovery":
        width = random.uniform(0.1, 0.2) * count
        inside = (steps >= begin) & (steps <= begin + width)
        bump = np.where(inside, height * np.sqrt(np.maximum(0.0, np.sin(np.pi * (steps - begin) / width))), 0.0)
    else:
        rise = random.uniform(0.01, 0.05) * count
        bump = np.where(steps >= begin, height * (1 - np.exp(-(steps - begin) / rise)), 0.0)
    at = at + bump
    every = max(1, count // int(random.integers(25, 60)))
    eval_steps = steps[::every]
    evals = at[::every] * (1 + 0.001 * random.standard_normal(len(eval_steps)))
    train = noise(random, at[1:], random.uniform(0.005, 0.04))
    if kind != "spike" and random.integers(3) == 0:
        return record(evals=evals, eval_steps=eval_steps, held_train=evals * 0.99)
    return record(train, evals, steps=steps[1:], eval_steps=eval_steps)


def turned_to_nan(random: Generator) -> Run:
    run = healthy(random)
    while "loss" not in run.train:
        run = healthy(random)
    losses = run.train["loss"].copy()
    losses[int(random.uniform(0.2, 0.95) * len(losses)) :] = NAN
    return record(losses, steps=run.train["step"])


def overfitted(random: Generator) -> Run:
    """Held-out loss turns up while training loss falls on."""
    count = int(10 ** random.uniform(2.5, 4.3))
    steps = np.arange(0.0, count + 1)
    at = level(random, steps)
    turn = random.uniform(0.3, 0.6) * count
    climb = random.uniform(0.08, 0.5) * at[int(turn)]
    every = max(1, count // int(random.integers(20, 60)))
    eval_steps = steps[::every]
    away = np.maximum(0.0, (eval_steps - turn) / (count - turn))
    train = at[::every] * (1 - 0.15 * away)
    evals = at[::every] + climb * away ** random.uniform(0.8, 1.6)
    evals = evals * (1 + 0.002 * random.standard_normal(len(evals)))
    return record(
        evals=evals, eval_steps=eval_steps, held_train=train * (1 + 0.002 * random.standard_normal(len(train)))
    )


POSITIVES: dict[str, Callable[[Generator], Run]] = {
    "spike": lambda random: bumped(random, "spike"),
    "divergence": lambda random: bumped(random, "divergence"),
    "recovery": lambda random: bumped(random, "recovery"),
    "non_finite": turned_to_nan,
    "overfitting": overfitted,
}


def examples(kind: str, number: int, seed: int) -> Iterator[Run]:
    for index in range(number):
        yield POSITIVES[kind](np.random.default_rng([seed, index]))


def healthy_examples(number: int, seed: int, longest: float = 4.3) -> Iterator[Run]:
    for index in range(number):
        yield healthy(np.random.default_rng([seed, index]), longest)
