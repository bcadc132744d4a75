"""`--track` and `export --to`, as they are typed: what is told, what is refused, and what a bad tracker may do."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator as PageAccumulator
from tests.exchange.trackers.recorded import begun, finished, make_steps
from tests.train.tiny import StopAfter, data_in, tiny, tiny_file

from fabula.cli import run
from fabula.exchange.trackers import beside
from fabula.exchange.trackers.known import KNOWN, wandb_mode
from fabula.exchange.trackers.sent import read_sent, sent_file
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


@pytest.mark.parametrize("reader", [EventAccumulator, PageAccumulator])
def test_tensorboard_leaves_out_what_was_sent_anew_or_made_anew(reader: type, tmp_path: Path) -> None:
    """What its page reads with passes over the first of the marks that say so."""
    folder = tmp_path / "run"
    with begun(folder) as writer:
        make_steps(writer, 0, 25)
        for _ in range(2):
            assert run(["export", str(folder), "--to", "tensorboard"]) == 0
            sent_file(folder, "tensorboard").unlink()
        assert run(["export", str(folder), "--to", "tensorboard"]) == 0
        assert steps_told(reader, folder) == list(range(1, 26))
        writer.attempt = 2
        make_steps(writer, 21, 40)
        writer.close("finished", steps_done=40)
    assert run(["export", str(folder), "--to", "tensorboard"]) == 0
    assert steps_told(reader, folder) == list(range(1, 41))


def steps_told(reader: type, folder: Path) -> list[int]:
    read = reader(str(folder), size_guidance={"tensors": 0, "scalars": 0}).Reload()
    told = read.Scalars("train/loss") if reader is EventAccumulator else read.Tensors("train/loss")
    return [each.step for each in told]


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


HANGS = """
import time

AlertLevel = type("AlertLevel", (), {"WARN": 1, "ERROR": 2})
Markdown = str

class Run:
    name = "run"
    log = alert = lambda *_, **__: None
    finish = lambda _: time.sleep(600)

init = lambda **_: Run()
"""
BAD = {
    "fails": ("raise RuntimeError('no server here')", "no server here"),
    "hangs as it delivers": (HANGS, "did not answer in time"),
}


@pytest.mark.long
@pytest.mark.parametrize("how", BAD)
def test_a_bad_tracker_ends_no_training(
    how: str, grammar_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The tracker is a package whose client does as it is told here."""
    code, said = BAD[how]
    (tmp_path / "stand_in").mkdir()
    (tmp_path / "stand_in" / "trackio.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'stand_in'}:{':'.join(sys.path)}")
    monkeypatch.setattr(beside, "PATIENCE_SECONDS", 3.0 if how != "fails" else 120.0)
    out = tmp_path / "run"
    command = ["train", tiny_file(tmp_path, steps=3), "--data", str(grammar_folder), "--out", str(out)]
    assert run([*command, "--track", "trackio"]) == 0
    error = capfd.readouterr().err
    assert json.loads((out / "run.json").read_text())["status"] == "finished"
    last = error.strip().splitlines()[-1]
    assert "trackio did not get everything" in last and said in last and f"export {out} --to trackio" in last
    assert "Traceback" not in error
    # A look while it was trained may have been sent; the end was not, and does not count as sent.
    assert read_sent(out, "trackio").status in ("", "running")


class Waited:
    """A follower's process: `ends` is its code, or what happens instead while it is waited for."""

    pid = 1 << 22  # more than a system gives

    def __init__(self, ends: int | BaseException) -> None:
        self.ends = ends

    def wait(self, timeout: float | None = None) -> int:
        if isinstance(self.ends, int):
            return self.ends
        if timeout is None:
            return -9  # killed
        raise self.ends

    def kill(self) -> None:
        pass


STOPPED, LATE = KeyboardInterrupt(), subprocess.TimeoutExpired("fabula", 0)


@pytest.mark.parametrize(
    ("ends", "started", "said"),
    [
        ([0], 1, []),
        ([1, 0], 2, []),  # the second chance
        ([1, 1], 2, ["its process ended with 1"]),
        ([STOPPED], 1, ["it was stopped"]),
        ([LATE], 1, ["it did not answer in time"]),
        ([1, STOPPED], 2, ["it was stopped"]),
    ],
)
@pytest.mark.parametrize("windows", [False, True])
def test_another_follower_is_begun_only_for_one_that_failed_by_itself(
    ends: list[int | BaseException], started: int, said: list[str], windows: bool, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if windows:
        monkeypatch.delattr(os, "killpg")
    begun = []

    def popen(command: list[str], **_: object) -> Waited:
        begun.append(command)
        return Waited(ends[len(begun) - 1])

    monkeypatch.setattr(subprocess, "Popen", popen)
    words: list[str] = []
    followers = beside.Followers(finished(tmp_path / "run"), [KNOWN["trackio"]])
    followers.begin()
    followers.end(words.append)
    assert len(begun) == started
    assert [text.partition("(")[2].partition(")")[0] for text in words] == said


def test_after_ctrl_c_no_other_follower_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited = []

    class Slow(Waited):
        def wait(self, timeout: float | None = None) -> int:
            if timeout is not None:
                waited.append(timeout)
            return super().wait(timeout)

    ends = iter([STOPPED, LATE])
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: Slow(next(ends)))
    followers = beside.Followers(finished(tmp_path / "run"), [KNOWN["trackio"], KNOWN["mlflow"]])
    followers.begin()
    followers.end(lambda _: None)
    first, second = waited
    assert first > 1 and second == 0


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


