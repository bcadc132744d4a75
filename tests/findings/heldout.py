"""Labelled curves from families that no threshold was set on.

Shapes, noises and lengths differ from those in families.py: stretched exponentials and broken lines, Laplace and
log-normal noise, 20 to 150,000 steps, logs that hold every k-th step. `CASES` has, for each kind, curves that show it
and curves that do not; the labels follow from how a curve is made.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from tests.findings.families import NAN, Generator, record
from tests.findings.heldout_columns import below, memories, speeds

from fabula.findings import Flags
from fabula.record.reader import Run

Made = tuple[Run, Flags]
Maker = Callable[[Generator], Made]
NO_FLAGS = Flags()


@dataclass(frozen=True)
class Case:
    shows: Maker
    shows_not: Maker


def count(random: Generator, least: float = 1.31, most: float = 5.176) -> int:
    """20 to 150,000 steps, evenly in their logarithm."""
    return int(10 ** random.uniform(least, most))


def fall(random: Generator, steps: np.ndarray, flat_from: float = 1.0) -> np.ndarray:
    """A healthy loss: a stretched exponential, or a broken line in the logarithm of the step."""
    last = float(steps[-1])
    start, end = random.uniform(7.5, 11.5), random.uniform(1.0, 4.5)
    if random.integers(2):
        scale, stretch = random.uniform(0.01, 0.08) * last, random.uniform(0.45, 0.9)
        return end + (start - end) * np.exp(-((np.minimum(steps, flat_from * last) / scale) ** stretch))
    knots = np.log1p(np.array([0.0, 0.003, 0.03, 0.2, flat_from, 1.0]) * last)
    parts = np.cumsum([0.0, *np.sort(random.dirichlet(np.ones(4)))[::-1]])
    levels = start - (start - end) * np.append(parts, 1.0)
    return np.interp(np.log1p(steps), knots, levels)


def batch_noise(random: Generator, values: np.ndarray) -> np.ndarray:
    """Laplace, log-normal, or a moving average of three; 0.5 to 4 % of the level."""
    size = random.uniform(0.005, 0.04)
    kind = random.integers(3)
    if kind == 0:
        return values * (1 + size * random.laplace(0, 1 / np.sqrt(2), len(values)))
    if kind == 1:
        return values * random.lognormal(0, size, len(values))
    drawn = np.convolve(random.standard_normal(len(values) + 2), np.ones(3) / np.sqrt(3), "valid")
    return values * (1 + size * drawn)


def logged(random: Generator, loss: np.ndarray, gap: float = 0.02) -> Run:
    """Losses of steps 0..n as a log: every step, every k-th one, evaluations beside them, or evaluations alone."""
    steps = np.arange(float(len(loss)))
    which = random.integers(4)
    points = int(random.integers(20, 80))
    every = max(1, (len(loss) - 1) // points)
    evals, eval_steps = loss[::every], steps[::every]
    evals = evals * (1 + random.uniform(0.0005, 0.003) * random.standard_normal(len(evals)))
    noisy = batch_noise(random, loss[1:])
    if which == 0 and len(evals) >= 12:
        return record(evals=evals, eval_steps=eval_steps, held_train=evals * (1 - gap))
    if which == 1 and len(loss) > 400:
        stride = int(random.choice([2, 5, 10]))
        return record(noisy[stride - 1 :: stride], steps=steps[1:][stride - 1 :: stride])
    if which == 2 and len(evals) >= 12:
        return record(noisy, evals, steps=steps[1:], eval_steps=eval_steps)
    return record(noisy, steps=steps[1:])


def healthy(random: Generator) -> Made:
    return logged(random, fall(random, np.arange(count(random) + 1.0))), NO_FLAGS


def with_episode(random: Generator, kind: str) -> Made:
    """Heights of 0.3 to 2 times the level; a spike is short, a divergence takes a fifth of the run or stays."""
    length = count(random, 2.5)
    steps = np.arange(length + 1.0)
    loss = fall(random, steps)
    begin = int(random.uniform(0.25, 0.75) * length)
    height = random.uniform(0.3, 2.0) * loss[begin]
    after = steps - begin
    if kind == "spike":
        width = max(8.0, random.uniform(0.003, 0.01) * length)
        shape = random.integers(3)
        if shape == 0:  # a triangle
            bump = np.clip(1 - np.abs(after - width / 2) / (width / 2), 0, None)
        elif shape == 1:  # a step up and back
            bump = ((after >= 0) & (after < width)).astype(float)
        else:
            bump = np.exp(-0.5 * ((after - width / 2) / (width / 4)) ** 2)
        bumped = loss + height * bump
        return record(batch_noise(random, bumped[1:])), NO_FLAGS
    if kind == "recovery":
        width = random.uniform(0.15, 0.25) * length  # three evaluations or more, however few there are
        bump = np.where(
            after >= 0,
            np.minimum(1.0, after / (0.2 * width)) * np.exp(-np.maximum(after - width, 0) / (0.2 * width)),
            0,
        )
    elif random.integers(2):
        bump = (after >= 0).astype(float)
    else:
        bump = np.clip(after / (random.uniform(0.005, 0.08) * length), 0, 1)
    return logged(random, loss + height * bump), NO_FLAGS


def not_finite(random: Generator) -> Made:
    loss = batch_noise(random, fall(random, np.arange(count(random) + 1.0))[1:])
    at = int(random.uniform(0.1, 0.99) * len(loss))
    loss[at : at + (1 if random.integers(2) else len(loss))] = NAN if random.integers(2) else np.inf
    return record(loss), NO_FLAGS


def overfitting(random: Generator) -> Made:
    length = count(random, 2.3)
    steps = np.arange(length + 1.0)
    loss = fall(random, steps, flat_from=0.4)
    every = max(1, length // int(random.integers(20, 80)))
    part = np.clip(steps[::every] / length - random.uniform(0.45, 0.6), 0, None) * 2
    evals = loss[::every] * (1 + random.uniform(0.1, 0.5) * part)
    train = loss[::every] * (1 - 0.2 * part)
    small = 1 + 0.002 * random.standard_normal((2, len(evals)))
    return record(evals=evals * small[0], eval_steps=steps[::every], held_train=train * small[1]), NO_FLAGS


def gap_only(random: Generator) -> Made:
    """Training loss falls below the held-out one, which falls too: no overfitting, and no close agreement."""
    length = count(random, 2.3)
    steps = np.arange(length + 1.0)
    every = max(1, length // int(random.integers(20, 80)))
    evals = fall(random, steps)[::every]
    train = evals * (1 - random.uniform(0.1, 0.3) * steps[::every] / length)
    small = 1 + 0.001 * random.standard_normal((2, len(evals)))
    return record(evals=evals * small[0], eval_steps=steps[::every], held_train=train * small[1]), NO_FLAGS


def agreeing(random: Generator) -> Made:
    length = count(random, 2.3)
    steps = np.arange(length + 1.0)
    every = max(1, length // int(random.integers(20, 80)))
    evals = fall(random, steps)[::every]
    train = evals * random.uniform(0.97, 1.01)
    small = 1 + 0.001 * random.standard_normal((2, len(evals)))
    return record(evals=evals * small[0], eval_steps=steps[::every], held_train=train * small[1]), NO_FLAGS


def initial(random: Generator, off: bool) -> Made:
    vocabulary = int(random.choice([512, 8_192, 32_000, 50_257, 262_144]))
    factor = random.choice([random.uniform(1.1, 40), random.uniform(0.3, 0.9)]) if off else random.uniform(0.98, 1.03)
    loss = fall(random, np.arange(count(random) + 1.0))
    loss = loss / loss[0] * factor * np.log(vocabulary)
    every = max(1, (len(loss) - 1) // 20)
    run = record(evals=loss[::every], eval_steps=np.arange(float(len(loss)))[::every])
    return run, Flags(vocabulary=vocabulary, from_scratch=True)


def scaled(random: Generator, wrong: bool) -> Made:
    accumulation = int(random.choice([2, 4, 8, 16, 32]))
    loss = fall(random, np.arange(count(random, 2) + 1.0))
    loss = loss / loss[0] * np.log(50_257) * random.uniform(0.99, 1.03)
    factor = random.choice([accumulation, 1 / accumulation]) if wrong else 1.0
    return record(loss[:-1] * factor), Flags(vocabulary=50_257, from_scratch=True, accumulation=accumulation)


def start(random: Generator, fast: bool) -> Made:
    """Three quarters of the fall by 3 to 10 % of the run, or a straight line, of which it is 75 %."""
    steps = np.arange(count(random, 2) + 1.0)
    begin, end = random.uniform(8, 11), random.uniform(1.5, 4)
    if fast:
        scale = random.uniform(0.02, 0.07) * steps[-1]
        loss = end + (begin - end) * np.exp(-steps / scale)
    else:
        loss = begin + (end - begin) * (steps / steps[-1]) ** random.uniform(0.6, 1.2)
    return logged(random, loss), NO_FLAGS


def stop(random: Generator, falling: bool) -> Made:
    """A last fifth that falls by 4 to 12 % of the level, or one that is flat after a fall."""
    steps = np.arange(count(random, 2.3) + 1.0)
    part = steps / steps[-1]
    level = random.uniform(1.5, 4)
    loss = level + 6 * np.exp(-part / 0.03)
    if falling:
        loss = loss * (1 + random.uniform(0.04, 0.12) * (1 - part) / 0.2)
    return logged(random, loss), NO_FLAGS


def stairs(random: Generator, there: bool) -> Made:
    epochs = int(random.integers(2, 7))
    length = epochs * int(10 ** random.uniform(2, 3.7))
    steps = np.arange(1.0, length + 1)
    fallen = steps / length * epochs
    drop = random.uniform(0.12, 0.3)
    base = 3.5 - drop * (np.floor((steps - 1) / length * epochs) if there else fallen)
    noisy = base + 0.05 * random.standard_normal(length)
    return record(noisy, info={"layout": {"epochs": float(epochs)}, "steps": length}), NO_FLAGS


def norms(random: Generator, kind: str) -> Made:
    length = count(random, 2)
    steps = np.arange(1.0, length + 1)
    part = steps / length
    base = random.uniform(0.1, 2.0)
    norm = base * random.lognormal(0, random.uniform(0.05, 0.2), length)
    if kind == "spike_at_start":
        norm = norm * (1 + random.uniform(4, 20) * np.exp(-part / 0.02))
    elif kind == "growth":
        norm = norm * np.where(part < 0.5, 1.0, 1 + random.uniform(3, 8) * (part - 0.5) * 2)
    elif kind == "explosion":
        at = int(random.uniform(0.3, 0.9) * length)
        norm[at : at + max(4, int(random.uniform(0.01, 0.6) * length))] *= random.uniform(120, 1e5)
    elif kind == "hump":
        foot, rise, high, end = random.uniform((0.02, 0.15, 1.0, -1.5), (0.3, 0.35, 1.8, 0.0))
        norm = norm * np.exp(np.interp(part, [0, foot, foot + rise, foot + 2 * rise, 1], [0, 0, high, end, end]))
    elif kind == "warmup_hump":
        norm = norm * (1 + random.uniform(1, 4) * np.exp(-(((part - 0.05) / 0.04) ** 2)))
    elif kind == "clipped":
        return record(grad_norm=norm), Flags(clip=base / random.uniform(3, 10))
    elif kind == "not_clipped":
        return record(grad_norm=norm), Flags(clip=base * random.uniform(0.7, 5))
    return record(grad_norm=norm), NO_FLAGS


def rates(random: Generator, kind: str) -> Made:
    """Schedules that are not the recipe's own: linear, inverse square root, warmup-stable-decay, one cycle."""
    length = count(random, 2.5)
    steps = np.arange(1.0, length + 1)
    part = steps / length
    peak = 10 ** random.uniform(-5, -2)
    warm = random.uniform(0.01, 0.1)
    up = np.minimum(1.0, part / warm)
    shape = random.integers(4)
    if shape == 0:
        down = 1 - 0.95 * np.clip((part - warm) / (1 - warm), 0, 1)
    elif shape == 1:
        down = np.minimum(1.0, np.sqrt(warm / part))
    elif shape == 2:
        down = np.clip((1 - part) / 0.2, 0.02, 1)
    else:
        down = 0.1 + 0.45 * (1 + np.cos(np.pi * np.clip((part - warm) / (1 - warm), 0, 1)))
    flags = NO_FLAGS
    if kind == "ok":
        rate = peak * up * down
    elif kind == "fixed":
        rate = np.full(length, peak)
    elif kind == "rising":
        rate = peak * up * (1 + random.uniform(0.5, 6) * 0.5 * (1 - np.cos(np.pi * part)))
    elif kind == "unreached":
        rate = peak * part
    elif kind == "no_warmup":
        rate = peak * np.maximum(0.02, 1 - part)
    elif kind == "long_warmup":
        long = random.uniform(0.3, 0.7)
        rate = peak * np.minimum(1.0, part / long) * np.clip((1 - part) / (1 - long), 0.05, 1)
    else:  # counted in micro-steps: the whole schedule within 1 / accumulation of the run
        accumulation = int(random.choice([2, 4, 8, 16]))
        flags = Flags(accumulation=accumulation)
        squeezed = np.clip(part * accumulation, 0, 1)
        rate = peak * np.minimum(1.0, squeezed / 0.05) * (0.1 + 0.45 * (1 + np.cos(np.pi * squeezed)))
    return record(learning_rate=rate), flags


