"""Small trainings that go well, or that are broken on purpose: with fabula, and with the Hugging Face Trainer.

Each function trains one `Setting` with one fault of real_curves.py and leaves what the tool itself writes: a run folder
or a Trainer output folder. A training takes seconds on one core.
"""

import json
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import fabula.score.rulers as rulers
from fabula.data.batches import Batch, BatchSource
from fabula.data.dataset import Dataset, open_dataset
from fabula.data.prepare.preparation import prepare
from fabula.recipe.schema import Recipe
from fabula.train.life.run import set_up_training, start_run
from fabula.train.loop import TrainingFailed
from fabula.train.observer import Observer

# A tenth of the usual ruler: an evaluation must not take longer than the steps between two of them.
rulers.SUBSET_BYTES, rulers.TRAIN_SAMPLE_BYTES = 5_000, 5_000
CONTEXT, ROWS, ACCUMULATION = 64, 4, 4
SMALL_STEPS = 60
"""Of a run that is too short."""
LOOKS_EVERY = 10
"""Steps between looks inside, of the runs of fabula that look."""
RATES = {"rate_x30": 30.0, "rate_x30_unclipped": 30.0, "rate_x100": 100.0, "rate_over_1000": 1e-3}
RAISED = {"rate_x100_from_middle": (0.5, 1.0), "rate_x100_for_a_while": (0.3, 0.55), "rate_x100_at_end": (0.8, 1.0)}
"""Between which shares of the run the rate is a hundred times what it should be."""
GONE_FROM = 0.03
"""Share of the run after which `rate_gone_early` has no rate any more."""
DECAY = 0.3
"""Of its length, what `decay_huge` takes from every weight at a step with the peak's rate."""
WIDE_INSIDE = 0.4
"""Standard deviation of all initial weights, twenty times the usual one."""
WARMUPS = {"no_warmup": 0.0, "warmup_too_long": 0.45, "warmup_unreached": 1.6}
ODD_STEPS = 8
NUM_EVALUATIONS = 20
SHAPES: dict[str, dict[str, Any]] = {
    "gpt": {},
    "llama": {"positions": "rope", "norm": "rmsnorm", "feed_forward": "swiglu", "feed_forward_width": 128,
              "head_bias": False, "embedding_scale": "one", "feed_forward_bias": False, "kv_heads": 2},
    "gemma": {"positions": "rope", "norm": "rmsnorm_plus_one", "post_norm": True, "qk_norm": True,
              "sliding_window": 16, "global_every": 2, "feed_forward": "geglu_tanh", "feed_forward_width": 128,
              "head_bias": False, "feed_forward_bias": False, "kv_heads": 1},
}  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """What a healthy run and the broken ones beside it have in common."""

    tool: str
    """`fabula` or `trainer`."""
    shape: str
    stories: str
    """`grammar` or `tinystories`."""
    steps: int
    rate: float
    schedule: str
    """`cosine`, `constant`, `linear`, `stable_decay` or `inverse_root`."""
    warmup: float
    """Share of the steps."""
    width: int
    seed: int
    log_every: int = 1


def make_stories(folder: Path, shared: Path | None) -> dict[str, Path]:
    """The stories that the runs are trained on: many, and a few of them, under one tokenizer each."""
    sources = {"grammar": ("grammar", "bpe:512", 3_000)}
    if shared is not None:
        sources["tinystories"] = (str(shared / "data" / "tinystories" / "train.jsonl"), "bpe:1024", 4_000)
    made = {}
    for name, (source, tokenizer, limit) in sources.items():
        made[name], made[f"{name}-few"] = folder / name, folder / f"{name}-few"
        if not made[name].exists():
            prepare(source, made[name], tokenizer=tokenizer, validation="0.015", limit=limit)
        if not made[f"{name}-few"].exists():
            fixed = next(made[name].glob("tokens/*/tokenizer.json"))
            prepare(source, made[f"{name}-few"], tokenizer=str(fixed), validation="0.4", limit=70)
    return made


