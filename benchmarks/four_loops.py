"""Four training loops that see the same batches and the same faults: three that are not ours, and our own.

Each is a function (stories, fault, out, seed, dies_at), and goes on from its own checkpoint where there is one. A loop
that `dies_at` a step kills its process there, as a machine that goes down does.
"""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from plain_loop import PlainGPT
from torch import Tensor

import fabula
import fabula.score.rulers as rulers
from fabula.data.batches import Batch, BatchSource
from fabula.data.dataset import Dataset, open_dataset
from fabula.recipe.presets.by_name import load_recipe
from fabula.train.life.run import set_up_training, start_run
from fabula.train.loop import TrainingFailed
from fabula.train.observer import Observer

# A tenth of the usual ruler: an evaluation must not take longer than the steps between two of them.
rulers.SUBSET_BYTES, rulers.TRAIN_SAMPLE_BYTES = 5_000, 5_000
LAYERS, WIDTH, HEADS, CONTEXT, ROWS = 2, 32, 2, 32, 8
STEPS, WARMUP, EVERY, SAVED = 300, 30, 20, 100
RATE, CLIP, LEFT = 3e-3, 1.0, 0.1
"""The peak of the rate, the norm that gradients are clipped to, and the share of the rate that is left at the end."""
FOREVER = STEPS + 1


@dataclass(frozen=True)
class Fault:
    what: str
    times: float = 1.0
    """What the rate is multiplied by ..."""
    since: int = 1
    """... from this update on."""
    odd: range = range(0)
    """Updates whose batches are random tokens."""
    nan: range = range(0)
    """Updates whose loss is not a number."""
    guard: str = ""
    """What is done about that: `stop` ends the training, `skip` leaves the weights as they are, empty is nothing."""

    def rate(self, step: int) -> float:
        """Of update `step`, counted from 1."""
        sane = RATE * min(1.0, step / WARMUP) * (1.0 - (1.0 - LEFT) * (step - 1) / STEPS)
        return sane * (self.times if step >= self.since else 1.0)

    def loss(self, step: int, loss: Tensor) -> Tensor:
        return loss * math.nan if step in self.nan else loss


FAULTS = {
    "none": Fault("no fault"),
    "rate": Fault("100 times the rate", 100.0),
    "rate_later": Fault("100 times the rate from step 150 on", 100.0, 150),
    "rate_gone": Fault("no rate from step 16 on", 0.0, 16),
    "odd": Fault("random tokens at steps 200 to 229", odd=range(200, 230)),
    "nan": Fault("a loss of NaN at step 200, and the loop ends when its record shows a failure",
                 nan=range(200, 201), guard="stop"),
    "nan_skipped": Fault("a loss of NaN at step 200, and the update is left out", nan=range(200, 201), guard="skip"),
}  # fmt: skip


class Stories:
    """Batches by their step, with the fault in them, and one batch that is held out."""

    def __init__(self, folder: Path, seed: int, fault: Fault) -> None:
        self.data: Dataset = open_dataset(folder, tokenizer_of(folder))
        self.vocabulary, self._seed, self._fault = self.data.tokenizer.vocabulary, seed, fault
        options: dict[str, Any] = {"layout": "packed", "rows": ROWS, "context": CONTEXT, "seed": seed}
        self._train = BatchSource(self.data, **options)
        self._held_out = BatchSource(self.data, **{**options, "seed": 0, "rows": 64}, split="validation")

    def batch(self, step: int, micro_step: int = 0) -> Batch:
        if step not in self._fault.odd:
            return self._train.batch(step)
        drawn = np.random.default_rng([self._seed, step]).integers(0, self.vocabulary, (2, ROWS, CONTEXT))
        return Batch(*drawn)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._train, name)

    def tensors(self, step: int) -> tuple[Tensor, Tensor]:
        return _tensors(self.batch(step))

    def held_out(self) -> tuple[Tensor, Tensor]:
        return _tensors(self._held_out.batch(1))


def _tensors(batch: Batch) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(batch.inputs_BT.astype("int64")), torch.from_numpy(batch.targets_BT.astype("int64"))


def tokenizer_of(folder: Path) -> str:
    (name,) = (each.name for each in (folder / "tokens").iterdir())
    return name.replace("bpe-", "bpe:")


class Rows(torch.utils.data.IterableDataset):
    """The same batches, a row each: a loader that does not shuffle makes them again."""

    def __init__(self, stories: Stories, held_out: bool = False, done: int = 0) -> None:
        """`done`: steps whose batches are passed over."""
        self.stories, self.is_held_out, self.done = stories, held_out, done

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        for step in [0] if self.is_held_out else range(self.done + 1, STEPS + 1):
            inputs, targets = self.stories.tensors(step) if step else self.stories.held_out()
            yield from ({"tokens_BT": one, "targets_BT": other} for one, other in zip(inputs, targets, strict=True))


