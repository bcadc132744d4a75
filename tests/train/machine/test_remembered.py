"""A step that was timed on this machine before is not timed again, unless something differs or disturbs."""

import datetime
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.train.tiny import data_in, tiny

from fabula.train.engine import Engine, build_engine
from fabula.train.life.length import probing
from fabula.train.machine import remembered

RECIPE = tiny(model__vocabulary=300, compute__compile="off")


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[bool]:
    """A cache of its own, on a machine where nothing else computes as long as this says so."""
    said = [True]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(remembered, "waited_share", lambda work: 0.0 if said[0] else 0.4)
    return said


def test_what_was_measured_alone_is_known_as_long_as_nothing_differs(
    alone: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert remembered.recall(RECIPE) is None
    remembered.remember(RECIPE, 0.25)
    known = remembered.recall(RECIPE)
    assert known is not None and known.seconds == 0.25
    longer = RECIPE.with_values(steps=2 * RECIPE.steps)
    assert remembered.recall(longer) == known, "steps are not of another kind in a longer run"
    for other in ({"model.layers": RECIPE.model.layers + 1}, {"batch.rows": 2 * RECIPE.batch.rows}):
        assert remembered.recall(RECIPE.with_values(**other)) is None
    with monkeypatch.context() as changed:
        changed.setattr(torch, "get_num_threads", lambda: 3)
        assert remembered.recall(RECIPE) is None
    alone[0] = False
    assert remembered.recall(RECIPE) is None, "beside others a step takes longer"


def test_what_is_old_or_unreadable_is_not_known(alone: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    remembered.remember(RECIPE, 0.25)
    for text in ("[]", "{", '{"a": 1}', '{"a": {"seconds": "fast", "day": ""}}'):
        remembered.cache_file().write_text(text, encoding="utf-8")
        assert remembered.recall(RECIPE) is None
    remembered.remember(RECIPE, 0.5)
    later = datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=remembered.KEPT_DAYS + 1)
    monkeypatch.setattr(remembered, "_today", lambda: later)
    assert remembered.recall(RECIPE) is None


def test_a_second_probe_makes_no_engine(
    alone: list[bool], grammar_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = data_in(grammar_folder)
    recipe = RECIPE.with_values(**{"model.vocabulary": data.tokenizer.vocabulary})
    built: list[Engine] = []

    def build(*given: Any, **named: Any) -> Engine:
        built.append(real(*given, **named))
        return built[-1]

    real = build_engine
    monkeypatch.setattr(probing, "build_engine", build)
    told: list[str] = []
    alone[0] = False
    probing.step_seconds(recipe, data, told.append)
    alone[0] = True
    seconds = probing.step_seconds(recipe, data, told.append)
    assert len(built) == 2, "what was measured beside others was not kept"
    assert probing.step_seconds(recipe, data, told.append) == seconds and len(built) == 2
    assert f"{recipe.model.layers} layer" in told[-1] and "as measured here on" in told[-1]
    probing.step_seconds(recipe, data, told.append, anew=True)
    assert len(built) == 3
