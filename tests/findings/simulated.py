"""Labelled curves from simulated training: what was done to each run, and what came of it exactly.

The third family, which no threshold was set on. Three kinds of optimisation (dynamics.py), 20 to 150,000 steps; each
run is healthy or has one fault, and is logged in one of the ways of real logs. Labels stand before any rule looks:
what was done fixes those of schedules, starts, logs and losses that are not finite; the others come from the exact,
noiseless loss, which the rules never see, with a gap between yes and no in which a kind is not judged, and only where
the log is fine enough, and its noise small enough, for the kind to be in it at all.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tests.findings.dynamics import Array, Plan, Traces, bigram, quadratic, student
from tests.findings.simulated_columns import below, machine, measured_apart
from tests.findings.truth import Truth, health_of, labels_of

from fabula.findings import Flags
from fabula.record.content.columns import Columns
from fabula.record.reader import Run

Generator = np.random.Generator
SCHEDULES = ("lr_fixed", "lr_rising", "lr_peak_not_reached", "warmup_missing", "warmup_too_long", "schedule_ok")
OF_SCHEDULES = ("fixed", "rising", "unreached", "no_warmup", "long_warmup", "micro_steps", "restarted", "resumed")
WEIGHTS: dict[str, dict[str, int]] = {
    "quadratic": {"none": 8, **dict.fromkeys(OF_SCHEDULES, 3), "rate_up": 5, "rate_up_for_a_while": 6, "kick": 6,
                  "odd_data": 6, "nan_once": 2, "nan_to_the_end": 2, "noisy_evaluations": 3, "clipped": 4,
                  "mildly_clipped": 2, "growing_noise": 5, "passing_noise": 3},
    "bigram": {"none": 8, **dict.fromkeys(OF_SCHEDULES, 1), "rate_up": 2, "rate_up_for_a_while": 2, "kick": 3,
               "odd_data": 3, "frozen": 2, "nan_once": 1, "nan_to_the_end": 1, "noisy_evaluations": 1, "scaled": 6,
               "wide_start": 6},
}  # fmt: skip
"""How often a fault is drawn beside the others; the student has the bigram's."""
LEAST_WARMUP = 0.01
OF_OTHERS = (*SCHEDULES, "non_finite", "gradient_growth", "gradient_settled", "gradient_explosion", "gradient_hump")
"""Kinds that no loss shows."""


@dataclass(frozen=True)
class Simulated:
    run: Run
    flags: Flags
    labels: dict[str, bool]
    """Kind -> whether the curve shows it; kinds that cannot be judged are left out."""
    health: str
    """`failed`: ends not finite, or far above its best or where it began; `healthy`: without a fault, calm, and has
    learned; else `broken`."""
    made: str


@dataclass(frozen=True)
class Group:
    """One length and one kind of optimisation; `mode` of the bigram model: fresh, few or epochs."""

    kind: str
    length: int
    num_runs: int
    mode: str = "fresh"

    @property
    def pace(self) -> str:
        return "epochs" if self.mode == "epochs" else self.kind


def groups(seed: int, share: float = 1.0, longest: float = 5.176) -> list[Group]:
    """What makes a draw: lengths from 20 to 10 ** longest steps, evenly in their logarithm; where a step costs more
    than some numbers, to less than that."""
    random = np.random.default_rng([seed, 1])
    made = []
    for kind, mode, number, runs, least, most in (
        ("bigram", "fresh", 14, 32, 1.31, 4.0),
        ("bigram", "few", 10, 24, 2.0, 3.5),
        ("bigram", "epochs", 20, 10, 2.4, 2.7),
        ("quadratic", "fresh", 40, 96, 1.31, 5.176),
        ("student", "fresh", 10, 16, 1.31, 3.7),
    ):
        number = max(1, round(number * share))
        places = (np.arange(number) + random.random(number)) / number  # one in each part of the range
        width = min(most, longest) - least
        made += [Group(kind, int(10 ** (least + width * place)), runs, mode) for place in places]
    return made


def draw(seed: int, share: float = 1.0, longest: float = 5.176) -> Iterator[Iterator[Simulated]]:
    """Group by group, the cheapest first, so that a draw that is stopped has as many of them as it can."""
    cost = {"quadratic": 1, "bigram": 4, "student": 4, "epochs": 33}
    drawn = groups(seed, share, longest)
    for number in sorted(range(len(drawn)), key=lambda each: drawn[each].length * cost[drawn[each].pace]):
        yield simulate(drawn[number], np.random.default_rng([seed, 2, number]))


