"""`--track` and `export --to`, as they are typed: what is told, what is refused, and what a bad tracker may do."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tests.exchange.trackers.recorded import finished
from tests.train.tiny import StopAfter, data_in, tiny, tiny_file

from fabula.cli import run
from fabula.exchange.trackers import beside
from fabula.exchange.trackers.known import KNOWN, wandb_mode
from fabula.train.life.run import set_up_training, start_run


def losses(folder: Path) -> list[int]:
    return [each.step for each in EventAccumulator(str(folder)).Reload().Scalars("train/loss")]


def test_a_training_that_was_stopped_and_goes_on_is_one_run(grammar_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    start_run(set_up_training(tiny(), data_in(grammar_folder), 0, StopAfter(6)), out)
    assert run(["export", str(out), "--to", "tensorboard"]) == 0
    assert losses(out) == [1, 2, 3, 4, 5, 6]
    assert run(["train", "--data", str(grammar_folder), "--out", str(out), "--resume", "--track", "tensorboard"]) == 0
    assert losses(out) == list(range(1, 13))


@pytest.mark.slow  # a ladder loads all that makes a page
def test_a_ladder_is_told_of_whole(grammar_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    recipe = tiny_file(tmp_path, steps=2)
    ladder = tmp_path / "small.toml"
    ladder.write_text(
        f'name = "small"\ntiers = ["{recipe}"]\nseeds = 1\n[[phases]]\nname = "base"\nchange = "nothing"\nset = {{}}\n'
    )
    out = tmp_path / "ladder"
    code = run(["ladder", str(ladder), "--data", str(grammar_folder), "--out", str(out), "--track", "tensorboard"])
    assert code == 0, capfd.readouterr().err
    runs = sorted(path.parent for path in out.rglob("run.json"))
    assert len(runs) == 1 and all(losses(each) == [1, 2] for each in runs)


BAD = {
    "fails": ("raise RuntimeError('no server here')", "no server here"),
    "hangs": ("import time; time.sleep(600)", "did not answer in time"),
}


@pytest.mark.parametrize("how", BAD)
def test_a_bad_tracker_ends_no_training(
    how: str, grammar_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The tracker is a package whose client does as it is told here."""
    code, said = BAD[how]
    (tmp_path / "stand_in").mkdir()
    (tmp_path / "stand_in" / "trackio.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'stand_in'}:{':'.join(sys.path)}")
    monkeypatch.setattr(beside, "PATIENCE_SECONDS", 3.0 if how == "hangs" else 120.0)
    out = tmp_path / "run"
    command = ["train", tiny_file(tmp_path, steps=3), "--data", str(grammar_folder), "--out", str(out)]
    assert run([*command, "--track", "trackio"]) == 0
    error = capfd.readouterr().err
    assert json.loads((out / "run.json").read_text())["status"] == "finished"
    last = error.strip().splitlines()[-1]
    assert "trackio has not all of it" in last and said in last and f"export {out} --to trackio" in last
    assert "Traceback" not in error


@pytest.mark.parametrize("command", ["train", "export"])
def test_what_is_not_installed_is_said_before_anything_is_made(
    command: str,
    grammar_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "sqlalchemy" else find(name))
    out = tmp_path / "run"
    train = ["train", tiny_file(tmp_path), "--data", str(grammar_folder), "--out", str(out), "--track", "mlflow"]
    assert run(train if command == "train" else ["export", str(finished(tmp_path / "made")), "--to", "mlflow"]) == 2
    assert "install it with: pip install 'fabula[mlflow]'" in capfd.readouterr().err
    assert not out.exists()


def test_an_unknown_tracker_is_refused(grammar_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command = ["train", tiny_file(tmp_path), "--data", str(grammar_folder), "--out", str(tmp_path / "run")]
    assert run([*command, "--track", "tensorbord"]) == 2
    assert 'unknown tracker "tensorbord"; did you mean "tensorboard"?' in capfd.readouterr().err


@pytest.mark.parametrize("option", ["--best", "--step=3", "--out=x"])
def test_what_belongs_to_a_model_is_refused(option: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["export", str(finished(tmp_path / "run")), "--to", "tensorboard", option]) == 2
    assert "is told of the record and not of a model" in capfd.readouterr().err
    assert run(["export", str(tmp_path / "run"), "--to", "hf", "--follow"]) == 2


def test_wandb_is_asked_for_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert wandb_mode() == "offline" and "kept in wandb/" in KNOWN["wandb"].where()
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password secret\n")
    assert wandb_mode() == "online" and "sent to your account" in KNOWN["wandb"].where()
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example")
    assert wandb_mode() == "offline"
    monkeypatch.setenv("WANDB_API_KEY", "k")
    assert wandb_mode() == "online"
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert wandb_mode() == "offline"
