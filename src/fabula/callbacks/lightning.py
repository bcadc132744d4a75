"""For Lightning: `Trainer(logger=FabulaLogger("runs/mine"), callbacks=[StopOnFailure()])`."""

import sys
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import SIGTERMException

from fabula.api.record import Record
from fabula.callbacks.numbers import Numbers
from fabula.record.loop.fields import meaning

HELD_OUT = ("val", "valid", "eval", "dev")
"""How the names of an evaluation begin. What is logged of a test would be taken for one more validation."""


class FabulaLogger(Logger):
    """Records what a module logs. `options` are those of fabula.Record; hyperparameters become its settings.

    Lightning counts steps from 0 and the record counts updates from 1: what is logged at step s belongs to update
    s + 1. With `resume=True` a run that is there goes on.
    """

    def __init__(self, folder: str | Path, **options: Any) -> None:
        super().__init__()
        self.folder, self.options = Path(folder), options
        self._record: Record | None = None
        self._line: dict[str, float] = {}
        self._step = 0
        self._numbers = Numbers()

    @property
    @rank_zero_experiment
    def experiment(self) -> Record:
        """The record, made when something is first logged."""
        if self._record is None:
            self._record = Record(self.folder, **{"is_writer": True, **self.options})
        return self._record

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def version(self) -> str:
        return ""

    @property
    def save_dir(self) -> str:
        return str(self.folder.parent)

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        given = vars(params) if isinstance(params, Namespace) else dict(params)
        if given:
            self.experiment.about(settings={**given, **(self.options.get("settings") or {})})

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        metrics = self._numbers.of(metrics)
        at = self._step if step is None else step + 1
        if at != self._step:
            self.save()
            self._step = at
        held_out = {name: value for name, value in metrics.items() if name.lower().startswith(HELD_OUT)}
        left_out = ("test", *HELD_OUT)
        rest = {name: value for name, value in metrics.items() if not name.lower().startswith(left_out)}
        rest.pop("epoch", None)
        self._line |= rest
        if held_out:
            self.save()
            self.experiment.evaluate(at, **held_out)

    @rank_zero_only
    def save(self) -> None:
        """Write the line of this step: a rate and a loss come in calls of their own."""
        line, self._line = self._line, {}
        if line and any(meaning(name, "train") in ("loss", "learning_rate", "grad_norm") for name in line):
            self.experiment.train(self._step, **line)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        self.save()
        if self._record is not None:
            # Lightning says "failed" of Ctrl-C as well, and of a cluster that takes its machine back (SIGTERM); after
            # a success it is the exception of somebody further out.
            error = None if status == "success" else sys.exception()
            ended = {"success": "finished", "failed": "failed"}.get(status, "interrupted")
            told = "interrupted" if isinstance(error, (KeyboardInterrupt, SIGTERMException)) else ended
            self._record.close(told, repr(error) if error else None)
            self._record, self.options["resume"] = None, True  # another fit with this logger goes on


class StopOnFailure(Callback):
    """Ends the training once the record of a FabulaLogger shows a failure, in all of its processes."""

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        mine = [each for each in trainer.loggers if isinstance(each, FabulaLogger)]
        raised = trainer.is_global_zero and any(each.experiment.alarm() for each in mine)
        if trainer.strategy.broadcast(raised):
            trainer.should_stop = True
