"""Lightning with its logger: what a module logs is in the record, also of a run that goes on, and a failure ends it."""

import math
import warnings
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import LearningRateMonitor
from lightning.pytorch.utilities.exceptions import SIGTERMException
from tests.callbacks.tiny import NUM, PER_EPOCH, ROWS, loss_of

import fabula
from fabula.callbacks.lightning import FabulaLogger, StopOnFailure

pytestmark = pytest.mark.filterwarnings("ignore")


class Module(lightning.LightningModule):
    def __init__(self, broken_at: int = 10_000) -> None:
        super().__init__()
        self.save_hyperparameters({"width": 8})
        self.broken_at, self.losses = broken_at, []
        self.layers = torch.nn.Sequential(torch.nn.Embedding(NUM, 8), torch.nn.Linear(8, NUM))

    def training_step(self, batch: Any, number: int) -> torch.Tensor:
        loss = loss_of(self.layers(batch[0][:, :-1]), batch[0][:, 1:])
        if self.global_step >= self.broken_at:
            loss = loss * math.nan
        self.log("train_loss", loss)
        self.losses.append(float(loss.detach()))
        return loss

    def validation_step(self, batch: Any, number: int) -> None:
        self.log("val_loss", loss_of(self.layers(batch[0][:, :-1]), batch[0][:, 1:]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=1e-2)


QUIET = {"accelerator": "cpu", "enable_progress_bar": False, "enable_checkpointing": False,
         "enable_model_summary": False, "num_sanity_val_steps": 0}  # fmt: skip


def rows() -> torch.utils.data.DataLoader:
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(ROWS), batch_size=8)


def fit(module: Module, folder: Path, epochs: int, checkpoint: Path | None = None, **options: Any) -> Any:
    logger = FabulaLogger(folder, vocabulary=NUM, resume=True, **options)
    callbacks = [LearningRateMonitor("step"), StopOnFailure()]
    trainer = lightning.Trainer(max_epochs=epochs, logger=logger, callbacks=callbacks, log_every_n_steps=1, **QUIET)
    trainer.fit(module, rows(), rows(), ckpt_path=checkpoint)
    return trainer


def test_a_training_and_its_resumption_are_one_record(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = Module()
    fit(module, tmp_path / "run", 1).save_checkpoint(tmp_path / "first.ckpt")
    fit(module, tmp_path / "run", 2, tmp_path / "first.ckpt")
    run = fabula.read(tmp_path / "run")
    assert run.status == "finished" and list(run.train["step"]) == list(range(1, 2 * PER_EPOCH + 1))
    assert run.train["loss"] == pytest.approx(module.losses, rel=1e-6)
    assert set(run.train["learning_rate"]) == {1e-2}
    assert list(run.evals["step"]) == [PER_EPOCH, 2 * PER_EPOCH] and (run.evals["val_loss"] > 0).all()
    assert run.info["settings"] == {"width": 8}
    assert [(each["event"], each["step"]) for each in run.events] == [("resumed", PER_EPOCH)]


def test_a_failure_ends_it(tmp_path: Path) -> None:
    trainer = fit(Module(broken_at=7), tmp_path / "run", 20, steps=20 * PER_EPOCH)
    assert 7 < trainer.global_step < 20 * PER_EPOCH
    assert fabula.diagnose(tmp_path / "run").of("non_finite") and fabula.read(tmp_path / "run").status == "failed"


@pytest.mark.parametrize(
    ("error", "status"),
    [(KeyboardInterrupt, "interrupted"), (SIGTERMException, "interrupted"), (ValueError, "failed")],
)
def test_what_ends_it_is_in_the_record(
    error: type[BaseException], status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = Module()

    def stop(*_: Any) -> None:
        if module.global_step == 3:
            raise error("enough")

    monkeypatch.setattr(module, "on_train_batch_start", stop)
    monkeypatch.setattr("signal.signal", lambda *_: None)  # Lightning leaves Ctrl-C ignored
    with pytest.raises((SystemExit, error)):
        fit(module, tmp_path / "run", 1)
    run = fabula.read(tmp_path / "run")
    assert run.status == status and "enough" in run.info["error"]
    assert list(run.train["step"][np.isfinite(run.train["loss"])]) == [1, 2, 3]


def test_an_error_further_out_is_not_the_trainings(tmp_path: Path) -> None:
    """Somebody trains anew while an error is handled."""
    try:
        raise KeyboardInterrupt("of something else")
    except KeyboardInterrupt:
        fit(Module(), tmp_path / "run", 1)
    run = fabula.read(tmp_path / "run")
    assert run.status == "finished" and not run.info.get("error")


def test_a_logger_that_is_used_again_goes_on(tmp_path: Path) -> None:
    logger = FabulaLogger(tmp_path / "run")
    for step in range(2):
        logger.log_metrics({"train_loss": 3.0 - step, "epoch": 0}, step=step)
        logger.log_metrics({"val_loss": 3.5 - step, "test_loss": 9.0}, step=step)
        logger.finalize("success")
    run = fabula.read(tmp_path / "run")
    assert (run.status, list(run.train["loss"]), list(run.evals["val_loss"])) == ("finished", [3.0, 2.0], [3.5, 2.5])


def test_what_is_no_number_is_left_out_and_said_once(tmp_path: Path) -> None:
    """Other loggers take it, and it may come after hours."""
    logger = FabulaLogger(tmp_path / "run")
    odd = {"classes": [0.1, 0.9], "picture": torch.ones(3), "note": "fine", "nothing": None}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for step in range(2):
            logger.log_metrics({"train_loss": 3.0 - step, **odd}, step=step)
            logger.log_metrics({"val_loss": torch.tensor([3.5 - step]), **odd}, step=step)
        logger.finalize("success")
    assert [str(each.message).split(" is left out")[0] for each in told] == ["classes", "picture", "note"]
    run = fabula.read(tmp_path / "run")
    assert (list(run.train["loss"]), list(run.evals["val_loss"])) == ([3.0, 2.0], [3.5, 2.5])
