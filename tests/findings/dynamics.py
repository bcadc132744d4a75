"""Curves from real optimisation, in numpy: a bigram model, a noisy quadratic, a small network learning from another.

Nothing here is a formula for a curve. Weights are updated by SGD with momentum or by AdamW on batches that are drawn
step by step, many runs of one length side by side; what comes out is each batch's loss and gradient norm, and, at up to
1,500 places, what no log holds: the exact loss over all text, and over the training set where that is finite.

Shapes: R runs, V words, B batch, D parameters or inputs, H hidden units.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

Array = np.ndarray
NUM_EXACT = 1500
AFTER_KICK = (0, 1, 2, 4, 8, 16)
"""... and, so many steps after weights were shaken: in a long run all may be over before the next of those places."""


@dataclass
class Plan:
    """What R runs of `length` steps are made to go through; steps count from 1."""

    rate: Array
    """[length + 1, R]: learning rate of each update; row 0 is unused."""
    batch: int
    start_scale: Array
    """[R]: size of the first weights, 1 being sound."""
    odd: Array
    """[R, 2]: first and last step with batches of random targets; 0, -1: none."""
    kick_at: Array
    """[R]: step after which the weights are shaken; 0: never."""
    kick: Array
    """[R]: how hard, as a multiple of the weights' own size."""
    noise: Array
    """[length + 1, R]: gradient noise as a multiple of the usual one (quadratic only)."""
    clip: Array
    """[R]: largest gradient norm; infinity: none."""
    num_examples: Array | None = None
    """[R]: size of a training set that is gone through again and again; None: every batch is new."""

    @property
    def length(self) -> int:
        return len(self.rate) - 1

    @property
    def num_runs(self) -> int:
        return self.rate.shape[1]


@dataclass
class Traces:
    """[length, R] what was seen of each batch, before its update; [K, R] the exact values, after `steps` updates."""

    loss: Array
    norm: Array
    steps: Array
    held: Array
    train: Array
    expected_norm: Array | None = None
    words: int | None = None
    epochs: Array | None = None
    first_end: Array | None = None
    """[R]: held-out minus training loss where the first epoch ended, exactly."""


@dataclass
class _Adam:
    """AdamW for arrays whose first axis is R."""

    beta1: float = 0.9
    beta2: float = 0.95
    decay: float = 0.0
    moments: dict[int, tuple[Array, Array]] = field(default_factory=dict)
    step: int = 0

    def update(self, weights: list[Array], gradients: list[Array], rate_R: Array) -> None:
        self.step += 1
        bias1, bias2 = 1 - self.beta1**self.step, 1 - self.beta2**self.step
        for place, (weight, gradient) in enumerate(zip(weights, gradients, strict=True)):
            if place not in self.moments:
                self.moments[place] = (np.zeros_like(weight), np.zeros_like(weight))
            first, second = self.moments[place]
            first += (1 - self.beta1) * (gradient - first)
            second += (1 - self.beta2) * (gradient * gradient - second)
            rate = rate_R.reshape(-1, *[1] * (weight.ndim - 1)).astype(weight.dtype)
            weight -= rate * (first / bias1 / (np.sqrt(second / bias2) + 1e-8) + self.decay * weight)


@dataclass
class _Momentum:
    """SGD with momentum."""

    momentum: float = 0.9
    velocity: dict[int, Array] = field(default_factory=dict)

    def update(self, weights: list[Array], gradients: list[Array], rate_R: Array) -> None:
        for place, (weight, gradient) in enumerate(zip(weights, gradients, strict=True)):
            velocity = self.velocity.setdefault(place, np.zeros_like(weight))
            velocity *= self.momentum
            velocity += gradient
            weight -= rate_R.reshape(-1, *[1] * (weight.ndim - 1)).astype(weight.dtype) * velocity