def raised(random: Generator, above: bool) -> Made:
    """A second schedule, higher than the first, that begins at once or with a warmup; or one to three restarts."""
    length = count(random, 2.0, 4.5)
    part = np.arange(1.0, length + 1) / length
    peak, low = 10 ** random.uniform(-5, -3), random.uniform(0.01, 0.3)
    cycles = 2 if above else int(random.integers(2, 5))
    place = part * cycles % 1.0
    rate = peak * (low + (1 - low) * (1 - place if random.integers(2) else 0.5 * (1 + np.cos(np.pi * place))))
    if random.integers(2):  # the next cycle rises over some steps
        warm = random.uniform(0.05, 0.2)
        rate = np.where((place < warm) & (part > 0.5 / cycles), peak * (low + (1 - low) * place / warm), rate)
    if above:
        rate[part > 0.5] *= random.uniform(2, 300) / low
    return record(learning_rate=rate, info={"log_format": "csv"}), NO_FLAGS


def begun_before(random: Generator, falls: bool) -> Made:
    """A record of the second half of a run: its rate only falls, or it is warmed up again first."""
    length = count(random, 2.0, 4.5)
    part = np.linspace(0.0, 1.0, length)
    rate = 10 ** random.uniform(-5, -2) * (1 - part * random.uniform(0.3, 1.0)) ** random.uniform(0.5, 2)
    if not falls:
        rate = rate * np.minimum(1.0, 0.01 + part / random.uniform(0.02, 0.15))
    steps = np.arange(length) + float(round(length * random.uniform(0.05, 3)))
    return record(learning_rate=rate, steps=steps, info={"log_format": "csv"}), NO_FLAGS


