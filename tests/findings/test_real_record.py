"""Drawn curves of real trainings are joined, and the rules are asked about each as its tool logged it."""

import gzip
import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest


def trainer_curve(name: str, loss: np.ndarray, labels: dict[str, bool], health: str) -> dict[str, Any]:
    lines = [{"step": step, "loss": value, "learning_rate": 1e-3} for step, value in enumerate(loss.tolist(), 1)]
    state = {"global_step": len(lines), "max_steps": len(lines), "logging_steps": 1, "log_history": lines}
    files = {"trainer_state.json": state, "config.json": {"vocab_size": 512}}
    return {"name": name, "tool": "trainer", "fault": "", "health": health, "labels": labels, "flags": {"clip": 1.0},
            "files": files}  # fmt: skip


def written(file: Path, *lines: dict[str, Any]) -> Path:
    file.write_bytes(gzip.compress("".join(json.dumps(line) + "\n" for line in lines).encode()))
    return file


@pytest.fixture
def falls() -> np.ndarray:
    return 2.0 + 4.2 * np.exp(-np.arange(100) / 20.0)


def test_the_rules_are_asked_about_every_curve(repo: Path, tmp_path: Path, falls: np.ndarray) -> None:
    script = runpy.run_path(str(repo / "docs" / "measure_real.py"))
    climbs = falls.copy()
    climbs[60:] += 3.0
    labels = {"divergence": False, "stable": True, "lr_fixed": True}
    record = written(
        tmp_path / "all.jsonl.gz",
        trainer_curve("1", falls, labels, "healthy"),
        trainer_curve("2", climbs, labels | {"divergence": True}, "failed"),
    )
    told = script["tally"](record)
    assert told["tools"] == {"fabula": 0, "trainer": 2}
    assert told["kinds"]["divergence"] == {"shown": 1, "found": 1, "not_shown": 1, "said": 0}
    assert told["kinds"]["stable"] == {"shown": 2, "found": 1, "not_shown": 0, "said": 0}
    assert told["verdicts"]["healthy"]["healthy"] == 1
    assert told["verdicts"]["failed"]["failed"] == 1
    assert told["wrong"] == ["stable missed: trainer, healthy (curve 2)"]


def test_files_are_joined_in_the_order_of_the_draw(repo: Path, tmp_path: Path, falls: np.ndarray) -> None:
    script = runpy.run_path(str(repo / "docs" / "measure_real.py"))
    first = written(tmp_path / "a.gz", *(trainer_curve(name, falls, {}, "healthy") for name in ("010", "002")))
    again = written(tmp_path / "b.gz", trainer_curve("002", falls, {}, "broken"))
    assert [(each["name"], each["health"]) for each in script["joined"]([first, again])] == [
        ("002", "broken"),
        ("010", "healthy"),
    ]
