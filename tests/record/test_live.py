"""A record while it is written: its last lines, and whether it has changed."""

import os
import time
from pathlib import Path

import pytest

from fabula.record.content.arguments import without_secrets
from fabula.record.live.last_lines import last_objects
from fabula.record.live.stamp import OF_A_RUN, stamp_of
from fabula.record.lock import only_writer


@pytest.mark.parametrize(
    ("content", "steps"),
    [
        (b"", []),
        (b'{"step": 1}', []),  # half written, as far as anybody knows
        (b'{"step": 1}\n', [1]),
        (b'{"step": 1}\n{"step": 2}\n{"ste', [1, 2]),
        (b'{"step": 1}\n\n[]\nnull\nrubbish\n\xff\xfe\n{"step": 2}\n', [1, 2]),
        (b'{"step": 0}\n' + b'{"step": 7, "x": "aaaaaaaaaaaaaaaaaaaa"}\n' * 30, [7] * 24),  # the end of it
        (b"x" * 5000, []),
        (b"[" * 900 + b"\n", []),
    ],
)
def test_the_last_whole_lines(content: bytes, steps: list[int], tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(content)
    assert [each["step"] for each in last_objects(path, 1000)] == steps


def test_no_file_has_no_lines(tmp_path: Path) -> None:
    assert last_objects(tmp_path / "metrics.jsonl") == last_objects(tmp_path) == []


def test_a_record_that_changes_has_another_stamp(tmp_path: Path) -> None:
    log, run = tmp_path / "log.csv", tmp_path / "run"
    seen = [stamp_of(log)]
    log.write_text("step,loss\n")
    seen.append(stamp_of(log))
    assert seen[-1].written
    log.write_text("step,loss\n1,2\n")
    seen.append(stamp_of(log))
    os.utime(log, (time.time() - 60,) * 2)
    seen.append(stamp_of(log))
    assert not seen[-1].written, "nobody has written it for a minute"
    log.rename(tmp_path / "old.csv")
    seen.append(stamp_of(log))
    run.mkdir()
    (run / "run.json").write_text("{}")
    seen.append(stamp_of(run))
    with only_writer(run):
        seen.append(stamp_of(run))
        assert seen[-1].written
    assert stamp_of(run) == seen[-2]
    (run / "metrics.jsonl").write_text("{}\n")
    seen.append(stamp_of(run))
    (run / "checkpoints").mkdir()
    assert stamp_of(run) == seen[-1], "a page is not made from weights"
    assert len(set(seen)) == len(seen) - 1  # no file, before and after


@pytest.mark.parametrize("name", OF_A_RUN)
def test_each_file_of_a_run_that_changes_is_another_stamp(name: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    seen = [stamp_of(tmp_path)]
    for packed in ("", ".gz"):
        (tmp_path / f"{name}{packed}").write_text(" {}")
        seen.append(stamp_of(tmp_path))
    assert len(set(seen)) == 3


def test_what_is_kept_of_what_was_typed_has_no_secrets() -> None:
    for given, kept in (
        (["train", "--notify", "https://hook/1", "--watch"], ["train", "--notify", "URL", "--watch"]),
        (["train", "--notify=https://hook/1"], ["train", "--notify=URL"]),
        (["train", "--notify"], ["train", "--notify"]),
        (["watch", "a=b", "--notifying", "x"], ["watch", "a=b", "--notifying", "x"]),
        ([], []),
    ):
        assert list(without_secrets(given)) == kept