def multiplier(setting: Setting, broken: str) -> Callable[[int], float]:
    """Learning rate of update `step`, from 1, as a share of the peak: the schedule of the setting, or a broken one."""
    last = SMALL_STEPS if broken == "too_short" else setting.steps
    warmup = WARMUPS.get(broken, setting.warmup) * last
    kind = setting.schedule
    if kind == "constant" and broken in WARMUPS:
        kind = "cosine"

    def shape(step: float) -> float:
        if kind == "constant":
            return 1.0
        if step < warmup:
            return step / warmup
        if broken == "rising":
            return 1.0 + 4.0 * (1.0 - math.cos(math.pi * (step - warmup) / (last - warmup))) / 2.0
        part = (step - warmup) / max(1.0, last - warmup)
        if kind == "linear":
            return max(0.0, 1.0 - part)
        if kind == "stable_decay":
            return min(1.0, max(0.05, (1.0 - part) / 0.25))
        if kind == "inverse_root":
            return math.sqrt(max(warmup, 1.0) / max(step, 1.0))
        return 0.1 + 0.45 * (1.0 + math.cos(math.pi * part))

    def broken_shape(step: int) -> float:
        value = shape(min(float(last), step * ACCUMULATION) if broken == "micro_steps" else step)
        if broken == "rate_gone_early" and step > GONE_FROM * last:
            return 0.0
        first, end = RAISED.get(broken, (2.0, 2.0))
        if first * last < step <= end * last:
            return 100.0 * value
        return RATES.get(broken, 1.0) * value

    return broken_shape


def odd_steps(steps: int) -> range:
    return range(int(0.6 * steps), int(0.6 * steps) + ODD_STEPS)


def nan_steps(broken: str, steps: int) -> range:
    first = int(0.55 * steps)
    return {"nan_batch": range(first, first + 1), "nan_to_the_end": range(first, steps + 1)}.get(broken, range(0))


