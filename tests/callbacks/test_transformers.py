"""The Trainer with its callback: what it logs is in the record, also of a run that goes on, and a failure ends it."""

import math
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.callbacks.tiny import NUM, ROWS
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

import fabula
from fabula.callbacks.transformers import FabulaCallback


class Rows(torch.utils.data.Dataset):
    def __len__(self) -> int:
        return len(ROWS)

    def __getitem__(self, place: int) -> dict[str, torch.Tensor]:
        return {"input_ids": ROWS[place], "labels": ROWS[place]}


def trainer(place: Path, callback: TrainerCallback, **options: Any) -> Trainer:
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=NUM, n_positions=16, n_embd=8, n_layer=1, n_head=1, bos_token_id=0, eos_token_id=0)
    arguments = TrainingArguments(
        str(place / "trainer"), per_device_train_batch_size=8, save_steps=4, report_to=[],
        use_cpu=True, disable_tqdm=True, learning_rate=1e-2,
        **{"eval_strategy": "steps", "eval_steps": 4, "logging_steps": 1, **options},
    )  # fmt: skip
    return Trainer(GPT2LMHeadModel(config), arguments, train_dataset=Rows(), eval_dataset=Rows(), callbacks=[callback])


@pytest.mark.filterwarnings("ignore")
def test_a_training_and_its_resumption_are_one_record(tmp_path: Path) -> None:
    callback = FabulaCallback(str(tmp_path / "run"), from_scratch=True)
    first = trainer(tmp_path, callback, max_steps=8)

    class Stopped(RuntimeError):
        """As an error in the loop ends it."""

    def stop(*arguments: Any, **options: Any) -> None:
        if first.state.global_step == 6:
            raise Stopped

    step, first.training_step = first.training_step, lambda *a, **k: (stop(), step(*a, **k))[1]
    with pytest.raises(Stopped):
        first.train()
    assert callback.record is not None
    callback.record.close("interrupted")  # as the end of its process does
    assert fabula.read(tmp_path / "run").train["step"][-1] == 6

    second = trainer(tmp_path, FabulaCallback(str(tmp_path / "run"), from_scratch=True), max_steps=8)
    second.train(resume_from_checkpoint=True)
    logged = {each["step"]: each["loss"] for each in second.state.log_history if "loss" in each}
    run = fabula.read(tmp_path / "run")
    assert run.status == "finished" and list(run.train["step"]) == list(range(1, 9))
    assert run.train["loss"] == pytest.approx([logged[step] for step in range(1, 9)], rel=1e-6)
    assert {"grad_norm", "learning_rate"} <= set(run.train)
    assert list(run.evals["step"]) == [4, 8] and (run.evals["val_loss"] > 0).all()
    said = (run.info[name] for name in ("clip", "accumulation", "steps", "seed", "vocabulary"))
    assert tuple(said) == (1.0, 1, 8, 42, NUM)
    assert [each["step"] for each in run.events] == [4]


QUICK = {"eval_strategy": "no", "save_strategy": "no"}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("logging", "every", "window"),
    [
        ({"logging_steps": 5}, 5, "(5 steps)"),
        ({"logging_steps": 0.1}, 4, "(4 steps)"),
        ({"logging_steps": 1}, 1, ""),
        ({"logging_strategy": "epoch"}, 5, "(an epoch)"),
    ],
)
def test_a_failure_ends_it_after_the_line_that_shows_it(
    logging: dict[str, Any], every: int, window: str, tmp_path: Path
) -> None:
    callback = FabulaCallback(str(tmp_path / "run"), stop_on_failure=True)
    made = trainer(tmp_path, callback, max_steps=40, logging_nan_inf_filter=False, **logging, **QUICK)
    made.training_step = lambda *arguments, **options: torch.tensor(math.nan if made.state.global_step >= 10 else 3.0)
    made.train()
    assert made.state.global_step == -(-11 // every) * every + 1
    run = fabula.read(tmp_path / "run")
    assert run.status == "failed" and window in str(run.info["notes"])
    assert bool(window) == ("mean of the steps" in str(run.info["notes"]))


class Careful(TrainerCallback):
    """Leaves out what is not finite of a gradient."""

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **others: Any) -> None:
        for each in model.parameters():
            each.grad.nan_to_num_(0.0)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("is_filtered", [True, False])
def test_one_loss_that_is_not_finite_is_one(is_filtered: bool, tmp_path: Path) -> None:
    """The Trainer logs 0 for it, or NaN for it and for every loss after it."""
    made = trainer(
        tmp_path, FabulaCallback(str(tmp_path / "run")), max_steps=30, logging_nan_inf_filter=is_filtered, **QUICK
    )
    made.add_callback(Careful())
    step = made.training_step

    def broken(model: Any, *arguments: Any) -> torch.Tensor:
        loss = step(model, *arguments)
        if made.state.global_step != 20:
            return loss
        for each in model.parameters():
            each.grad.fill_(math.nan)
        return loss * math.nan

    made.training_step = broken
    made.train()
    (found,) = fabula.diagnose(tmp_path / "run").of("non_finite")
    assert (found.steps, found.severity, found.evidence["curves"]) == ((21, 21), "warning", ["grad_norm", "loss"])
    losses = fabula.read(tmp_path / "run").train["loss"]
    assert (losses[:20] > 0.0).all() and (losses[21:] > 0.0).all() == is_filtered


class After(TrainerCallback):
    """Ends a training early, as EarlyStoppingCallback does."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        control.should_training_stop = state.global_step == self.step


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("loss", "status"), [(3.0, "finished"), (math.nan, "failed")])
def test_a_training_that_another_callback_ends_early_has_ended(loss: float, status: str, tmp_path: Path) -> None:
    made = trainer(tmp_path, FabulaCallback(str(tmp_path / "run")), max_steps=40, logging_nan_inf_filter=False, **QUICK)
    made.add_callback(After(4))
    made.training_step = lambda *arguments, **options: torch.tensor(loss)
    made.train()
    run = fabula.read(tmp_path / "run")
    assert (run.status, run.info["steps_done"], run.info["steps"]) == (status, 4, 40)


@pytest.mark.parametrize("is_there", [False, True])
def test_a_training_that_goes_on_in_another_folder_is_told(is_there: bool, tmp_path: Path) -> None:
    arguments = TrainingArguments(str(tmp_path / "trainer"), report_to=[], use_cpu=True)
    callback = FabulaCallback(str(tmp_path / "run"))
    if is_there:
        fabula.Record(tmp_path / "run").close("interrupted")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        callback.on_train_begin(arguments, TrainerState(global_step=4, max_steps=8), TrainerControl())
    assert ["after step 4" in str(each.message) for each in told] == ([] if is_there else [True])
    assert callback.record is not None
    callback.record.close()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_failure_ends_it(tmp_path: Path) -> None:
    callback = FabulaCallback(str(tmp_path / "run"), stop_on_failure=True)
    made = trainer(tmp_path, callback, max_steps=40, logging_nan_inf_filter=False, **QUICK)
    step, calls = made.training_step, []

    def broken(*arguments: Any, **options: Any) -> torch.Tensor:
        calls.append(1)
        return step(*arguments, **options) * (float("nan") if len(calls) > 10 else 1.0)

    made.training_step = broken
    made.train()
    assert 10 < made.state.global_step < 40
    assert fabula.diagnose(tmp_path / "run").of("non_finite") and fabula.read(tmp_path / "run").status == "failed"