def simulate(group: Group, random: Generator) -> Iterator[Simulated]:
    faults = _faults(group, random)
    length, runs = group.length, group.num_runs
    schedules = [_schedule(random, length, fault) for fault in faults]
    peaks = {"bigram": (0.01, 0.1), "quadratic": (0.3, 1.0), "student": (0.003, 0.02)}[group.kind]
    adam = group.kind == "quadratic" and bool(random.integers(2))
    low, high = (3.0, 20.0) if adam else peaks
    peak_R = np.exp(random.uniform(np.log(low), np.log(high), runs))
    if group.mode == "epochs":
        peak_R = random.uniform(0.25, 0.45, runs)  # a table learns by heart what it has seen once
    peak_R[[fault == "frozen" for fault in faults]] *= 1e-4
    clip = np.full(runs, np.inf)
    plan = Plan(
        rate=peak_R[None, :] * np.stack([each.shape for each in schedules], 1),
        batch=64 if group.kind == "student" else 128 if group.mode == "epochs" else int(random.choice([64, 128, 256])),
        start_scale=np.array(
            [10 ** random.uniform(2.2, 2.9) if f == "wide_start" and group.kind != "quadratic" else 1.0 for f in faults]
        ),
        odd=np.tile([0, -1], (runs, 1)),
        kick_at=np.zeros(runs, int),
        kick=np.zeros(runs),
        noise=np.ones((length + 1, runs)),
        clip=clip,
    )
    for run, fault in enumerate(faults):
        at = int(random.uniform(0.3, 0.7) * length)
        if fault == "odd_data":
            plan.odd[run] = at, at + int(random.integers(5, max(6, min(200, length // 60) + 1)))
        elif fault == "kick":
            plan.kick_at[run], plan.kick[run] = max(1, at), 10 ** random.uniform(0.2, 1.3)
        elif fault == "growing_noise":
            part = np.clip(np.arange(length + 1) / length - 0.5, 0, None) * 2
            plan.noise[:, run] = 1 + random.uniform(2, 12) * part
        elif fault == "passing_noise":  # other data for a while, which comes and goes slowly
            width, part = random.uniform(0.4, 0.7), np.arange(length + 1) / length
            along = np.clip((part - random.uniform(0.15, 0.9 - width)) / width, 0, 1)
            plan.noise[:, run] = 10 ** (random.uniform(0.5, 1.1) * np.sin(np.pi * along) ** 2)
        elif fault == "clipped":
            plan.clip[run] = 10 ** random.uniform(-1.8, -0.6)
        elif fault == "mildly_clipped":
            plan.clip[run] = 10 ** random.uniform(-0.2, 1.0)
    if group.mode == "few":
        plan.num_examples = (10 ** random.uniform(2.3, 4.3, runs)).astype(int)
        plan.num_examples = np.maximum(plan.num_examples, plan.batch)
    elif group.mode == "epochs":
        epochs = random.uniform(1.25, 2.2, runs)
        plan.num_examples = np.maximum(plan.batch, (length * plan.batch / epochs).astype(int))
    if group.kind == "bigram":
        traces = bigram(random, plan, 240 if group.mode == "epochs" else 20)
    elif group.kind == "student":
        traces = student(random, plan)
    else:
        traces = quadratic(random, plan, adam)
    for run, fault in enumerate(faults):
        yield _logged(random, group, plan, traces, run, fault, schedules[run])


def _faults(group: Group, random: Generator) -> list[str]:
    if group.mode != "fresh":
        return ["none"] * group.num_runs
    weights = WEIGHTS["quadratic" if group.kind == "quadratic" else "bigram"]
    chances = np.array(list(weights.values()), float)
    return [str(fault) for fault in random.choice(list(weights), group.num_runs, p=chances / chances.sum())]


@dataclass(frozen=True)
class _Schedule:
    shape: Array
    """[length + 1]: rate as a share of the peak."""
    labels: dict[str, bool]
    accumulation: int = 1
    resumed_at: int = 0
    warmup: float = 0.0
    """Its share of the run."""
    unbroken: Array | None = None
    """The shape, had the resume not begun it anew."""

    def shown_by(self, steps: Array) -> dict[str, bool]:
        """The labels that lines at these steps can decide: three within the warmup, or the first of them early enough
        to tell that there was none; after a resume, rates that are far from those that were to come."""
        labels, length = dict(self.labels), len(self.shape) - 1
        early = steps[0] == 1 or steps[0] <= LEAST_WARMUP / 2 * length
        if not early or 0 < self.warmup * length < 3 * (steps[1] - steps[0]):
            labels = {kind: shows for kind, shows in labels.items() if kind not in ("warmup_missing", "schedule_ok")}
        if self.unbroken is not None:
            after = int(steps[np.searchsorted(steps, self.resumed_at, "right")])
            if abs(self.shape[after] / self.unbroken[after] - 1) < 0.25:
                labels.pop("lr_jump_on_resume")
        return labels


def _schedule(random: Generator, length: int, fault: str) -> _Schedule:
    """Cosine, linear, with a late decay, or 1 / sqrt, after a linear warmup; or what the fault makes of it."""
    part = np.arange(length + 1) / length
    warm = random.uniform(LEAST_WARMUP, 0.12)
    kind = random.integers(4)

    def sound(at: Array, warmup: float) -> Array:
        along = np.clip((at - warmup) / (1 - warmup), 0, 1)
        up = np.minimum(1.0, at / warmup) if warmup > 0 else np.ones_like(at)
        down = (
            0.1 + 0.45 * (1 + np.cos(np.pi * along)),
            1 - 0.98 * along,
            np.clip((1 - along) / 0.3, 0.03, 1.0),
            np.minimum(1.0, np.sqrt(max(warmup, 0.01) / np.maximum(at, 1e-9))),
        )[kind]
        return up * down

    labels = dict.fromkeys((*SCHEDULES, "schedule_in_micro_steps", "lr_jump_on_resume"), False)
    shape, accumulation, at, unbroken = sound(part, warm), 1, 0, None
    if fault in ("fixed", "rising", "unreached", "no_warmup", "long_warmup"):
        named = {"fixed": "lr_fixed", "rising": "lr_rising", "unreached": "lr_peak_not_reached",
                 "no_warmup": "warmup_missing", "long_warmup": "warmup_too_long"}[fault]  # fmt: skip
        labels[named] = True
        if fault == "fixed":
            shape = np.ones(length + 1)
        elif fault == "rising":
            up = np.minimum(1.0, part / warm)
            shape = up * (1 + random.uniform(0.3, 5.0) * part ** random.uniform(0.7, 2.0))
        elif fault == "unreached":
            shape = part / random.uniform(1.05, 3.0)
        elif fault == "no_warmup":
            shape = sound(part, 0.0)
        else:
            long = random.uniform(0.28, 0.6)
            shape = np.minimum(1.0, part / long) * (1 - 0.9 * np.clip((part - long) / (1 - long), 0, 1))
    elif fault == "micro_steps":
        accumulation = int(random.choice([2, 4, 8]))
        kind = random.integers(2)  # a schedule that has an end
        shape = sound(np.minimum(1.0, part * accumulation), warm)
        labels = {"schedule_in_micro_steps": True, "lr_rising": False, "lr_fixed": False}
    elif fault in ("restarted", "resumed"):
        at = max(2, int(random.uniform(0.3, 0.7) * length))
        if fault == "restarted":  # the scheduler's state was not restored: it begins anew
            unbroken = shape.copy()
            shape[at + 1 :] = shape[1 : length + 1 - at]
            labels = {"lr_jump_on_resume": True}
        else:
            labels["schedule_ok"] = True
    elif fault.startswith("rate_up"):
        stop = 1.0 if fault == "rate_up" else random.uniform(0.55, 0.8)
        shape = np.where(
            (part > random.uniform(0.3, 0.5)) & (part <= stop), shape * 10 ** random.uniform(0.7, 3.0), shape
        )
        labels = {"schedule_in_micro_steps": False}
    else:
        labels["schedule_ok"] = True
    if length < 60:  # warmups of no step, peaks between two steps
        labels = {kind: value for kind, value in labels.items() if kind in ("lr_fixed", "lr_jump_on_resume")}
    return _Schedule(shape, labels, accumulation, at, 0.0 if fault == "no_warmup" else warm, unbroken)


def _logged(
    random: Generator, group: Group, plan: Plan, traces: Traces, run: int, fault: str, schedule: _Schedule
) -> Simulated:
    """One run of a group as its log tells it, with its labels.

    Written is every step, every k-th, or the mean of k; evaluations, on training stories too, or none.
    """
    length = group.length
    loss, norm, held = traces.loss[:, run].copy(), traces.norm[:, run].copy(), traces.held[:, run].copy()
    at = max(1, int(random.uniform(0.3, 0.9) * length))
    if fault == "nan_once":
        loss[at - 1] = norm[at - 1] = np.nan
    elif fault == "nan_to_the_end":
        loss[at - 1 :] = norm[at - 1 :] = np.nan
        held[traces.steps >= at] = np.nan
    accumulation, factor = schedule.accumulation, 1.0
    if fault == "scaled":
        accumulation = int(random.choice([2, 4, 8, 16]))
        factor = float(random.choice([accumulation, 1 / accumulation]))
    style = str(random.choice(["every", "every", "kth", "mean"])) if length > 400 else "every"
    k = 1 if style == "every" else int(random.choice([2, 5, 10]))

    def lines(values: Array) -> Array:
        folded = values[: length // k * k].reshape(-1, k)
        return folded.mean(1) if style == "mean" else folded[:, -1]

    train_steps = np.arange(1.0, length + 1)[: length // k * k].reshape(-1, k)[:, -1]
    train_loss, apart = measured_apart(random, lines(loss) * factor, fault)
    has_train = random.random() < 0.88 or group.mode == "epochs"
    columns: Columns = {
        "step": train_steps,
        "grad_norm": lines(norm),
        "learning_rate": plan.rate[train_steps.astype(int), run],
    }
    if has_train:
        columns["loss"] = train_loss
    more, of_the_machine = machine(random, len(train_steps))
    columns |= more
    noise = float(random.uniform(0.035, 0.12) if fault == "noisy_evaluations" else random.uniform(0.0003, 0.002))
    has_evals = not has_train or fault == "noisy_evaluations" or random.random() < 0.7
    has_known = has_evals and not apart and random.random() < 0.6
    eval_steps = (
        np.arange(0.0, length + 1, max(1, length // int(random.integers(12, 81)))) if has_evals else np.array([])
    )
    evals: Columns = {"step": eval_steps}
    if has_evals:
        exact = np.interp(eval_steps, traces.steps, held)
        evals["val_loss"] = exact * (1 + noise * random.standard_normal(len(eval_steps)))
    if has_known:
        exact = np.interp(eval_steps, traces.steps, traces.train[:, run])
        evals["train_loss"] = exact * (1 + 0.001 * random.standard_normal(len(eval_steps)))
    epochs = None
    if group.mode == "epochs":
        assert traces.epochs is not None
        epochs = float(traces.epochs[run])
    elif group.mode == "fresh" and fault in ("none", "fixed", "rising", "no_warmup") and random.integers(2):
        epochs = float(random.uniform(1.3, 3.0))  # too much text for the model to remember any of it
    info: dict[str, object] = {"steps": length, "status": "finished"}
    if epochs is not None:
        info["layout"] = {"epochs": epochs}
    events = [{"kind": "event", "event": "started", "step": 0}]
    if schedule.resumed_at:
        events.append({"kind": "event", "event": "resumed", "step": schedule.resumed_at})
    written = [columns["grad_norm"], *(values for name, values in evals.items() if name != "step")]
    written += [columns["loss"]] if has_train else []
    words = traces.words
    clip = float(plan.clip[run])
    flags = Flags(vocabulary=words, from_scratch=True if words else None, accumulation=accumulation,
                  clip=clip if np.isfinite(clip) else 0.0)  # fmt: skip
    truth = Truth(
        fault=fault,
        mode=group.mode,
        length=length,
        steps=traces.steps,
        held=held,
        known=traces.train[:, run],
        train_steps=train_steps,
        train_loss=train_loss,
        every_kth=k,
        factor=factor,
        has_train=has_train,
        eval_steps=eval_steps,
        eval_noise=noise,
        has_known=has_known,
        finite=all(bool(np.isfinite(values).all()) for values in written),
        ends_finite=all(bool(np.isfinite(values[-1])) for values in written),
        words=words,
        accumulation=accumulation,
        clip=clip,
        expected_norm=None if traces.expected_norm is None else traces.expected_norm[:, run],
        odd=(int(plan.odd[run, 0]), int(plan.odd[run, 1])),
        epochs=epochs,
        first_end=0.0 if traces.first_end is None else float(traces.first_end[run]),
        schedule=schedule.shown_by(train_steps),
    )
    made = f"{group.kind}, {group.mode}, {length:,} steps: {fault}"
    run_ = Run(Path("simulated"), info, columns, evals, events)
    labels = labels_of(truth) | of_the_machine
    if apart:  # what compares the two losses, and what comes of the training loss alone, is not judged here
        labels = {kind: shows for kind, shows in labels.items() if kind in of_the_machine or kind in OF_OTHERS}
    if has_train and has_evals and truth.finite and fault in ("none", "fixed", "no_warmup") and group.mode == "fresh":
        exact = np.interp(train_steps, traces.steps, traces.train[:, run])
        above = float(np.median(train_loss / lines(loss))) if apart else 1.0
        labels |= below(eval_steps, np.interp(eval_steps, traces.steps, held), train_steps, exact * above)
    health = health_of(truth)
    if health == "healthy" and of_the_machine.get("memory_growing"):
        health = "broken"
    return Simulated(run_, flags, labels, health, made)
