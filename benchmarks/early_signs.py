"""What would have been known when: faults in small real runs that look inside, and what their record showed first.

python benchmarks/early_signs.py [--work FOLDER] [--seeds N] [--only FAULT ...]

A run is trained as it should be, and once with each fault, for each seed. Then its record is read as it stood after 5,
10, 15 ... steps: the first of these at which a finding speaks of the inside of the model, and the first at which one
speaks of the loss (warnings and failures; what the sane run's record says at that step too does not count). Beside
them stands when the loss itself left the sane run's. Writes docs/measured/early_signs.json.
"""

import argparse
import json
import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from breaking import _OddBatches, make_stories

from fabula.data.dataset import Dataset, open_dataset
from fabula.findings import diagnose
from fabula.findings.kinds import INSIDE, KINDS, LOSS, STABILITY, STOPPING_POINT
from fabula.recipe.schema import Recipe
from fabula.record.reader import read_run
from fabula.train.life.run import set_up_training, start_run
from fabula.train.loop import Training, TrainingFailed
from fabula.train.observer import Observer

OUT = Path(__file__).parents[1] / "docs" / "measured" / "early_signs.json"
STEPS, EVERY, RATE = 200, 5, 3e-3
"""Steps of a run, steps between looks inside and between readings, and the sane learning rate."""
APART = 0.3
"""Nats above the sane run's smoothed loss, from where on to the end it stays there: the loss has left it."""
SMOOTH = 9
"""Steps whose median is compared."""
LOSS_TOPICS = (LOSS, STABILITY, STOPPING_POINT)
NO_SIGN = {"interrupted", "too_few_steps", "batch_skipped"}
"""Said of any record that is cut off, or that a guard wrote."""


@dataclass(frozen=True)
class Fault:
    what: str
    begins: float = 0.0
    """Share of the run after which `meddle` is called, once."""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    meddle: Callable[[Training], None] | None = None


def rate_times(factor: float) -> Callable[[Training], None]:
    def meddle(training: Training) -> None:
        plain = training.engine.learning_rate
        training.engine.learning_rate = lambda step: factor * plain(step)  # type: ignore[method-assign]

    return meddle


def loss_times(factor: float) -> Callable[[Training], None]:
    def meddle(training: Training) -> None:
        plain = training.engine.loss_sum
        training.engine.loss_sum = lambda inputs_BT, targets_BT: factor * plain(inputs_BT, targets_BT)

    return meddle


def weights_times(factor: float, *names: str) -> Callable[[Training], None]:
    def meddle(training: Training) -> None:
        with torch.no_grad():
            for name, each in training.engine.model.named_parameters():
                if any(part in name for part in names):
                    each.mul_(factor)

    return meddle


def biases_to(value: float, name: str) -> Callable[[Training], None]:
    def meddle(training: Training) -> None:
        with torch.no_grad():
            for each, bias in training.engine.model.named_parameters():
                if name in each and each.endswith("bias"):
                    bias.fill_(value)

    return meddle


def frozen(name: str) -> Callable[[Training], None]:
    """The optimizer loses sight of these weights, whose gradient goes on to be computed."""

    def meddle(training: Training) -> None:
        lost = {id(each) for full, each in training.engine.model.named_parameters() if name in full}
        for group in training.engine.optimizer.param_groups:
            group["params"] = [each for each in group["params"] if id(each) not in lost]

    return meddle


def odd_data(training: Training) -> None:
    source: Any = _OddBatches(training.source, training.data.tokenizer.vocabulary, range(10**9))
    training.source = source


def odd_targets(training: Training) -> None:
    source: Any = _OddBatches(training.source, training.data.tokenizer.vocabulary, None)
    training.source = source


FAULTS = {
    "rate_x10": Fault("learning rate times 10", recipe={"schedule.peak": 10 * RATE}),
    "rate_x30": Fault("learning rate times 30", recipe={"schedule.peak": 30 * RATE}),
    "rate_x100": Fault("learning rate times 100", recipe={"schedule.peak": 100 * RATE}),
    "rate_x100_later": Fault("learning rate times 100 from the middle on", 0.5, meddle=rate_times(100.0)),
    "rate_creeps": Fault("a floor of 60 times the peak: the rate climbs", recipe={"schedule.floor": 60 * RATE}),
    "no_warmup": Fault("rate times 10 without warmup", recipe={"schedule.peak": 10 * RATE, "schedule.warmup": 0}),
    "no_clip": Fault("rate times 30, no clipping", recipe={"schedule.peak": 30 * RATE, "optimizer.clip": 0.0}),
    "beta2": Fault("rate times 10, beta2 0.3", recipe={"schedule.peak": 10 * RATE, "optimizer.beta2": 0.3}),
    "decay": Fault("weight decay that takes 30 % a step", recipe={"optimizer.weight_decay": 0.3 / RATE}),
    "rate_tiny": Fault("learning rate over 1,000", recipe={"schedule.peak": RATE / 1e3}),
    "rate_gone": Fault("no learning rate after 5 % of the run", 0.05, meddle=rate_times(0.0)),
    "bfloat16": Fault("weights in bfloat16, rate 1e-5",
                      recipe={"compute.weights": "bfloat16", "schedule.peak": 1e-5}),
    "wide_start": Fault("weights N(0, 0.16) at the start", recipe={"initialization.std": 0.16}),
    "narrow_start": Fault("weights N(0, 1e-5) at the start", recipe={"initialization.std": 1e-5}),
    "wide_embedding": Fault("tied embedding times 50 at the start", meddle=weights_times(50.0, "embedding.")),
    "deep_wide": Fault("12 layers, weights N(0, 0.3) at the start",
                       recipe={"model.layers": 12, "initialization.std": 0.3}),
    "wide_attention": Fault("queries, keys and values times 6 from 30 % on", 0.3,
                            meddle=weights_times(6.0, "qkv.weight")),
    "dead_relu": Fault("biases of the ReLU units at -20 from 30 % on", 0.3, meddle=biases_to(-20.0, "feed_forward.up")),
    "frozen_layer": Fault("the optimizer loses layer 2 after 30 %", 0.3, meddle=frozen("layers.1.")),
    "odd_data": Fault("random tokens from 30 % on", 0.3, meddle=odd_data),
    "odd_targets": Fault("random targets", meddle=odd_targets),
    "ascent": Fault("the loss's sign is wrong from 30 % on", 0.3, meddle=loss_times(-1.0)),
    "nan": Fault("losses of NaN from 30 % on", 0.3, meddle=loss_times(math.nan)),
}  # fmt: skip


