"""An output that the system cannot make ends in one line, not in a traceback."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fabula import cli
from fabula.record import machine


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (errno.ENOSPC, "free some space there, or choose another place"),
        (errno.EMFILE, "raise the limit of open files (ulimit -n 4096), or give fewer runs at once"),
        (errno.ENOENT, "choose another place"),
        (errno.EROFS, "choose another place"),
    ],
)
def test_what_the_system_refuses_is_one_line(
    code: int, remedy: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code), "runs/first")

    monkeypatch.setattr(cli, "app", refuse)
    assert cli.run(["recipes"]) == 2
    assert capsys.readouterr().err == f"fabula: runs/first: {os.strerror(code)}; {remedy}\n"


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 64 bytes."),
        RuntimeError("can't start new thread"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        ImportError("vl_convert.abi3.so: failed to map segment from shared object"),
    ],
)
def test_want_of_memory_is_one_line_whoever_says_it(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(cli, "app", fails)
    assert cli.run(["recipes"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("fabula: out of memory; ") and told.count("\n") == 1


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), ImportError("cannot import name 'x'")])
def test_a_defect_is_no_want_of_memory(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(cli, "app", fails)
    with pytest.raises(type(error)):
        cli.run(["recipes"])


@pytest.mark.skipif(not machine.STATUS.is_file(), reason="the system does not say how much was mapped")
def test_an_import_that_fails_near_the_limit_fails_for_want_of_memory(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """torch swallows the MemoryError of a module that it loads: "cannot import name ... from torch._dynamo.utils"."""

    def fails(*_: object, **__: object) -> None:
        raise ImportError("cannot import name 'x'")

    monkeypatch.setattr(cli, "app", fails)
    monkeypatch.setattr(machine, "most_addresses", lambda: 1 << 20)
    assert cli.run(["recipes"]) == 2
    assert capsys.readouterr().err.startswith("fabula: out of memory; ")
    monkeypatch.setattr(machine, "most_addresses", lambda: 1 << 50)
    with pytest.raises(ImportError):
        cli.run(["recipes"])


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="SIGUSR1 as POSIX has it")
def test_what_asks_for_a_checkpoint_ends_no_command(tmp_path: Path) -> None:
    """A cluster sends SIGUSR1 when it likes: while torch is loaded, and to commands that train nothing."""
    code = (
        "import os, signal, sys\n"
        "from fabula import cli\n"
        "cli.app = lambda *_, **__: os.kill(os.getpid(), signal.SIGUSR1) or print('went on')\n"
        "cli.main()\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "went on\n"), ended.stderr


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
@pytest.mark.parametrize("moment", ["app", "tell"])
@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
def test_a_signal_outside_of_any_command_is_no_traceback(name: str, code: int, moment: str) -> None:
    """While Typer reads what the commands are, or while a refusal is being told."""
    script = (
        "import os, signal, sys\n"
        "from fabula import cli\n"
        f"setattr(cli, '{moment}', lambda *_, **__: os.kill(os.getpid(), signal.{name}))\n"
        "sys.argv = ['fabula', 'recipes', 'no such recipe']\n"
        "cli.main()\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (code, "", "")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_whoever_reads_no_further_is_told_nothing(unbuffered: str) -> None:
    """`fabula recipes --json | head`: no traceback, and no complaint at the end."""
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(
        [sys.executable, "-m", "fabula", "recipes", "--json"],
        stdout=writer, stderr=subprocess.PIPE, check=False, env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
    )  # fmt: skip
    os.close(writer)
    assert ended.returncode == 1 and ended.stderr == b""  # as Typer has it


def test_a_place_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log.csv"
    log.write_text("step,loss\n" + "".join(f"{step},{9 - step / 10}\n" for step in range(40)))
    assert cli.run(["report", str(log), "--out", "/proc/report.html"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_an_error_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    monkeypatch.setattr(cli, "app", broken)
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        cli.run(["recipes"])


def test_a_name_that_is_too_long(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["prepare", "grammar", "--tokenizer", "bpe:512", "--out", str(tmp_path / ("n" * 300))]) == 2
    assert "too long; choose another place" in capsys.readouterr().err