def random_steps(broken: str, steps: int) -> range | None:
    """Updates whose batches are random tokens; None where only the targets of all are."""
    if broken == "bad_data_to_the_end":
        return range(steps // 2 + 1, steps + 1)
    return odd_steps(steps) if broken == "odd_batches" else None


class _OddBatches:
    """A source of batches in which some, or the targets of all, are random tokens, or in which each token is its own
    target."""

    def __init__(self, source: BatchSource, vocabulary: int, steps: range | None, own: bool = False) -> None:
        self.source, self.vocabulary, self.steps, self.own = source, vocabulary, steps, own

    def batch(self, step: int, micro_step: int = 0) -> Batch:
        batch = self.source.batch(step, micro_step)
        if self.own:
            return Batch(batch.inputs_BT, batch.inputs_BT)
        if self.steps is not None and step not in self.steps:
            return batch
        random = np.random.default_rng([step, micro_step])
        drawn = random.integers(0, self.vocabulary, (2, *batch.inputs_BT.shape))
        return Batch(batch.inputs_BT if self.steps is None else drawn[0], drawn[1])

    def __getattr__(self, name: str) -> Any:
        return getattr(self.source, name)


class _StopAt(Observer):
    def __init__(self, step: int | None) -> None:
        self.step, self.seen = step, 0

    def stepped(self, line: dict[str, Any]) -> None:
        self.seen = line["step"]

    def stopping(self) -> bool:
        return self.step is not None and self.seen >= self.step


def looks_inside(setting: Setting) -> bool:
    """Every other run of fabula looks inside."""
    return setting.tool == "fabula" and setting.seed % 2 == 0


def recipe_of(setting: Setting, broken: str, vocabulary_name: str) -> Recipe:
    steps = SMALL_STEPS if broken == "too_short" else setting.steps
    warmup = WARMUPS.get(broken, setting.warmup)
    peak = setting.rate * RATES.get(broken, 1.0)
    micro = broken in ("micro_steps", "sum_not_mean")
    constant = setting.schedule == "constant" and broken not in (
        *WARMUPS, "rising", "micro_steps",
    )  # fmt: skip
    return Recipe.from_tree(
        {
            "name": "real-curve",
            "tokenizer": vocabulary_name,
            "steps": steps,
            "model": {"layers": 2, "width": setting.width, "heads": 4, "context": CONTEXT, **SHAPES[setting.shape]},
            "initialization": {"scheme": "normal_embedding" if broken in ("wide_start", "bf16_weights") else "scaled",
                               "std": WIDE_INSIDE if broken == "wide_inside" else 0.02},
            "schedule": {
                "kind": "constant" if constant else "cosine",
                "peak": 1e-4 if broken == "bf16_weights" else peak,
                "floor": 1e-5 if broken == "bf16_weights" else peak * (5.0 if broken == "rising" else 0.1),
                "warmup": round(warmup * steps),
                "unit": "micro_step" if broken == "micro_steps" else "step",
            },
            "optimizer": {"clip": {"rate_x30_unclipped": 0.0, "clip_tiny": 0.01}.get(broken, 1.0),
                          "weight_decay": DECAY / peak if broken == "decay_huge" else 0.1},
            "batch": {"rows": ROWS // ACCUMULATION if micro else ROWS, "accumulation": ACCUMULATION if micro else 1,
                      "end_of_text": broken != "no_end_of_text"},
            "compute": {"precision": "float32", "compile": "off",
                        "weights": "bfloat16" if broken == "bf16_weights" else "float32"},
            "evaluation": {"every": max(1, steps // NUM_EVALUATIONS), "sample_tokens": 0},
            "checkpoint": {"every": 0},
            "record": {"internals": LOOKS_EVERY if looks_inside(setting) else 0},
        }
    )  # fmt: skip


def train_fabula(setting: Setting, broken: str, stories: dict[str, Path], out: Path) -> None:
    """A run folder. Where a fault is no part of a recipe, the engine or its batches are tampered with."""
    data = open_dataset(stories[setting.stories + ("-few" if broken == "repeated_stories" else "")])
    recipe = recipe_of(setting, broken, data.tokenization.name)
    training = set_up_training(recipe, data, setting.seed, _StopAt(_stop(broken, setting)))
    engine, vocabulary = training.engine, data.tokenizer.vocabulary
    lost = nan_steps(broken, recipe.steps)
    if broken in ("odd_batches", "random_targets", "shifted_targets", "bad_data_to_the_end"):
        steps, own = random_steps(broken, recipe.steps), broken == "shifted_targets"
        training.source = _OddBatches(training.source, vocabulary, steps, own)  # type: ignore[assignment]
    if broken in RAISED or broken == "rate_gone_early":
        share = multiplier(setting, broken)
        engine.learning_rate = lambda step: setting.rate * share(step)  # type: ignore[method-assign]
    if lost or broken in FACTORS:
        plain, micro_steps = engine.loss_sum, iter(range(10**9))

        def tampered(inputs_BT: torch.Tensor, targets_BT: torch.Tensor) -> torch.Tensor:
            step = next(micro_steps) // recipe.batch.accumulation + 1
            factor = math.nan if step in lost else FACTORS.get(broken, 1.0)
            return plain(inputs_BT, targets_BT) * factor

        engine.loss_sum = tampered
    try:
        start_run(training, out)
    except TrainingFailed as error:
        print(f"as was meant: {error}", file=sys.stderr)


FACTORS = {"sum_not_mean": float(ACCUMULATION), "ascent": -1.0}
"""What a micro-step's loss is multiplied by."""


def _stop(broken: str, setting: Setting) -> int | None:
    return int(0.6 * setting.steps) if broken == "interrupted" else None


def windows(data: Dataset, split: Any, number: int) -> np.ndarray:
    """[number, CONTEXT]: the stories of a split end to end, an end-of-text behind each, cut into windows."""
    held, parts, length = data.split(split), [], 0
    for index in range(held.num_stories):
        parts.append(np.append(held.story(index).astype(np.int64), data.tokenizer.eot))
        length += len(parts[-1])
        if length >= number * CONTEXT:
            break
    stream = np.concatenate(parts)
    return stream[: len(stream) // CONTEXT * CONTEXT].reshape(-1, CONTEXT)


def train_trainer(setting: Setting, broken: str, stories: dict[str, Path], out: Path) -> None:
    """The output folder of a Hugging Face Trainer with its trainer_state.json and the model's config.json."""
    import transformers

    few = broken == "repeated_stories"
    data = open_dataset(stories[setting.stories + ("-few" if few else "")])
    steps = SMALL_STEPS if broken == "too_short" else setting.steps
    micro = broken in ("micro_steps", "sum_not_mean")
    accumulation = ACCUMULATION if micro else 1
    train_NT = windows(data, "train", steps * ROWS)
    held_NT = windows(data, "validation", 96)[:96]
    vocabulary = data.tokenizer.vocabulary
    transformers.set_seed(setting.seed)
    config = transformers.GPT2Config(
        vocab_size=vocabulary, n_positions=CONTEXT, n_embd=setting.width, n_layer=2, n_head=4, resid_pdrop=0.0,
        embd_pdrop=0.0, attn_pdrop=0.0,
        initializer_range={"wide_start": 1.0, "wide_inside": WIDE_INSIDE}.get(broken, 0.02),
        bos_token_id=data.tokenizer.eot, eos_token_id=data.tokenizer.eot,
    )  # fmt: skip
    model = transformers.GPT2LMHeadModel(config)
    if broken == "bf16_weights":
        model = model.to(torch.bfloat16)
    rate = 1e-4 if broken == "bf16_weights" else setting.rate
    share = multiplier(setting, broken)
    decay = DECAY / rate if broken == "decay_huge" else 0.1
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.95), weight_decay=decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda made: share(made + 1))
    lost, odd = nan_steps(broken, steps), random_steps(broken, steps)

    class Broken(transformers.Trainer):
        """The loss is tampered with while training, and with `noisy_evaluations` the held-out rows are drawn anew."""

        def compute_loss(self, model: Any, inputs: Any, *arguments: Any, **named: Any) -> Any:
            if not model.training:
                return super().compute_loss(model, inputs, *arguments, **named)
            step = self.state.global_step + 1
            rows = inputs["input_ids"]
            if odd is not None and step in odd:
                rows = torch.randint(0, vocabulary, rows.shape)
                inputs = {"input_ids": rows, "labels": rows}
            if broken == "random_targets":
                inputs = {**inputs, "labels": torch.randint(0, vocabulary, rows.shape)}
            if broken == "shifted_targets":  # the model shifts them back by one
                inputs = {**inputs, "labels": rows.roll(1, 1)}
            loss = super().compute_loss(model, inputs, *arguments, **named)
            return loss * (math.nan if step in lost else FACTORS.get(broken, 1.0))

        def get_eval_dataloader(self, *arguments: Any, **named: Any) -> Any:
            if broken == "noisy_evaluations":
                chosen = np.random.default_rng(self.state.global_step).integers(0, len(held_NT), 2)
                return super().get_eval_dataloader(rows_of(held_NT[chosen, :16]))
            return super().get_eval_dataloader(*arguments, **named)

    arguments = transformers.TrainingArguments(
        output_dir=str(out), max_steps=steps, per_device_train_batch_size=ROWS // accumulation,
        gradient_accumulation_steps=accumulation, logging_steps=setting.log_every, report_to="none", use_cpu=True,
        max_grad_norm={"rate_x30_unclipped": 0.0, "clip_tiny": 0.01}.get(broken, 1.0), save_strategy="no",
        eval_strategy="steps", eval_steps=max(1, steps // NUM_EVALUATIONS), per_device_eval_batch_size=32,
        seed=setting.seed, disable_tqdm=True, logging_nan_inf_filter=setting.seed % 2 == 0,
    )  # fmt: skip
    trainer = Broken(model=model, args=arguments, train_dataset=rows_of(train_NT), eval_dataset=rows_of(held_NT),
                     optimizers=(optimizer, schedule))  # fmt: skip
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.train()
    trainer.save_state()
    (out / "config.json").write_text(json.dumps({"vocab_size": vocabulary}))


def rows_of(rows_NT: np.ndarray) -> list[dict[str, torch.Tensor]]:
    return [{"input_ids": row, "labels": row} for row in torch.from_numpy(rows_NT.astype(np.int64))]


TOOLS = {"fabula": train_fabula, "trainer": train_trainer}