def other_data(random: Generator, named: bool) -> Made:
    """The loss rises or drops at once; a column says that the data is another one there, or somewhere else."""
    length = count(random, 2.3, 4.5)
    loss = fall(random, np.arange(1.0, length + 1))
    at = int(random.uniform(0.3, 0.7) * length)
    loss[at:] *= random.uniform(1.25, 2.0) if random.integers(2) else random.uniform(0.4, 0.75)
    run = record(batch_noise(random, loss))
    column = str(random.choice(["phase", "stage", "dataset_id", "seq_len", "batch_size", "curriculum/level"]))
    said = np.where(np.arange(length) < (at if named else int(0.1 * length)), 1.0, 2.0)
    return Run(run.path, run.info, {**run.train, column: said}, run.evals), NO_FLAGS


def resumed(random: Generator, jumps: bool) -> Made:
    run, _ = rates(random, "ok")
    rate = run.train["learning_rate"].copy()
    at = int(random.uniform(0.3, 0.8) * len(rate))
    if jumps:
        rate[at:] *= random.choice([random.uniform(1.3, 10), random.uniform(0.1, 0.7)])
    event = {"kind": "event", "step": at, "event": "resumed"}
    return Run(run.path, {}, {**run.train, "learning_rate": rate}, run.evals, [event]), NO_FLAGS


