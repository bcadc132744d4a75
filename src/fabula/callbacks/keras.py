"""For Keras: `model.fit(..., callbacks=[FabulaCallback("runs/mine")])`."""

from collections.abc import Mapping
from typing import Any

import keras

from fabula.api.record import Record
from fabula.callbacks.numbers import Numbers


class FabulaCallback(keras.callbacks.Callback):
    """Records a `fit`; with `stop_on_failure`, ends it once a failure was found. `options` are those of fabula.Record.

    Keras tells the mean loss of the epoch so far; the record has the loss of the batches of each update, which is
    worked out of the sum and the rows behind it. Where the weights' optimizer has made updates already, the run goes
    on in the same folder.
    """

    def __init__(self, folder: str, *, stop_on_failure: bool = False, **options: Any) -> None:
        super().__init__()
        self.folder, self.stop_on_failure, self.options = folder, stop_on_failure, options
        self.record: Record | None = None
        self._before, self._update = (0.0, 0.0), (0.0, 0.0)
        """Losses, and of how many rows: of this epoch, and of the update that is being made."""
        self._written = 0
        self._numbers = Numbers()

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        self.record = None
        self._update, self._written = (0.0, 0.0), self._step()

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._before = (0.0, 0.0)
        if self.record is not None:
            return
        optimizer = self.model.optimizer
        accumulation = optimizer.gradient_accumulation_steps or 1
        batches = (self.params.get("steps") or 0) * (self.params["epochs"] - epoch)  # fit may begin at a later epoch
        steps = self._step() + batches // accumulation
        known = {
            "clip": optimizer.global_clipnorm or optimizer.clipnorm or 0.0,
            "accumulation": accumulation,
            "steps": steps if batches and steps else None,
            "settings": {"optimizer": optimizer.name, "learning_rate": self._rate()},
            "resume": self._step() > 0,
        }
        self.record = Record(self.folder, **{**known, **self.options})

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        assert self.record is not None, "on_epoch_begin comes before it"
        told = {name: float(value) for name, value in self._numbers.of(logs or {}).items()}
        loss = self._loss_of_update(told.pop("loss", None))
        step = self._step()
        if step == self._written:  # gradients of this batch were added up for a later update
            return
        self._update, self._written = (0.0, 0.0), step
        self.record.train(step, loss=loss, learning_rate=self._rate(), **told)
        if self.stop_on_failure and self.record.alarm():
            self.model.stop_training = True

    def _loss_of_update(self, told: float | None) -> float | None:
        """Of the batches since the last update. A model with a loop of its own, without Keras's mean, tells each."""
        means = [each for each in self.model.metrics if each.name == "loss" and hasattr(each, "total")]
        sums = [(float(each.total), float(each.count)) for each in means]
        now = next((each for each in sums if each[1] > 0.0), self._before)
        total, rows = now[0] - self._before[0], now[1] - self._before[1]
        self._before = now
        if rows <= 0.0:
            return told
        self._update = self._update[0] + total, self._update[1] + rows
        return self._update[0] / self._update[1]

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        held_out = {name: value for name, value in (logs or {}).items() if name.startswith("val_")}
        held_out = {name: float(value) for name, value in self._numbers.of(held_out).items()}
        if held_out and self.record is not None:
            self.record.evaluate(self._step(), **held_out)

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        if self.record is not None:
            self.record.close()

    def _step(self) -> int:
        return int(self.model.optimizer.iterations)

    def _rate(self) -> float:
        return float(self.model.optimizer.learning_rate)
