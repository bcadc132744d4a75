"""Three real loops with `fabula.Record`: killed in the middle, resumed, diagnosed, compared; and our own beside.

python benchmarks/recorded_loops.py --data DIR --out docs/benchmarks/recorded_loops.json

DIR is a prepared folder (fabula prepare builtin --tokenizer bpe:1024). All loops see the same batches. Each is run with
`--seeds` seeds as it should be and with a rate that is too high; the first of each is killed and goes on from its own
checkpoint. Some minutes on two cores.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from plain_loop import PlainGPT
from results import write
from torch import Tensor

import fabula
from fabula.data.batches import BatchSource
from fabula.data.dataset import Dataset, open_dataset
from fabula.recipe.presets.by_name import load_recipe

LAYERS, WIDTH, HEADS, CONTEXT, ROWS = 2, 64, 2, 64, 8
STEPS, EVERY, SAVED, KILLED = 300, 20, 100, 155
RATE, FACTOR, CLIP = 3e-3, 100.0, 1.0
FAULTS = {"none": 1.0, "rate": FACTOR}
LOOPS = ("plain", "trainer", "lightning")
OURS = "ours"


class Stories:
    """Batches by their step, and one batch that is held out."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.data: Dataset = open_dataset(folder, _tokenizer(folder))
        self.vocabulary = self.data.tokenizer.vocabulary
        options: dict[str, Any] = {"layout": "packed", "rows": ROWS, "context": CONTEXT, "seed": seed}
        self._train = BatchSource(self.data, **options)
        self._held_out = BatchSource(self.data, **{**options, "seed": 0, "rows": 64}, split="validation")

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        return _tensors(self._train.batch(step))

    def held_out(self) -> tuple[Tensor, Tensor]:
        return _tensors(self._held_out.batch(1))

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return (self.batch(step) for step in range(1, STEPS + 1))


class Rows(torch.utils.data.Dataset):
    """The same batches, a row each: a loader that does not shuffle makes them again."""

    def __init__(self, stories: Stories, held_out: bool = False) -> None:
        self.stories, self.held = stories, stories.held_out() if held_out else None

    def __len__(self) -> int:
        return ROWS * STEPS if self.held is None else len(self.held[0])

    def __getitem__(self, place: int) -> dict[str, Tensor]:
        inputs, targets = self.stories.batch(place // ROWS + 1) if self.held is None else self.held
        row = place % ROWS if self.held is None else place
        return {"tokens_BT": inputs[row], "targets_BT": targets[row]}


def _tensors(batch: Any) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(batch.inputs_BT.astype("int64")), torch.from_numpy(batch.targets_BT.astype("int64"))


def _tokenizer(folder: Path) -> str:
    (name,) = (each.name for each in (folder / "tokens").iterdir())
    return name.replace("bpe-", "bpe:")


def model_of(stories: Stories, seed: int) -> PlainGPT:
    torch.manual_seed(seed)
    return PlainGPT(LAYERS, WIDTH, HEADS, CONTEXT, stories.vocabulary)


def schedule(optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LambdaLR:
    return torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda done: min(1.0, (done + 1) / 30) * (1.0 - 0.9 * done / STEPS)
    )


def plain(stories: Stories, out: Path, seed: int, rate: float, kill: bool) -> None:
    model = model_of(stories, seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    scheduler, start, saved = schedule(optimizer), 1, out.with_suffix(".pt")
    if saved.exists():
        state = torch.load(saved)
        for each, kept in ((model, state["model"]), (optimizer, state["optimizer"]), (scheduler, state["scheduler"])):
            each.load_state_dict(kept)
        start = state["step"] + 1
    with fabula.Record(out, clip=CLIP, vocabulary=stories.vocabulary, from_scratch=True, steps=STEPS, seed=seed,
                       settings={"optimizer": "adamw"}, resume=True) as record:  # fmt: skip
        for step in range(start, STEPS + 1):
            loss = model(*stories.batch(step))
            optimizer.zero_grad()
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            optimizer.step()
            record.train(step, loss, grad_norm=norm, lr=scheduler.get_last_lr()[0], tokens=step * ROWS * CONTEXT)
            scheduler.step()
            if step % EVERY == 0:
                with torch.no_grad():
                    record.evaluate(step, model(*stories.held_out()))
            if step % SAVED == 0:
                torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(),
                            "scheduler": scheduler.state_dict(), "step": step}, saved)  # fmt: skip
            _maybe_die(step, kill)


