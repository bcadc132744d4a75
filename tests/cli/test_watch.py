"""`fabula watch`, and `--watch` and `--notify` of a training, as they are typed."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer
from tests.train.tiny import StopAfter, tiny_file, tiny_training
from tests.watch.hook import hook

from fabula.cli import run
from fabula.cli.making import watching as watching_beside
from fabula.exchange.trackers.beside import Followers
from fabula.findings import diagnose
from fabula.record.reader import read_run
from fabula.train.life.run import start_run

LOG = "step,loss\n" + "".join(f"{step},{5 / step**0.5:.3f}\n" for step in range(1, 120))


@contextmanager
def ended_after(process: "subprocess.Popen[str]") -> Iterator["subprocess.Popen[str]"]:
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def all_ended_after(folder: Path) -> Iterator[None]:
    """All processes that have `folder` among their arguments: a page outlives its training, and of one that was killed
    nobody says which process shows it."""
    try:
        yield
    finally:
        for each in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if os.fsencode(folder) in (each / "cmdline").read_bytes().split(b"\0"):
                    os.kill(int(each.name), signal.SIGKILL)


@contextmanager
def watching(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process, and the address that it prints."""
    command = [sys.executable, "-m", "fabula", "watch", *arguments]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with ended_after(started) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()


def ask(address: str, path: str = "/", host: str | None = None) -> tuple[int, str]:
    place = address.removeprefix("http://").partition("/")[0]
    connection = http.client.HTTPConnection(place, timeout=60)
    connection.request("GET", path, headers={"Host": host or place})
    answer = connection.getresponse()
    try:
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def first_event(address: str) -> dict[str, dict[str, str]]:
    connection = http.client.HTTPConnection(address.removeprefix("http://").rstrip("/"), timeout=60)
    connection.request("GET", "/events")
    answer = connection.getresponse()
    try:
        while not (line := answer.readline()).startswith(b"data: "):
            assert line, "the stream has ended"
        return json.loads(line[6:])
    finally:
        connection.close()