def sane(data: Dataset) -> Recipe:
    return Recipe.from_tree(
        {
            "name": "early-signs",
            "tokenizer": data.tokenization.name,
            "steps": STEPS,
            "model": {"layers": 3, "width": 48, "heads": 4, "context": 64},
            "schedule": {"kind": "cosine", "peak": RATE, "floor": RATE / 10, "warmup": 10},
            "batch": {"rows": 4},
            "compute": {"precision": "float32", "compile": "off"},
            "evaluation": {"every": 20, "sample_tokens": 0},
            "checkpoint": {"every": 0},
            "record": {"internals": EVERY},
        }
    )


class Meddling(Observer):
    """Brings the fault after the update at which it begins."""

    training: Training

    def __init__(self, fault: Fault) -> None:
        self.meddle, self.after = fault.meddle, round(fault.begins * STEPS)

    def stepped(self, line: dict[str, Any]) -> None:
        if self.meddle is not None and line["step"] == self.after:
            self.meddle(self.training)


def train(data: Dataset, fault: Fault, seed: int, out: Path) -> None:
    observer = Meddling(fault)
    observer.training = set_up_training(sane(data).with_values(**fault.recipe), data, seed, observer)
    if fault.meddle is not None and not observer.after:
        fault.meddle(observer.training)
    try:
        start_run(observer.training, out)
    except TrainingFailed as error:
        print(f"  as was meant: {error}", file=sys.stderr)


def readings(run: Path) -> Iterator[tuple[int, set[str]]]:
    """The kinds of warnings and failures in the record as it stood after every few steps."""
    lines = {name: [json.loads(line) for line in (run / name).read_text().splitlines()]
             for name in ("metrics.jsonl", "internals.jsonl")}  # fmt: skip
    last = max(line["step"] for line in lines["metrics.jsonl"])
    with tempfile.TemporaryDirectory() as made:
        cut = Path(made)
        (cut / "recipe.toml").write_bytes((run / "recipe.toml").read_bytes())
        about = json.loads((run / "run.json").read_text())
        (cut / "run.json").write_text(json.dumps(about | {"status": "running"}))
        for step in range(EVERY, last + 1, EVERY):
            for name, every in lines.items():
                (cut / name).write_text("".join(json.dumps(line) + "\n" for line in every if line["step"] <= step))
            told = diagnose(read_run(cut)).findings
            yield step, {each.kind for each in told if each.severity in ("warning", "failure")}


def first_of(told: Mapping[int, set[str]], usual: Mapping[int, set[str]], topics: tuple[Any, ...]) -> dict[str, Any]:
    """The first reading with a kind of these topics that the sane run's does not have; {} where there is none."""
    for step, kinds in told.items():
        new = [kind for kind in KINDS if kind in kinds - usual.get(step, set()) and KINDS[kind].topic in topics]
        if new := [kind for kind in new if kind not in NO_SIGN]:
            return {"step": step, "kinds": new}
    return {}


def losses(run: Path) -> np.ndarray:
    """The median of the last steps' training loss, a value a step; infinity where one is not finite."""
    train_loss = read_run(run).train["loss"]
    loss = np.where(np.isfinite(train_loss), train_loss, np.inf)
    return np.array([np.median(loss[max(0, end - SMOOTH) : end]) for end in range(1, len(loss) + 1)])


def leaves(loss: np.ndarray, usual: np.ndarray) -> int | None:
    """The step from which on the loss is APART from the sane run's to the end; either way, for a sign may be wrong."""
    apart = ~(np.abs(loss - usual[: len(loss)]) < APART)
    if not apart[-1]:
        return None
    near = np.flatnonzero(~apart)
    return int(near[-1]) + 2 if len(near) else 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", nargs="*", choices=FAULTS, default=list(FAULTS))
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(dir=given.work) as made:
        work = Path(made)
        data = open_dataset(make_stories(given.work or work, None)["grammar"])
        for seed in range(1, given.seeds + 1):
            train(data, Fault(""), seed, work / f"sane-{seed}")
            usual, usual_loss = dict(readings(work / f"sane-{seed}")), losses(work / f"sane-{seed}")
            for name in given.only:
                started = time.time()
                fault, out = FAULTS[name], work / f"{name}-{seed}"
                train(data, fault, seed, out)
                told = dict(readings(out))
                rows.append(
                    {
                        "fault": name, "what": fault.what, "begins": round(fault.begins * STEPS) + 1, "seed": seed,
                        "inside": first_of(told, usual, (INSIDE,)),
                        "loss": first_of(told, usual, LOSS_TOPICS),
                        "leaves": leaves(losses(out), usual_loss),
                    }
                )  # fmt: skip
                print(f"{time.time() - started:5.1f} s", rows[-1], file=sys.stderr, flush=True)
                record = {"steps": STEPS, "looks_every": EVERY, "apart": APART, "rows": rows}
                given.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