def model_of(vocabulary: int, seed: int) -> PlainGPT:
    torch.manual_seed(seed)
    return PlainGPT(LAYERS, WIDTH, HEADS, CONTEXT, vocabulary)


class Optimizer(torch.optim.AdamW):
    """With a guard that leaves out an update whose gradient is not finite, where the fault has one."""

    def __init__(self, model: torch.nn.Module, fault: Fault) -> None:
        super().__init__(model.parameters(), lr=RATE)
        self.is_guarded, self.has_skipped = fault.guard == "skip", False

    def step(self, closure: Any = None) -> Any:
        loss = None if closure is None else closure()
        gradients = [each.grad for group in self.param_groups for each in group["params"] if each.grad is not None]
        self.has_skipped = self.is_guarded and not all(bool(each.isfinite().all()) for each in gradients)
        if not self.has_skipped:
            super().step()
        return loss


def schedule(optimizer: Optimizer, fault: Fault) -> torch.optim.lr_scheduler.LambdaLR:
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda done: fault.rate(done + 1) / RATE)


@dataclass(frozen=True)
class Fate:
    """How fast a loop is, and where it ends; called after each step."""

    dies_at: int = FOREVER
    pause: float = 0.0
    """Seconds after each step, for whom to watch."""

    def __call__(self, step: int) -> None:
        time.sleep(self.pause)
        if step == self.dies_at:
            os.kill(os.getpid(), signal.SIGKILL)


REASON = "loss or gradient is not finite"


def plain(stories: Stories, fault: Fault, out: Path, seed: int, fate: Fate) -> None:
    model = model_of(stories.vocabulary, seed)
    optimizer = Optimizer(model, fault)
    scheduler, start, saved = schedule(optimizer, fault), 1, out.with_suffix(".pt")
    if saved.exists():
        state = torch.load(saved)
        for each, kept in ((model, state["model"]), (optimizer, state["optimizer"]), (scheduler, state["scheduler"])):
            each.load_state_dict(kept)
        start = state["step"] + 1
    with fabula.Record(out, clip=CLIP, vocabulary=stories.vocabulary, from_scratch=True, steps=STEPS, seed=seed,
                       settings={"optimizer": "adamw"}, resume=True) as record:  # fmt: skip
        for step in range(start, STEPS + 1):
            loss = fault.loss(step, model(*stories.tensors(step)))
            optimizer.zero_grad()
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            optimizer.step()
            record.train(step, loss, grad_norm=norm, lr=scheduler.get_last_lr()[0], tokens=step * ROWS * CONTEXT)
            scheduler.step()
            if optimizer.has_skipped:
                record.event(step, "batch_skipped", reason=REASON)
            if fault.guard == "stop" and record.alarm():
                break
            if step % EVERY == 0:
                with torch.no_grad():
                    record.evaluate(step, model(*stories.held_out()))
            if step % SAVED == 0:
                torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(),
                            "scheduler": scheduler.state_dict(), "step": step}, saved)  # fmt: skip
            fate(step)