def without_wandb(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has told W&B anything."""
    for name in ("MODE", "API_KEY", "BASE_URL", "DIR"):
        monkeypatch.delenv(f"WANDB_{name}", raising=False)
    monkeypatch.setenv("NETRC", str(folder / "netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(folder / "config"))
    monkeypatch.chdir(folder)


def saved(folder: Path, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "settings").write_text(text)


def test_what_wandb_s_own_commands_have_saved_holds_also_for_who_has_logged_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    without_wandb(tmp_path, monkeypatch)
    monkeypatch.setenv("WANDB_API_KEY", "k")
    saved(tmp_path / "config", "[default]\nbase_url = https://wandb.example\nmode = offline\n")  # for all folders
    assert wandb_mode() == "offline"
    saved(tmp_path / "wandb", "[default]\nmode = online\n")  # `wandb online` here
    assert wandb_mode() == "online"
    saved(tmp_path / "wandb", "[default]\nmode = offline\n")
    assert wandb_mode() == "offline" and "kept in wandb/" in KNOWN["wandb"].where()
    monkeypatch.setenv("WANDB_MODE", "online")
    assert wandb_mode() == "online"
    monkeypatch.delenv("WANDB_MODE")
    for damaged in ("mode = offline", "\xff", "[other]\nmode = disabled\n"):
        saved(tmp_path / "wandb", damaged)
        assert wandb_mode() == "offline", "as it is for all folders"
    saved(tmp_path / ".wandb", "[default]\nmode = disabled\n")  # an early W&B's, which W&B prefers
    assert run(["export", str(finished(tmp_path / "run")), "--to", "wandb"]) == 2
    assert "W&B is switched off here" in capfd.readouterr().err
    (tmp_path / ".wandb" / "settings").unlink()
    (tmp_path / "config" / "settings").unlink()
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert run(["export", str(tmp_path / "run"), "--to", "wandb"]) == 2
    monkeypatch.delenv("WANDB_MODE")
    assert wandb_mode() == "online"


def test_whoever_logged_in_to_a_server_of_their_own_is_asked_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_wandb(tmp_path, monkeypatch)
    (tmp_path / "netrc").write_text("machine wandb.example login user password secret\n")
    assert wandb_mode() == "offline"
    saved(tmp_path / "config", "[default]\nbase_url = https://wandb.example\n")
    assert wandb_mode() == "online"


WHERE = {
    ("mlflow", ""): "kept in mlflow.db",
    ("mlflow", "sqlite:///runs.db"): "kept in runs.db",
    ("mlflow", "./mlruns"): "kept in ./mlruns",
    ("mlflow", "file:///data/mlruns"): "kept in /data/mlruns",
    ("mlflow", "http://user:secret@mlflow.example:5000/"): "sent to mlflow.example",
    ("mlflow", "postgresql://user:secret@/runs?host=/run/x"): "sent to /runs",
    ("mlflow", "databricks"): "sent to Databricks",
    ("mlflow", "databricks://profile"): "sent to Databricks",
    ("mlflow", "arn:aws:sagemaker:eu:1:mlflow/x"): "sent to arn:aws:sagemaker:eu:1:mlflow/x",
    ("aim", ""): "kept in .aim",
    ("aim", "there"): "kept in there/.aim",
    ("aim", "aim://10.0.0.7:53800"): "sent to 10.0.0.7",
}


@pytest.mark.parametrize(("tracker", "named"), WHERE)
def test_what_leaves_this_machine_is_said_to(tracker: str, named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv({"mlflow": "MLFLOW_TRACKING_URI", "aim": "AIM_REPO"}[tracker], named)
    assert KNOWN[tracker].where().partition(";")[0] == WHERE[tracker, named]


def test_wandb_is_asked_for_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_wandb(tmp_path, monkeypatch)
    assert wandb_mode() == "offline" and "kept in wandb/" in KNOWN["wandb"].where()
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password secret\n")
    assert wandb_mode() == "online" and "sent to your account" in KNOWN["wandb"].where()
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example")
    assert wandb_mode() == "offline"
    monkeypatch.setenv("WANDB_API_KEY", "k")
    assert wandb_mode() == "online"
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert wandb_mode() == "offline"
