"""Batches of the user's own: the run is trained on them, also after a resumption, and what can be wrong with them."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.train.tiny import StopAfter, data_in, metrics, same_tensors, tensors, tiny, tiny_training

from fabula.cli import run
from fabula.data.batches import HIDDEN, IGNORE
from fabula.errors import InputError
from fabula.recipe.schema import Recipe
from fabula.train.engine import Engine
from fabula.train.life.layout import source_of
from fabula.train.life.run import resume_run, set_up_training, start_run
from fabula.train.observer import Observer
from fabula.train.own_batches import own_source

BATCHES = """
import numpy as np
import torch

class Windows:
    \"\"\"Windows from anywhere in the training stories.\"\"\"

    def __init__(self, data, recipe, seed):
        self.tokens, self.seed = data.split("train").tokens, seed
        self.shape = recipe.batch.rows, recipe.model.context

    def batch(self, number, micro_step):
        rows, context = self.shape
        draw = np.random.default_rng([self.seed, number, micro_step])
        starts = draw.integers(0, len(self.tokens) - context - 1, rows)
        rows = np.stack([self.tokens[start : start + context + 1] for start in starts])
        return rows[:, :-1], rows[:, 1:]

class AsTensors(Windows):
    def batch(self, number, micro_step):
        inputs, targets = super().batch(number, micro_step)
        targets = torch.tensor(targets.astype(np.int32))
        targets[:, :4] = -100
        return [torch.tensor(inputs.astype(np.int64)), targets]

class OneBuffer(Windows):
    \"\"\"Fills the same arrays each time.\"\"\"

    def batch(self, number, micro_step):
        if not hasattr(self, "inputs"):
            self.inputs, self.targets = np.empty(self.shape, np.int64), np.empty(self.shape, np.int64)
        self.inputs[:], self.targets[:] = super().batch(number, micro_step)
        return self.inputs, self.targets

def stream(data, recipe, seed):
    yield 1

def returning(make):
    class Wrong(Windows):
        def batch(self, number, micro_step):
            return make(number, *super().batch(number, micro_step))
    return Wrong

triple = returning(lambda number, inputs, targets: (inputs, targets, inputs))
nothing = returning(lambda number, inputs, targets: None)
narrow = returning(lambda number, inputs, targets: (inputs[:, :-1], targets))
floats = returning(lambda number, inputs, targets: (inputs / 1.0, targets))
ragged = returning(lambda number, inputs, targets: ([[1], [1, 2]], targets))
brain = returning(lambda number, inputs, targets: (torch.zeros(4, 32, dtype=torch.bfloat16), targets))
minus = returning(lambda number, inputs, targets: (inputs, targets.astype(int) * 0 - 1))
beyond = returning(lambda number, inputs, targets: (inputs.astype(int) + 600, targets))
ignoring = returning(lambda number, inputs, targets: (inputs.astype(int) * 0 - 100, targets))
late = returning(lambda number, inputs, targets: (inputs, targets.astype(int) + (600 if number > 5 else 0)))

class Iterator(Windows):
    \"\"\"Goes on from batch to batch, whichever it is asked for.\"\"\"
    at = 0

    def batch(self, number, micro_step):
        self.at += 1
        return super().batch(self.at, micro_step)
