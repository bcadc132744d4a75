"""Keras with its callback: the loss of each batch is in the record, also of a fit that goes on; a failure ends it."""

import os
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "torch"  # read once, when keras is imported

import keras
import numpy as np
import pytest
from tests.callbacks.tiny import LENGTH, NUM, PER_EPOCH, ROWS

import fabula
from fabula.callbacks.keras import FabulaCallback

INPUTS, TARGETS = ROWS[:, :-1].numpy(), ROWS[:, 1:].numpy()


def model(rate: float = 1e-2) -> Any:
    keras.utils.set_random_seed(0)
    made = keras.Sequential([keras.Input((LENGTH,)), keras.layers.Embedding(NUM, 8), keras.layers.Dense(NUM)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    made.compile(keras.optimizers.AdamW(rate, global_clipnorm=0.5), loss=loss)
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