def noisy_evaluations(random: Generator, noisy: bool) -> Made:
    length = int(random.integers(14, 200))
    steps = np.arange(length) * 100.0
    loss = fall(random, steps)
    size = random.uniform(0.04, 0.15) if noisy else random.uniform(0.0005, 0.01)
    return record(evals=loss * (1 + size * random.standard_normal(length)), eval_steps=steps), NO_FLAGS


def a(maker: Callable[..., Made], *arguments: object) -> Maker:
    return lambda random: maker(random, *arguments)


CASES: dict[str, Case] = {
    "spike": Case(a(with_episode, "spike"), healthy),
    "divergence": Case(a(with_episode, "divergence"), healthy),
    "recovery": Case(a(with_episode, "recovery"), healthy),
    "stable": Case(healthy, a(with_episode, "divergence")),
    "non_finite": Case(not_finite, healthy),
    "overfitting": Case(overfitting, gap_only),
    "generalizes": Case(agreeing, gap_only),
    "initial_loss_off": Case(a(initial, True), a(initial, False)),
    "loss_scaled_by_accumulation": Case(a(scaled, True), a(scaled, False)),
    "fast_start": Case(a(start, True), a(start, False)),
    "still_improving": Case(a(stop, True), a(stop, False)),
    "plateau": Case(a(stop, False), a(stop, True)),
    "epoch_staircase": Case(a(stairs, True), a(stairs, False)),
    "gradient_spike_at_start": Case(a(norms, "spike_at_start"), a(norms, "usual")),
    "gradient_growth": Case(a(norms, "growth"), a(norms, "usual")),
    "gradient_explosion": Case(a(norms, "explosion"), a(norms, "usual")),
    "validation_below_training": Case(a(below, True), a(below, False)),
    "throughput_dropped": Case(a(speeds, True), a(speeds, False)),
    "memory_growing": Case(a(memories, True), a(memories, False)),
    "gradient_hump": Case(a(norms, "hump"), a(norms, "warmup_hump")),
    "gradient_settled": Case(a(norms, "usual"), a(norms, "growth")),
    "clipping_dominates": Case(a(norms, "clipped"), a(norms, "not_clipped")),
    "schedule_ok": Case(a(rates, "ok"), a(rates, "rising")),
    "lr_fixed": Case(a(rates, "fixed"), a(rates, "ok")),
    "lr_rising": Case(a(rates, "rising"), a(rates, "ok")),
    "lr_peak_not_reached": Case(a(rates, "unreached"), a(rates, "ok")),
    "warmup_missing": Case(a(rates, "no_warmup"), a(rates, "ok")),
    "warmup_too_long": Case(a(rates, "long_warmup"), a(rates, "ok")),
    "schedule_in_micro_steps": Case(a(rates, "micro"), a(rates, "ok")),
    "lr_raised": Case(a(raised, True), a(raised, False)),
    "lr_restarts": Case(a(raised, False), a(rates, "ok")),
    "lr_start_not_seen": Case(a(begun_before, True), a(begun_before, False)),
    "data_changed": Case(a(other_data, True), a(other_data, False)),
    "lr_jump_on_resume": Case(a(resumed, True), a(resumed, False)),
    "evaluation_too_noisy": Case(a(noisy_evaluations, True), a(noisy_evaluations, False)),
}