def trainer(stories: Stories, out: Path, seed: int, rate: float, kill: bool) -> None:
    from transformers import Trainer, TrainerCallback, TrainingArguments

    from fabula.callbacks.transformers import FabulaCallback

    class Losses(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model_of(stories, seed)

        def forward(self, tokens_BT: Tensor, targets_BT: Tensor, **others: Any) -> dict[str, Tensor]:
            return {"loss": self.model(tokens_BT, targets_BT)}

    class InOrder(Trainer):
        def _get_train_sampler(self, *others: Any) -> Any:
            return torch.utils.data.SequentialSampler(self.train_dataset)

    class Dies(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            _maybe_die(state.global_step, kill)

    folder = out.with_suffix(".trainer")
    arguments = TrainingArguments(
        str(folder), max_steps=STEPS, per_device_train_batch_size=ROWS, per_device_eval_batch_size=64, logging_steps=1,
        eval_strategy="steps", eval_steps=EVERY, save_steps=SAVED, report_to=[], use_cpu=True, disable_tqdm=True,
        learning_rate=rate, max_grad_norm=CLIP, seed=seed, logging_nan_inf_filter=False, remove_unused_columns=False,
        label_names=["targets_BT"], prediction_loss_only=True,
    )  # fmt: skip
    network = Losses()
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate)
    callback = FabulaCallback(str(out), vocabulary=stories.vocabulary, from_scratch=True)
    made = InOrder(network, arguments, train_dataset=Rows(stories), eval_dataset=Rows(stories, held_out=True),
                   optimizers=(optimizer, schedule(optimizer)), callbacks=[callback, Dies()])  # fmt: skip
    made.train(resume_from_checkpoint=folder.is_dir() and any(folder.glob("checkpoint-*")))


def lightning(stories: Stories, out: Path, seed: int, rate: float, kill: bool) -> None:
    import lightning.pytorch as lightning
    from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint

    from fabula.callbacks.lightning import FabulaLogger

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = model_of(stories, seed)

        def training_step(self, batch: dict[str, Tensor], number: int) -> Tensor:
            loss = self.model(**batch)
            self.log("train_loss", loss)
            _maybe_die(self.global_step, kill)
            return loss

        def validation_step(self, batch: dict[str, Tensor], number: int) -> None:
            self.log("val_loss", self.model(**batch))

        def on_before_optimizer_step(self, optimizer: Any) -> None:
            norms = [each.grad.norm() for each in self.parameters() if each.grad is not None]
            self.log("grad_norm", torch.stack(norms).norm())

        def configure_optimizers(self) -> Any:
            optimizer = torch.optim.AdamW(self.parameters(), lr=rate)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule(optimizer), "interval": "step"}}

    folder = out.with_suffix(".lightning")
    logger = FabulaLogger(out, clip=CLIP, vocabulary=stories.vocabulary, from_scratch=True, steps=STEPS, seed=seed,
                          settings={"optimizer": "adamw"}, resume=True)  # fmt: skip
    keeping = ModelCheckpoint(folder, save_last=True, every_n_train_steps=SAVED, save_on_train_epoch_end=False)
    made = lightning.Trainer(
        max_steps=STEPS, logger=logger, callbacks=[LearningRateMonitor("step"), keeping], log_every_n_steps=1,
        val_check_interval=EVERY, gradient_clip_val=CLIP, accelerator="cpu", num_sanity_val_steps=0,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    last = folder / "last.ckpt"
    rows = torch.utils.data.DataLoader(Rows(stories), batch_size=ROWS)
    held_out = torch.utils.data.DataLoader(Rows(stories, held_out=True), batch_size=64)
    made.fit(Module(), rows, held_out, ckpt_path=last if last.is_file() else None)


def ours(stories: Stories, out: Path, seed: int, rate: float, kill: bool) -> None:
    recipe = load_recipe("strong").with_values(**{
        "tokenizer": _tokenizer(stories.data.folder), "steps": STEPS, "model.layers": LAYERS, "model.width": WIDTH,
        "model.heads": HEADS, "model.context": CONTEXT, "batch.rows": ROWS, "batch.accumulation": 1,
        "schedule.peak": rate, "schedule.floor": rate / 10, "schedule.warmup": 30, "optimizer.clip": CLIP,
        "evaluation.every": EVERY, "evaluation.sample_tokens": 0, "checkpoint.every": SAVED, "compute.compile": "off",
    })  # fmt: skip
    fabula.train(recipe, data=stories.data.folder, out=out, seed=seed)


def _maybe_die(step: int, kill: bool) -> None:
    if kill and step == KILLED:
        os.kill(os.getpid(), signal.SIGKILL)


def child(loop: str, data: Path, out: Path, seed: int, fault: str, kill: bool) -> None:
    """One loop in its own process, which may be killed."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)  # so small a model gains nothing from a second one
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    run = {"plain": plain, "trainer": trainer, "lightning": lightning, OURS: ours}[loop]
    run(Stories(data, seed), out, seed, RATE * FAULTS[fault], kill)


def start(loop: str, data: Path, out: Path, seed: int, fault: str, kill: bool) -> int:
    command = [
        sys.executable,
        __file__,
        "--data",
        str(data),
        "--child",
        loop,
        str(out),
        str(seed),
        fault,
        str(int(kill)),
    ]
    return subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode


def measured(data: Path, scratch: Path, seeds: int) -> dict[str, Any]:
    document: dict[str, Any] = {"steps": STEPS, "factor": FACTOR, "seeds": seeds, "loops": {}, "compared": {}}
    document["parameters"] = sum(each.numel() for each in model_of(Stories(data, 0), 0).parameters())
    for loop in (*LOOPS, OURS):
        killed, resumed = None, None
        for fault in FAULTS:
            for seed in range(seeds):
                out = scratch / f"{loop}-{fault}-{seed}"
                if loop != OURS and seed == 0 and fault == "none":
                    assert start(loop, data, out, seed, fault, kill=True) == -signal.SIGKILL
                    killed = int(fabula.read(out).train["step"][-1])
                assert start(loop, data, out, seed, fault, kill=False) == 0, f"{loop}, {fault}, seed {seed}"
                if killed is not None and seed == 0 and fault == "none":
                    resumed = next(each["step"] for each in fabula.read(out).events if each["event"] == "resumed")
        found = {
            fault: sorted({
                each.kind
                for each in fabula.diagnose(scratch / f"{loop}-{fault}-0").findings
                if each.severity in ("warning", "failure")
            })
            for fault in FAULTS
        }  # fmt: skip
        steps = int(fabula.read(scratch / f"{loop}-none-0").train["step"][-1])
        document["loops"][loop] = {"killed_at": killed, "resumed_from": resumed, "steps": steps, "found": found}
        groups = {fault: str(scratch / f"{loop}-{fault}-[0-9]") for fault in FAULTS}
        document["compared"][loop] = fabula.compare(groups).decision
    return document


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--child", nargs=5, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        loop, out, seed, fault, kill = given.child
        child(loop, given.data, Path(out), int(seed), fault, kill == "1")
        return
    with tempfile.TemporaryDirectory() as scratch:
        write(measured(given.data, Path(scratch), given.seeds), given.out)


if __name__ == "__main__":
    main()