"""


@pytest.fixture(autouse=True)
def _mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "batches_of_somebody.py").write_text(BATCHES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "batches_of_somebody", raising=False)


def by(name: str, **values: object) -> Recipe:
    quick = {"evaluation__every": 100, "evaluation__sample_tokens": 0}
    return tiny(**{"own__batches": f"batches_of_somebody:{name}", **quick, **values})


def test_the_run_is_trained_on_them_also_where_it_was_stopped(grammar_folder: Path, tmp_path: Path) -> None:
    data = data_in(grammar_folder)
    for name, observer in (("whole", Observer()), ("stopped", StopAfter(6))):
        start_run(set_up_training(by("Windows"), data, 3, observer), tmp_path / name)
    resume_run(set_up_training(by("Windows"), data, 3, Observer()), tmp_path / "stopped")
    assert metrics(tmp_path / "whole", events=False) == metrics(tmp_path / "stopped", events=False)
    assert same_tensors(tensors(tmp_path / "whole"), tensors(tmp_path / "stopped"))
    training = tiny_training(grammar_folder, by("Windows"), seed=3)
    first = training.source.batch(1)
    expected = np.random.default_rng([3, 1, 0]).integers(0, len(data.split("train").tokens) - 33, 4)
    assert [row[0] for row in first.inputs_BT] == [data.split("train").tokens[start] for start in expected]
    losses = [line["loss"] for line in metrics(tmp_path / "whole") if line["kind"] == "train"]
    assert losses[0] == pytest.approx(training.engine.step(training.source, 1).loss)

    info = json.loads((tmp_path / "whole" / "run.json").read_text())
    ours = json.loads((start_ours(grammar_folder, tmp_path) / "run.json").read_text())
    assert info["own"]["batches"]["name"] == "batches_of_somebody:Windows" and info["rulers"] == ours["rulers"]
    assert info["layout"]["positions"] == ours["layout"]["positions"] == 12 * 4 * 32
    assert {name for name, value in info["layout"].items() if value is None} == ours["layout"].keys() - {"positions"}
    (tmp_path / "batches_of_somebody.py").write_text("raise SystemExit('this code was run')")
    assert run(["diagnose", "whole"]) == 0


def start_ours(grammar_folder: Path, tmp_path: Path) -> Path:
    start_run(tiny_training(grammar_folder), tmp_path / "ours")
    return tmp_path / "ours"


def test_tensors_and_what_is_not_scored(grammar_folder: Path) -> None:
    training = tiny_training(grammar_folder, by("AsTensors"))
    batch = training.source.batch(2)
    assert batch.inputs_BT.dtype == batch.targets_BT.dtype == np.int64
    assert batch.num_targets == 4 * 28 and (batch.targets_BT[:, :4] == IGNORE).all()
    assert training.engine.step(training.source, 2).num_tokens == 4 * 28


def test_one_array_that_is_filled_each_time(grammar_folder: Path) -> None:
    data = data_in(grammar_folder)
    twice = {"batch__accumulation": 2, "model__vocabulary": 512}
    plain, one = (source_of(by(name, **twice), data, 0) for name in ("Windows", "OneBuffer"))
    batches = [one.batch(1, 0), one.batch(1, 1)]
    for micro_step, batch in enumerate(batches):
        assert np.array_equal(batch.inputs_BT, plain.batch(1, micro_step).inputs_BT)


def test_several_processes_share_the_rows(grammar_folder: Path) -> None:
    recipe, data = by("AsTensors", model__vocabulary=512), data_in(grammar_folder)
    whole, *parts = (own_source(recipe, data, 0, share).batch(5) for share in ((0, 1), (0, 3), (1, 3), (2, 3)))
    assert np.array_equal(np.concatenate([part.inputs_BT for part in parts]), whole.inputs_BT)
    assert [part.num_targets for part in parts] == [whole.num_targets] * 3


def test_tokens_are_hidden_as_in_ours(grammar_folder: Path) -> None:
    plain, hidden = (
        tiny_training(grammar_folder, by("Windows", batch__hidden_tokens=share)).source.batch(4) for share in (0.0, 0.3)
    )
    gone = hidden.inputs_BT == HIDDEN
    assert 0.1 < gone.mean() < 0.5 and np.array_equal(hidden.inputs_BT[~gone], plain.inputs_BT[~gone])
    assert np.array_equal(hidden.targets_BT, plain.targets_BT)


WRONG = {
    r"batch\(1, 0\) is tuple of 3, not a pair": "triple",
    "is NoneType, not a pair": "nothing",
    r"its inputs are uint16 of shape \(4, 31\); give whole numbers of shape \(4, 32\)": "narrow",
    r"its inputs are float64 of shape \(4, 32\)": "floats",
    "its inputs are list of 2;": "ragged",
    "its inputs are Tensor;": "brain",
    "its targets hold -1; tokens are from 0 to 511, or -100": "minus",
    r"its inputs hold \d{3,4}; tokens are from 0 to 511$": "beyond",
    "its inputs hold -100; tokens are from 0 to 511$": "ignoring",
    r"batch\(1, 0\) is another one when it is asked for again": "Iterator",
    "returns generator, which has no batch": "stream",
    "has no function missing": "missing",
}


@pytest.mark.parametrize("said", WRONG)
def test_what_cannot_be_is_one_sentence_before_the_first_step(
    said: str, grammar_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Engine, "launch", None)
    with pytest.raises(InputError, match=said) as told:
        set_up_training(by(WRONG[said]), data_in(grammar_folder), 0, Observer())
    assert "\n" not in str(told.value)


def test_a_later_batch_is_looked_at_too(grammar_folder: Path) -> None:
    source = source_of(by("late", model__vocabulary=512), data_in(grammar_folder), 0)
    assert source.batch(5).num_targets == 4 * 32
    with pytest.raises(InputError, match=r"batch\(6, 0\): its targets hold"):
        source.batch(6)
