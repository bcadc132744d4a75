"""An output that the system cannot make ends in one line, not in a traceback."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from fabula import cli


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.ENAMETOOLONG])
def test_what_the_system_refuses_is_one_line(
    code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code), "runs/first")

    monkeypatch.setattr(cli, "app", refuse)
    assert cli.run(["recipes"]) == 2
    assert capsys.readouterr().err == f"fabula: runs/first: {os.strerror(code)}; choose another place\n"


def test_an_error_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(cli, "app", broken)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        cli.run(["recipes"])


def test_a_name_that_is_too_long(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["prepare", "grammar", "--tokenizer", "bpe:512", "--out", str(tmp_path / ("n" * 300))]) == 2
    assert "too long; choose another place" in capsys.readouterr().err