def _train(
    plan: Plan,
    weights: list[Array],
    optimizer: _Adam | _Momentum,
    batch: Callable[[int], tuple[Array, list[Array]]],
    exact: Callable[[], tuple[Array, ...]],
    random: np.random.Generator,
    kick_size: list[float],
) -> Traces:
    """The loop that all three share. `batch(step)` gives loss_R and gradients; `exact()` held-out and training loss."""
    num_steps, num_runs = plan.length, plan.num_runs
    stride = -(-num_steps // NUM_EXACT)
    loss, norm = np.empty((num_steps, num_runs)), np.empty((num_steps, num_runs))
    steps, told = [0], [exact()]
    looked_at = {int(at) + late for at in plan.kick_at[plan.kick_at > 0] for late in AFTER_KICK}
    clipped = np.isfinite(plan.clip).any()
    with np.errstate(all="ignore"):
        for step in range(1, num_steps + 1):
            loss[step - 1], gradients = batch(step)
            squares = sum(np.einsum("rx,rx->r", g.reshape(num_runs, -1), g.reshape(num_runs, -1)) for g in gradients)
            norm[step - 1] = np.sqrt(squares)
            if clipped:
                scale = np.minimum(1.0, plan.clip / np.maximum(norm[step - 1], 1e-12))
                gradients = [g * scale.reshape(-1, *[1] * (g.ndim - 1)).astype(g.dtype) for g in gradients]
            optimizer.update(weights, gradients, plan.rate[step])
            for run in np.flatnonzero(plan.kick_at == step):
                for weight, size in zip(weights, kick_size, strict=True):
                    shaken = random.standard_normal(weight[run].shape) * size * plan.kick[run]
                    weight[run] += shaken.astype(weight.dtype)
            if step % stride == 0 or step == num_steps or step in looked_at:
                steps.append(step)
                told.append(exact())
    columns = [np.array(each) for each in zip(*told, strict=True)]
    return Traces(loss, norm, np.array(steps, float), columns[0], columns[1], columns[2] if len(columns) > 2 else None)


def bigram(random: np.random.Generator, plan: Plan, num_words: int = 24) -> Traces:
    """A table of logits, one row for the word before, on text from a random Markov chain with Zipf's frequencies."""
    runs, words = plan.num_runs, num_words
    cells = words * words
    rows = random.standard_normal((runs, words, words)) * random.uniform(1.0, 3.0, (runs, 1, 1))
    rows = np.exp(rows - rows.max(2, keepdims=True))
    frequency = 1.0 / np.arange(1.0, words + 1)
    joint = (frequency / frequency.sum())[None, :, None] * rows / rows.sum(2, keepdims=True)
    ends = np.cumsum(joint.reshape(runs, cells), 1)
    ladder = (ends / ends[:, -1:] * (1 - 1e-9) + np.arange(runs)[:, None]).ravel()
    offsets = np.arange(runs)[:, None]

    def drawn(number: int) -> Array:
        return np.minimum(
            np.searchsorted(ladder, random.random((runs, number)) + offsets), offsets * cells + cells - 1
        )  # cells of all runs in one row

    table = (0.02 * plan.start_scale[:, None, None] * random.standard_normal((runs, words, words))).astype(np.float32)
    sets = None
    if plan.num_examples is not None:
        sets = [drawn(int(size))[run] for run, size in enumerate(plan.num_examples)]
        known = np.stack([np.bincount(each - run * cells, minlength=cells) for run, each in enumerate(sets)])
        known_RVV = (known / known.sum(1, keepdims=True)).reshape(runs, words, words)
        orders: list[tuple[int, Array]] = [(-1, np.zeros(0, int))] * runs
        per_epoch = np.array([len(each) // plan.batch for each in sets])
        first_end = np.full(runs, np.nan)
    optimizer = _Adam(beta2=0.99, decay=0.0)

    def log_shares() -> Array:
        top = table.max(2, keepdims=True)
        return table - top - np.log(np.exp(table - top).sum(2, keepdims=True))

    def cells_of(step: int) -> Array:
        if sets is None:
            return drawn(plan.batch)
        chosen = np.empty((runs, plan.batch), int)
        for run in range(runs):
            epoch, place = divmod(step - 1, int(per_epoch[run]))
            if orders[run][0] != epoch:
                orders[run] = (epoch, random.permutation(len(sets[run])))
                if epoch == 1:
                    held, known_loss = exact()
                    first_end[run] = held[run] - known_loss[run]
            order = orders[run][1]
            chosen[run] = sets[run][order[place * plan.batch : (place + 1) * plan.batch]]
        return chosen

    def batch(step: int) -> tuple[Array, list[Array]]:
        chosen = cells_of(step)
        is_odd = (plan.odd[:, 0] <= step) & (step <= plan.odd[:, 1])
        if is_odd.any():
            flat = random.integers(0, cells, (int(is_odd.sum()), plan.batch))
            chosen[is_odd] = flat + np.flatnonzero(is_odd)[:, None] * cells
        counts = np.bincount(chosen.ravel(), minlength=runs * cells).reshape(runs, words, words)
        shares = (counts / plan.batch).astype(np.float32)
        told = log_shares()
        loss = -np.einsum("rvw,rvw->r", shares, told, optimize=False)
        return loss, [shares.sum(2, keepdims=True) * np.exp(told) - shares]

    def exact() -> tuple[Array, Array]:
        told = log_shares()
        held = -(joint * told).sum((1, 2))
        return held, held if sets is None else -(known_RVV * told).sum((1, 2))

    traces = _train(plan, [table], optimizer, batch, exact, random, [1.0])
    traces.words = words
    if sets is not None:
        traces.epochs, traces.first_end = plan.length / per_epoch, first_end
    return traces


def quadratic(random: np.random.Generator, plan: Plan, adam: bool, num_parameters: int = 40) -> Traces:
    """Half of sum(curvature * weight ** 2) above a floor, curvatures falling like a power, gradients with noise.

    The rates of `plan` are multiples of what the steepest direction bears with SGD (2 / curvature), or with AdamW of
    the distance to go over the number of steps.
    """
    runs, size = plan.num_runs, num_parameters
    curvature = np.arange(1.0, size + 1)[None, :] ** -random.uniform(0.7, 1.6, (runs, 1))
    weight = random.standard_normal((runs, size)) * plan.start_scale[:, None]
    above = random.uniform(3.0, 8.0, runs)
    weight *= np.sqrt(above / (0.5 * (curvature * weight**2).sum(1)))[:, None] * plan.start_scale[:, None]
    floor = random.uniform(1.0, 4.0, runs)
    spread = random.uniform(0.02, 0.25, runs)[:, None] * np.sqrt(curvature)
    scatter = random.uniform(0.003, 0.03, runs)
    reach = np.sqrt((weight**2).mean(1))
    plan.rate = plan.rate * (reach / plan.length if adam else 0.2)
    optimizer: _Adam | _Momentum = _Adam(beta2=0.99) if adam else _Momentum(0.9)
    now = [1]

    def level() -> Array:
        return floor + 0.5 * (curvature * weight**2).sum(1)

    def batch(step: int) -> tuple[Array, list[Array]]:
        now[0] = step
        noise = plan.noise[step][:, None]
        gradient = curvature * weight + spread * noise * random.standard_normal((runs, size))
        here = level()
        is_odd = (plan.odd[:, 0] <= step) & (step <= plan.odd[:, 1])
        loss = here * (1 + scatter * plan.noise[step] * random.standard_normal(runs)) + is_odd * 0.7 * here
        return loss, [np.where(is_odd[:, None], 3.0 * gradient, gradient)]

    def exact() -> tuple[Array, Array, Array]:
        here = level()
        squares = (curvature * weight) ** 2 + (spread * plan.noise[now[0]][:, None]) ** 2
        return here, here, np.sqrt(squares.sum(1))

    return _train(plan, [weight], optimizer, batch, exact, random, [float(reach.mean())])


def student(random: np.random.Generator, plan: Plan, num_words: int = 16) -> Traces:
    """A network of one hidden layer that learns which word another one would say, from single draws of it."""
    runs, words, inputs, hidden = plan.num_runs, num_words, 8, 24
    teacher_in = random.standard_normal((runs, inputs, 12)) / np.sqrt(inputs)
    teacher_out = random.standard_normal((runs, 12, words)) * random.uniform(0.7, 1.6, (runs, 1, 1))
    x_held = random.standard_normal((runs, 256, inputs)).astype(np.float32)

    def teacher(x_RBD: Array) -> Array:
        logits = np.tanh(2.0 * x_RBD @ teacher_in) @ teacher_out
        shares = np.exp(logits - logits.max(2, keepdims=True))
        return shares / shares.sum(2, keepdims=True)

    share_held = teacher(x_held)
    scale = plan.start_scale[:, None, None]
    first = (random.standard_normal((runs, inputs, hidden)) / np.sqrt(inputs)).astype(np.float32)
    last = (0.02 * scale * random.standard_normal((runs, hidden, words))).astype(np.float32)
    bias = np.zeros((runs, 1, words), np.float32)
    optimizer = _Adam(beta2=0.99)
    ladder_rows = np.arange(plan.batch * runs).reshape(runs, plan.batch)

    def log_shares(x_RBD: Array) -> tuple[Array, Array]:
        active = np.tanh(x_RBD @ first)
        logits = active @ last + bias
        logits = logits - logits.max(2, keepdims=True)
        return active, logits - np.log(np.exp(logits).sum(2, keepdims=True))

    def batch(step: int) -> tuple[Array, list[Array]]:
        x = random.standard_normal((runs, plan.batch, inputs)).astype(np.float32)
        ends = np.cumsum(teacher(x), 2)
        said = (random.random((runs, plan.batch, 1)) > ends).sum(2).clip(max=words - 1)
        is_odd = (plan.odd[:, 0] <= step) & (step <= plan.odd[:, 1])
        if is_odd.any():
            said[is_odd] = random.integers(0, words, (int(is_odd.sum()), plan.batch))
        active, told = log_shares(x)
        flat = told.reshape(-1, words)
        loss = -flat[ladder_rows, said].mean(1)
        error = np.exp(told)
        error.reshape(-1, words)[ladder_rows, said] -= 1.0
        error /= plan.batch
        back = (error @ last.transpose(0, 2, 1)) * (1 - active * active)
        return loss, [x.transpose(0, 2, 1) @ back, active.transpose(0, 2, 1) @ error, error.sum(1, keepdims=True)]

    def exact() -> tuple[Array, Array]:
        _, told = log_shares(x_held)
        held = -(share_held * told).sum(2).mean(1)
        return held, held

    traces = _train(plan, [first, last, bias], optimizer, batch, exact, random, [0.5, 1.0, 0.0])
    traces.words = words
    return traces