def trainer(stories: Stories, fault: Fault, out: Path, seed: int, fate: Fate) -> None:
    from transformers import Trainer, TrainerCallback, TrainingArguments

    from fabula.callbacks.transformers import FabulaCallback

    class Losses(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model_of(stories.vocabulary, seed)

        def forward(self, tokens_BT: Tensor, targets_BT: Tensor, **others: Any) -> dict[str, Tensor]:
            loss = self.model(tokens_BT, targets_BT)
            return {"loss": fault.loss(made.state.global_step + 1, loss) if self.training else loss}

    class Ends(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            if optimizer.has_skipped:
                callback.record.event(state.global_step, "batch_skipped", reason=REASON)
            fate(state.global_step)

    folder = out.with_suffix(".trainer")
    arguments = TrainingArguments(
        str(folder), max_steps=STEPS, per_device_train_batch_size=ROWS, per_device_eval_batch_size=64, logging_steps=1,
        eval_strategy="steps", eval_steps=EVERY, save_steps=SAVED, report_to=[], use_cpu=True, disable_tqdm=True,
        learning_rate=RATE, max_grad_norm=CLIP, seed=seed, logging_nan_inf_filter=False, remove_unused_columns=False,
        label_names=["targets_BT"], prediction_loss_only=True,
    )  # fmt: skip
    network = Losses()
    optimizer = Optimizer(network, fault)
    callback = FabulaCallback(
        str(out), stop_on_failure=fault.guard == "stop", vocabulary=stories.vocabulary, from_scratch=True
    )
    made = Trainer(network, arguments, train_dataset=Rows(stories), eval_dataset=Rows(stories, held_out=True),
                   optimizers=(optimizer, schedule(optimizer, fault)), callbacks=[callback, Ends()])  # fmt: skip
    made.train(resume_from_checkpoint=folder.is_dir() and any(folder.glob("checkpoint-*")))


def lightning(stories: Stories, fault: Fault, out: Path, seed: int, fate: Fate) -> None:
    import lightning.pytorch as lightning
    from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint

    from fabula.callbacks.lightning import FabulaLogger, StopOnFailure

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = model_of(stories.vocabulary, seed)

        def training_step(self, batch: dict[str, Tensor], number: int) -> Tensor:
            loss = fault.loss(self.global_step + 1, self.model(**batch))
            self.log("train_loss", loss)
            return loss

        def validation_step(self, batch: dict[str, Tensor], number: int) -> None:
            self.log("val_loss", self.model(**batch))

        def on_before_optimizer_step(self, optimizer: Any) -> None:
            norms = [each.grad.norm() for each in self.parameters() if each.grad is not None]
            self.log("grad_norm", torch.stack(norms).norm())

        def on_train_batch_end(self, *given: Any) -> None:
            if self.optimizers().optimizer.has_skipped:
                logger.experiment.event(self.global_step, "batch_skipped", reason=REASON)
            fate(self.global_step)

        def configure_optimizers(self) -> Any:
            optimizer = Optimizer(self, fault)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule(optimizer, fault),
                                                             "interval": "step"}}  # fmt: skip

    folder = out.with_suffix(".lightning")
    logger = FabulaLogger(out, clip=CLIP, vocabulary=stories.vocabulary, from_scratch=True, steps=STEPS, seed=seed,
                          settings={"optimizer": "adamw"}, resume=True)  # fmt: skip
    keeping = ModelCheckpoint(folder, save_last=True, every_n_train_steps=SAVED, save_on_train_epoch_end=False)
    stopping = [StopOnFailure()] if fault.guard == "stop" else []
    made = lightning.Trainer(
        max_steps=STEPS, logger=logger, callbacks=[LearningRateMonitor("step"), keeping, *stopping],
        log_every_n_steps=1, val_check_interval=EVERY, gradient_clip_val=CLIP, accelerator="cpu",
        num_sanity_val_steps=0, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    last = folder / "last.ckpt"
    # Lightning goes on with its steps, but reads a loader that cannot say where it stood from its beginning.
    done = torch.load(last, weights_only=False)["global_step"] if last.is_file() else 0
    rows = torch.utils.data.DataLoader(Rows(stories, done=done), batch_size=ROWS)
    held_out = torch.utils.data.DataLoader(Rows(stories, held_out=True), batch_size=64)
    made.fit(Module(), rows, held_out, ckpt_path=last if last.is_file() else None)


class OfTokens(PlainGPT):
    """The same model as fabula asks for one: logits of tokens."""

    def forward(self, tokens_BT: Tensor) -> Tensor:  # type: ignore[override]
        return self.logits(tokens_BT)


def own_model(recipe: Any, vocabulary: int) -> OfTokens:
    return OfTokens(LAYERS, WIDTH, HEADS, CONTEXT, vocabulary)


def own_optimizer(model: torch.nn.Module, settings: Any, rate: float) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=rate)


def ours(stories: Stories, fault: Fault, out: Path, seed: int, fate: Fate) -> None:
    """`fabula train` with the same model and first weights; the faults come from outside, as they do in the others."""
    recipe = load_recipe("strong").with_values(**{
        "own.model": "four_loops:own_model", "own.optimizer": "four_loops:own_optimizer",
        "tokenizer": tokenizer_of(stories.data.folder), "steps": STEPS, "model.layers": LAYERS, "model.width": WIDTH,
        "model.heads": HEADS, "model.context": CONTEXT, "batch.rows": ROWS, "batch.accumulation": 1,
        "schedule.peak": RATE, "schedule.floor": RATE * LEFT, "schedule.warmup": WARMUP, "optimizer.clip": CLIP,
        "evaluation.every": EVERY, "evaluation.sample_tokens": 0, "checkpoint.every": SAVED, "compute.compile": "off",
        "compute.precision": "float32", "guard.policy": fault.guard or "skip",
    })  # fmt: skip
    training = set_up_training(recipe, stories.data, seed, Observer())
    first = model_of(stories.vocabulary, seed).state_dict()
    training.engine.initial_weights = {f"inner.{name}": each for name, each in first.items()}
    training.engine.reset()
    sane, training.source = training.engine.loss_sum, stories  # type: ignore[assignment]
    training.engine.learning_rate = fault.rate  # type: ignore[method-assign]
    training.engine.loss_sum = lambda *batch: fault.loss(training.progress.step + 1, sane(*batch))
    with suppress(TrainingFailed):  # its record says so
        start_run(training, out)


LOOPS: dict[str, Callable[[Stories, Fault, Path, int, Fate], None]] = {
    "plain": plain,
    "trainer": trainer,
    "lightning": lightning,
    "ours": ours,
}
OURS = "ours"
