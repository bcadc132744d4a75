"""What version 0.1.0 wrote is read by this one: a prepared folder, a run that was stopped, a ladder, their recipes."""

import json
import shutil
import tomllib
from pathlib import Path

import pytest
import torch
from tests.train.tiny import metrics

from fabula.cli import run

KEPT = Path(__file__).with_name("kept")


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy to work in: a run names its data by a path, here the one beside it."""
    shutil.copytree(KEPT, tmp_path / "kept")
    monkeypatch.chdir(tmp_path / "kept")
    return tmp_path / "kept"


@pytest.mark.usefixtures("as_other_processes")
def test_a_run_that_was_stopped_goes_on_to_the_same_end(kept: Path) -> None:
    written = metrics(kept / "run", events=False)
    shutil.rmtree(kept / "run" / "checkpoints" / "step-00000006")
    info = kept / "run" / "run.json"
    info.write_text(json.dumps(json.loads(info.read_text()) | {"status": "interrupted", "steps_done": 3}))
    before = torch.get_num_threads()
    try:
        assert run(["train", "--out", "run", "--resume"]) == 0
    finally:
        torch.set_num_threads(before)
    again = metrics(kept / "run", events=False)
    assert [line["step"] for line in again] == [line["step"] for line in written]
    for old, new in zip(written, again, strict=True):
        for name, value in old.items():
            assert new[name] == (pytest.approx(value, rel=1e-4) if isinstance(value, float) else value), name


def test_a_prepared_folder_trains_a_recipe_of_then(kept: Path) -> None:
    assert run(["train", "tiny.toml", "--data", "data", "--out", "new"]) == 0
    new, then = (tomllib.loads((kept / name / "recipe.toml").read_text()) for name in ("new", "run"))
    for table, value in then.items():
        fields = {each: new[table][each] for each in value} if isinstance(value, dict) else new[table]
        assert fields == value, "what is newer than the recipe is left out of it"


def test_a_run_and_a_ladder_are_judged_told_and_shown(kept: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["diagnose", "run", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["verdict"] in ("healthy", "warning")
    assert run(["generate", "run", "--prompt", "Once", "--max-tokens", "3"]) == 0
    assert run(["report", "ladder", "run", "--out", "page.html"]) == 0
    page = (kept / "page.md").read_text()
    assert "half the rate" in page and "seed" in page


def test_a_ladder_of_then_has_nothing_left_to_train(kept: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["ladder", "ladder.toml", "--data", "data", "--out", "ladder", "--seeds", "2", "--dry-run"]) == 0
    assert "4 of 4" in capfd.readouterr().out
