"""Keras with its callback: the loss of each batch is in the record, also of a fit that goes on; a failure ends it."""

import os
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "torch"  # read once, when keras is imported

import keras
import numpy as np
import pytest
import torch
from tests.callbacks.tiny import LENGTH, NUM, PER_EPOCH, ROWS

import fabula
from fabula.callbacks.keras import FabulaCallback

INPUTS, TARGETS = ROWS[:, :-1].numpy(), ROWS[:, 1:].numpy()


def model(rate: float = 1e-2, kind: Any = keras.Sequential, **options: Any) -> Any:
    keras.utils.set_random_seed(0)
    made = kind([keras.Input((LENGTH,)), keras.layers.Embedding(NUM, 8), keras.layers.Dense(NUM)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    made.compile(keras.optimizers.AdamW(rate, global_clipnorm=0.5, **options), loss=loss)
    return made


def fit(made: Any, *callbacks: Any, epochs: int = 1) -> None:
    made.fit(INPUTS, TARGETS, batch_size=8, epochs=epochs, shuffle=False, verbose=0, validation_data=(INPUTS, TARGETS),
             callbacks=list(callbacks))  # fmt: skip


def test_two_fits_are_one_record_with_the_loss_of_each_batch(tmp_path: Path) -> None:
    made = model()
    before = [float(made.loss(TARGETS[:8], made(INPUTS[:8])))]
    for _ in range(2):
        fit(made, FabulaCallback(str(tmp_path / "run"), vocabulary=NUM))
    run = fabula.read(tmp_path / "run")
    assert run.status == "finished" and list(run.train["step"]) == list(range(1, 2 * PER_EPOCH + 1))
    assert run.train["loss"][0] == pytest.approx(before[0], rel=1e-5)
    assert run.train["loss"][PER_EPOCH] < run.train["loss"][0]  # not the mean of the epoch
    assert np.ptp(np.diff(run.train["loss"])) < 0.2
    assert run.train["learning_rate"] == pytest.approx([1e-2] * 2 * PER_EPOCH)
    assert list(run.evals["step"]) == [PER_EPOCH, 2 * PER_EPOCH]
    assert (run.info["clip"], run.info["accumulation"], run.info["steps"]) == (0.5, 1, 2 * PER_EPOCH)
    assert [(each["event"], each["step"]) for each in run.events] == [("resumed", PER_EPOCH)]


class OfItsOwn(keras.Sequential):
    """Tells the loss of each batch itself, and keeps no mean."""

    def train_step(self, data: Any) -> dict[str, Any]:
        self.zero_grad()
        loss = self.compute_loss(y=data[1], y_pred=self(data[0]))
        loss.backward()
        with torch.no_grad():
            self.optimizer.apply([each.value.grad for each in self.trainable_weights], self.trainable_weights)
        return {"loss": loss}


class Each(keras.callbacks.Callback):
    """The loss of each batch before its update, and how many rows it has."""

    def __init__(self, inputs: Any, targets: Any, size: int) -> None:
        super().__init__()
        self.data, self.size, self.told = (inputs, targets), size, []

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        inputs, targets = (each[batch * self.size : (batch + 1) * self.size] for each in self.data)
        self.told.append((float(self.model.loss(targets, self.model(inputs))), len(inputs)))


@pytest.mark.parametrize(
    ("num_rows", "size", "accumulation"), [(44, 8, None), (44, 8, 2), (44, 8, 4), (40, 8, 2), (13, 4, 3), (9, 8, None)]
)
def test_the_loss_is_that_of_the_rows_of_the_update(
    num_rows: int, size: int, accumulation: int | None, tmp_path: Path
) -> None:
    made = model(gradient_accumulation_steps=accumulation)
    inputs, targets = np.tile(INPUTS, (2, 1))[:num_rows], np.tile(TARGETS, (2, 1))[:num_rows]
    each = Each(inputs, targets, size)
    made.fit(inputs, targets, batch_size=size, epochs=3, initial_epoch=1, shuffle=False, verbose=0,
             callbacks=[each, FabulaCallback(str(tmp_path / "run"))])  # fmt: skip
    losses, rows = np.array(each.told).T
    together = accumulation or 1
    num = len(losses) // together
    assert len(losses) == 2 * -(-num_rows // size)
    groups = [slice(at * together, (at + 1) * together) for at in range(num)]
    run = fabula.read(tmp_path / "run")
    assert list(run.train["step"]) == list(range(1, num + 1)) and run.info["steps"] == num
    assert run.train["loss"] == pytest.approx([np.average(losses[at], weights=rows[at]) for at in groups], rel=1e-4)


def test_a_model_that_tells_the_loss_of_each_batch_is_believed(tmp_path: Path) -> None:
    each = Each(INPUTS, TARGETS, 8)
    fit(model(kind=OfItsOwn), each, FabulaCallback(str(tmp_path / "run")))
    assert fabula.read(tmp_path / "run").train["loss"] == pytest.approx([loss for loss, _ in each.told], rel=1e-5)


def test_a_failure_ends_it(tmp_path: Path) -> None:
    made = model()

    class Broken(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            if int(self.model.optimizer.iterations) == 7:
                weights = self.model.get_weights()
                self.model.set_weights([weights[0] * np.nan, *weights[1:]])

    fit(made, Broken(), FabulaCallback(str(tmp_path / "run"), stop_on_failure=True), epochs=20)
    assert 7 < int(made.optimizer.iterations) < 20 * PER_EPOCH
    assert fabula.diagnose(tmp_path / "run").of("non_finite") and fabula.read(tmp_path / "run").status == "failed"


class OfEachClass(keras.metrics.Metric):
    """As keras.metrics.F1Score tells one number a class."""

    def update_state(self, *given: Any, **named: Any) -> None:
        pass

    def result(self) -> Any:
        return keras.ops.ones(NUM)


@pytest.mark.filterwarnings("ignore:.*left out")
def test_a_metric_of_many_numbers_is_left_out(tmp_path: Path) -> None:
    made = model()
    made.compile(made.optimizer, loss=made.loss, metrics=[OfEachClass(name="each"), "sparse_categorical_accuracy"])
    fit(made, FabulaCallback(str(tmp_path / "run")))
    run = fabula.read(tmp_path / "run")
    assert len(run.train["loss"]) == PER_EPOCH and len(run.evals["val_loss"]) == 1
    assert "each" not in run.train and "sparse_categorical_accuracy" in run.train
