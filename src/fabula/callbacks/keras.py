"""For Keras: `model.fit(..., callbacks=[FabulaCallback("runs/mine")])`."""

from collections.abc import Mapping
from typing import Any

import keras

from fabula.api.record import Record


class FabulaCallback(keras.callbacks.Callback):
    """Records a `fit`; with `stop_on_failure`, ends it once a failure was found. `options` are those of fabula.Record.

    Keras tells the mean loss of the epoch so far; the record has the loss of each batch, which is worked out of it.
    Where the weights' optimizer has made updates already, the run goes on in the same folder.
    """

    def __init__(self, folder: str, *, stop_on_failure: bool = False, **options: Any) -> None:
        super().__init__()
        self.folder, self.stop_on_failure, self.options = folder, stop_on_failure, options
        self.record: Record | None = None
        self._batches, self._sum = 0, 0.0

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        optimizer = self.model.optimizer
        per_epoch, epochs = self.params.get("steps"), self.params.get("epochs")
        known = {
            "clip": optimizer.global_clipnorm or optimizer.clipnorm or 0.0,
            "accumulation": optimizer.gradient_accumulation_steps or 1,
            "steps": self._step() + per_epoch * epochs if per_epoch and epochs else None,
            "settings": {"optimizer": optimizer.name, "learning_rate": self._rate()},
            "resume": self._step() > 0,
        }
        self.record = Record(self.folder, **{**known, **self.options})

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._batches, self._sum = 0, 0.0

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        assert self.record is not None, "on_train_begin comes before it"
        told = {name: float(value) for name, value in (logs or {}).items()}
        passed = batch + 1 - self._batches
        total = told.pop("loss", 0.0) * (batch + 1)
        loss = (total - self._sum) / max(1, passed)
        self._batches, self._sum = batch + 1, total
        self.record.train(self._step(), loss=loss, learning_rate=self._rate(), **told)
        if self.stop_on_failure and self.record.alarm():
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        held_out = {name: float(value) for name, value in (logs or {}).items() if name.startswith("val_")}
        if held_out and self.record is not None:
            self.record.evaluate(self._step(), **held_out)

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        if self.record is not None:
            self.record.close()

    def _step(self) -> int:
        return int(self.model.optimizer.iterations)

    def _rate(self) -> float:
        return float(self.model.optimizer.learning_rate)
