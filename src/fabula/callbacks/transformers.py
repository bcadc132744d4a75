"""For the Trainer of transformers: `Trainer(..., callbacks=[FabulaCallback("runs/mine")])`."""

import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch.distributed
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from fabula.api.record import Record
from fabula.record.foreign.notes import note
from fabula.record.reader import is_run

KEPT = ("learning_rate", "lr_scheduler_type", "warmup_steps", "weight_decay", "adam_beta1", "adam_beta2",
        "adam_epsilon", "optim", "per_device_train_batch_size", "num_train_epochs", "max_steps", "bf16", "fp16",
        "logging_steps", "label_smoothing_factor")  # fmt: skip


class FabulaCallback(TrainerCallback):
    """Records what the Trainer logs; with `stop_on_failure`, ends the training once a failure was found.

    `options` are those of fabula.Record; clip, accumulation, steps, seed and vocabulary are the Trainer's own. A
    training that is resumed from a checkpoint goes on in the same folder.
    """

    def __init__(self, folder: str, *, stop_on_failure: bool = False, **options: Any) -> None:
        self.folder, self.stop_on_failure, self.options = folder, stop_on_failure, options
        self.record: Record | None = None
        self._sum_is_lost = False

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **others: Any
    ) -> None:
        config = getattr(others.get("model"), "config", None)
        known = {
            "clip": args.max_grad_norm,
            "accumulation": args.gradient_accumulation_steps,
            "steps": state.max_steps,
            "seed": args.seed,
            "vocabulary": getattr(config, "vocab_size", None),
            "settings": {name: getattr(args, name) for name in KEPT if hasattr(args, name)},
            "resume": state.global_step > 0,
            "is_writer": state.is_world_process_zero,
        }
        if state.global_step > 0 and state.is_world_process_zero and not is_run(Path(self.folder).expanduser()):
            warnings.warn(
                f"the training goes on after step {state.global_step:,}, and {self.folder} has no record of what came "
                "before; if there is one, give its folder",
                stacklevel=2,
            )
        self.record = Record(self.folder, **{**known, **self.options})
        self._sum_is_lost = False
        every = _steps_between_lines(state)
        window = "an epoch" if args.logging_strategy == "epoch" else f"{every} steps" if every > 1 else ""
        notes = [note("window_mean", steps=window)] if window else []
        self.record.about(notes=[*notes, note("nan_filtered")] if args.logging_nan_inf_filter else notes)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **others: Any,
    ) -> None:
        logs = {name: value for name, value in (logs or {}).items() if isinstance(value, (int, float))}
        if self.record is None or "train_runtime" in logs:  # at the end, the mean loss of the whole training
            return
        tokens = state.num_input_tokens_seen or None
        held_out = {name: value for name, value in logs.items() if name.startswith("eval_")}
        if held_out:
            self.record.evaluate(state.global_step, tokens=tokens, **held_out)
        elif "loss" in logs:
            loss = self._loss_of(logs, is_filtered=args.logging_nan_inf_filter)
            self.record.train(state.global_step, **{"tokens": tokens, **logs, "loss": loss})

    def _loss_of(self, logs: Mapping[str, float], is_filtered: bool) -> float | None:
        """What the batches lost; None where the Trainer does not know it.

        It takes its sum of losses back by subtracting it from itself: after one that is not finite, all that it logs
        are NaN, however well the training goes on. With its filter it logs 0 for what is not finite. The norm of the
        gradient tells what they are: a loss that is not finite has no gradient with a length.
        """
        loss, norm = float(logs["loss"]), logs.get("grad_norm")
        if norm is None:
            return loss
        if is_filtered:
            return math.nan if loss == 0.0 and not math.isfinite(norm) else loss
        lost, self._sum_is_lost = self._sum_is_lost, self._sum_is_lost or not math.isfinite(loss)
        return None if lost and 0.0 < norm < math.inf else loss

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **others: Any
    ) -> None:
        """Where it logs once an epoch, that line is the newest."""
        if self.stop_on_failure and self._alarm():
            control.should_training_stop = True

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **others: Any) -> None:
        # The Trainer logs a step only after this, so the line of the step before is the newest.
        if self.stop_on_failure and (state.global_step - 1) % _steps_between_lines(state) == 0 and self._alarm():
            control.should_training_stop = True

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **others: Any
    ) -> None:
        if self.record is not None:
            ended = state.global_step >= state.max_steps or self._alarm() or control.should_training_stop
            self.record.close("finished" if ended else "interrupted")

    def _alarm(self) -> bool:
        """The writer's, in all processes: one that goes on alone would wait for the others for ever."""
        raised = self.record is not None and self.record.alarm()
        if not torch.distributed.is_available() or not torch.distributed.is_initialized():
            return raised
        told = [raised]
        torch.distributed.broadcast_object_list(told, src=0)
        return told[0]


def _steps_between_lines(state: TrainerState) -> int:
    """As the state has it: the arguments may give a share of all steps."""
    return max(1, int(state.logging_steps))