@pytest.mark.long
def test_a_page_is_served_until_ctrl_c(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log.csv"
    log.write_text(LOG)
    with watching(str(log)) as (process, address):
        assert address.startswith("http://127.0.0.1:")
        assert "step 119" in first_event(address)["html"]["part-now"]
        assert ask(address)[0] == 200
        assert ask(address, host="evil.example")[0] == 403
        assert ask(address, "/..%2f..%2fetc/passwd")[0] == 404
        assert "vegaEmbed" in ask(address, "/charts.js")[1]
        port = address.rstrip("/").rpartition(":")[2]
        assert run(["watch", str(log), "--port", port]) == 2
        taken = capsys.readouterr().err
        assert taken.count("\n") == 1 and f"port {port} is taken" in taken
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stderr is not None and "Traceback" not in process.stderr.read()
    assert [each.name for each in tmp_path.iterdir()] == ["log.csv"], "nothing is written beside it"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere does not exist"),
        (["-"], "standard input"),
        (["log.csv", "--notify", "chat"], "--notify takes the address"),
        (["log.csv", "--no-page"], "give --notify with it"),
        (["log.csv", "--no-page", "--notify", "http://127.0.0.1:9/", "--port", "9000"], "leave out --port"),
        (["log.csv", "--port", "70000"], "--port 70000"),
        (["log.csv", "--host", "203.0.113.9"], "--host 203.0.113.9 is no address"),
        (["log.csv", "--columns", "x"], "--columns"),
        ([], "no run is named"),
    ],
)
def test_what_is_wrong_is_one_line(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("log.csv").write_text(LOG)
    assert run(["watch", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_a_hook_that_is_none_is_told_before_anything_is_made(
    grammar_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = ["--data", str(grammar_folder)], tmp_path / "out"
    assert run(["train", "basic", *data, "--out", str(out), "--notify", "nowhere"]) == 2
    assert "--notify takes the address" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("ending", [None, typer.Exit(1), KeyboardInterrupt()])
def test_a_page_that_stays_says_so_however_the_training_ended(
    ending: BaseException | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [sys.executable, "-c", "import time; print('http://there/', flush=True); time.sleep(60)"]
    with ended_after(subprocess.Popen(command, stdout=subprocess.PIPE, text=True)) as started:
        monkeypatch.setattr(watching_beside, "_start", lambda *given: started)
        with suppress(typer.Exit, KeyboardInterrupt), watching_beside.watched(tmp_path, True, None, False) as begin:
            begin()
            if ending is not None:
                raise ending
        assert f"kill {started.pid}" in capsys.readouterr().err


@pytest.mark.long
def test_nothing_follows_a_training_that_is_refused(
    grammar_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What follows it would show a page for an hour of what nobody makes."""
    begun: list[str] = []
    ended = SimpleNamespace(poll=lambda: 0)
    monkeypatch.setattr(watching_beside, "_start", lambda *given: begun.append("page") or ended)
    monkeypatch.setattr(Followers, "begin", lambda self: begun.append("tracker"))
    out, stopped = tmp_path / "run", tmp_path / "stopped"
    command = ["train", tiny_file(tmp_path), "--data", str(grammar_folder), "--watch", "--track", "tensorboard"]
    start_run(tiny_training(grammar_folder, observer=StopAfter(6)), stopped)
    whole = [(path, path.read_bytes()) for path in stopped.glob("checkpoints/*/state.json")]
    for path, content in whole:
        path.write_bytes(content[1:])
    wrong = [["--out", str(out), "--strict"], ["--out", str(stopped)]]
    wrong += [["--out", str(stopped), "--resume", *more] for more in ([], ["--seed", "4"], ["--step", "5"])]
    for arguments in wrong:
        assert run([*command, *arguments]) == 2
    assert run([*command, "--out", str(out), "--dry-run"]) == 0
    assert begun == []
    for path, content in whole:
        path.write_bytes(content)
    assert run([*command, "--out", str(stopped), "--resume"]) == 0
    assert sorted(begun) == ["page", "tracker"]
    assert run([*command, "--out", str(stopped), "--resume"]) == 0, "it is finished already"
    assert len(begun) == 2
    assert run([*command, "--out", str(out)]) == 0
    assert len(begun) == 4


@pytest.mark.slow
def test_only_posting_ends_with_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.watch.growing import GrowingRun

    made = GrowingRun(tmp_path / "run", nan_at=200)
    made.reach(300)
    made.say("failed")
    with hook() as chat:
        monkeypatch.setenv("FABULA_NOTIFY", chat.url)
        for _ in range(2):
            command = [sys.executable, "-m", "fabula", "watch", str(made.folder), "--no-page"]
            assert subprocess.run(command, capture_output=True, text=True, timeout=300, check=False).returncode == 0
        kinds = [body["kind"] for body in chat.bodies]
    assert "non_finite" in kinds and len(kinds) == len(set(kinds))


@pytest.mark.slow
def test_a_training_with_a_page_and_a_hook(grammar_folder: Path, tmp_path: Path) -> None:
    """Trained, killed, resumed: two pages follow, the address is in no record, each warning is posted once."""
    out = tmp_path / "run"
    recipe = str(tiny_file(tmp_path))
    command = [sys.executable, "-m", "fabula", "train", "--data", str(grammar_folder), "--out", str(out), recipe]
    # 900 steps were made here until the page said its address, and on a slow machine both take their time.
    settings = ["--steps", "3000", "--set", "checkpoint.every=100", "--set", "evaluation.every=1000"]
    with hook() as chat, all_ended_after(out):
        beside = ["--watch", "--notify", chat.url]
        first = subprocess.Popen([*command, *settings, *beside], stderr=subprocess.PIPE, text=True)
        address, pids = "", []
        assert first.stderr is not None
        for line in first.stderr:
            address = line.removeprefix("watch: ").strip() if line.startswith("watch: http") else address
            if address and list(out.glob("checkpoints/step-*")):
                break
        assert address, "the training is not over before"
        assert "step " in first_event(address)["html"]["part-now"]
        first.kill()
        first.wait()
        for _ in range(60):
            if "interrupted" in first_event(address)["html"]["part-now"]:
                break
            time.sleep(1)
        again = subprocess.run([*command, "--resume", *beside], capture_output=True, text=True, check=True)
        pids = [int(line.rpartition(" ")[2]) for line in again.stderr.splitlines() if "end it sooner" in line]
        assert len(pids) == 1
        for _ in range(60):
            page = first_event(address)["html"]
            if "This run is finished" in page["part-now"]:
                break
            time.sleep(1)
        assert "This run is finished" in page["part-now"], "the first page follows the resumed run, too"
        for path in out.rglob("*.json*"):
            assert chat.url not in path.read_text(errors="replace")
        for pid in pids:
            subprocess.run(["kill", str(pid)], check=True)
    posted = [(body["kind"], body["severity"]) for body in chat.bodies]
    assert len(posted) == len(set(posted))
    wanted = {(each.kind, each.severity) for each in diagnose(read_run(out)).findings}
    assert {each for each in posted if each[0] != "interrupted"} >= {
        each for each in wanted if each[1] in ("warning", "failure")
    }
