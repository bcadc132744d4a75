"""What trackers keep on this machine, made here byte by byte and row by row as their own clients write it.

That the clients do write it so, tests/exchange/trackers/test_clients.py asks them.
"""

import json
import math
import shutil
import sqlite3
import struct
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fabula.errors import InputError
from fabula.record.foreign import read_log, read_sources
from fabula.record.foreign.stores.wandb_offline import BLOCK
from fabula.record.reader import Run

LINES: list[dict[str, Any]] = [
    {"step": step, "train/loss": math.nan if step == 7 else 6.0 - 0.1 * step, "train/lr": 1e-3} for step in range(1, 21)
] + [{"step": step, "val/loss": 6.1 - 0.1 * step} for step in (10, 20)]


def check(run: Run, name: str, form: str) -> None:
    assert run.info["log_format"] == form and run.info["name"] == name
    assert run.train["step"].tolist() == list(range(1, 21))
    assert run.train["loss"][0] == 5.9 and run.train["loss"][6] == np.inf, "written, and not finite"
    assert run.train["learning_rate"].tolist() == [1e-3] * 20
    assert run.evals["step"].tolist() == [10, 20] and run.evals["val_loss"][1] == pytest.approx(4.1)


# W&B's offline runs


def varint(value: int) -> bytes:
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + varint(value >> 7)


def message(number: int, content: bytes | str | int) -> bytes:
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    content = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(content)) + content


def history(line: dict[str, Any], nested: bool) -> bytes:
    items = [message(2 if nested else 1, name) + message(16, json.dumps(value)) for name, value in line.items()]
    return message(2, b"".join(message(1, item) for item in items))


def offline(records: Iterable[bytes]) -> bytes:
    """The file, with records in pieces where a block ends."""
    content = b":W&B" + struct.pack("<HB", 0xBEE1, 0)
    for record in records:
        rest, first = record, True
        while first or rest:
            left = BLOCK - len(content) % BLOCK
            if left < 7:
                content += bytes(left)
                continue
            piece, rest = rest[: left - 7], rest[left - 7 :]
            kind = (1 if not rest else 2) if first else (4 if not rest else 3)
            content += struct.pack("<IHB", zlib.crc32(bytes([kind]) + piece), len(piece), kind) + piece
            first = False
    return content


def wandb_run(lines: list[dict[str, Any]], id: str = "ab12", name: str = "brave-sun-1", nested: bool = True) -> bytes:
    begin = message(17, message(1, id) + message(3, "project") + message(8, name))
    padding = message(13, "x" * 9000)  # output of the console: records longer than what is left of a block
    told = [part for line in lines for part in (history(line, nested), padding)]
    return offline([begin, *told, message(18, message(2, 5))])


@pytest.mark.parametrize("nested", [True, False])
def test_wandb(nested: bool, tmp_path: Path) -> None:
    folder = tmp_path / "wandb" / "offline-run-20260101_000000-ab12"
    folder.mkdir(parents=True)
    file = folder / "run-ab12.wandb"
    file.write_bytes(wandb_run(LINES, nested=nested))
    (tmp_path / "wandb" / "latest-run").symlink_to(folder.name)
    assert file.stat().st_size > 5 * BLOCK
    for given_path in (tmp_path, tmp_path / "wandb", folder, file, tmp_path / "wandb" / "latest-run"):
        (run,), left_out = read_sources(given_path)
        check(run, "brave-sun-1", "offline-wandb")
        assert run.info["status"] == "finished" and not left_out


def test_wandb_s_resumed_run_is_one(tmp_path: Path) -> None:
    for number, lines in enumerate((LINES[:12], LINES[12:])):
        folder = tmp_path / f"offline-run-2026010{number}_000000-ab12"
        folder.mkdir()
        (folder / "run-ab12.wandb").write_bytes(wandb_run(lines))
    other = tmp_path / "run-20260105_000000-cd34"
    other.mkdir()
    (other / "run-cd34.wandb").write_bytes(wandb_run(LINES, "cd34", "other"))
    (first, second), _ = read_sources(tmp_path)
    check(first, "brave-sun-1", "offline-wandb")
    check(second, "other", "offline-wandb")


def test_wandb_s_run_is_read_wherever_its_folder_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is typed inside it, renamed, through a link, and where only the link's copy was brought along."""
    content = wandb_run(LINES)
    for name in ("wandb/offline-run-20260101_000000-ab12", "renamed", "one/latest-run"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "run-ab12.wandb").write_bytes(content)
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "here").symlink_to(tmp_path / "wandb" / "offline-run-20260101_000000-ab12")
    for name in ("wandb/offline-run-20260101_000000-ab12", "renamed", "one/latest-run", "linked/here", "linked"):
        monkeypatch.chdir(tmp_path / name)
        for given_path in (Path("."), Path("..") / Path.cwd().name, tmp_path / name):
            (run,), left_out = read_sources(given_path)
            check(run, "brave-sun-1", "offline-wandb")
            assert not left_out


def test_wandb_s_parts_stand_in_the_order_of_their_dates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that began online and was resumed offline, and the other way."""
    for first, second in (("run-2025", "offline-run-2026"), ("offline-run-2025", "run-2026")):
        for name, lines in ((first, LINES[:12]), (second, [{**each, "train/lr": 2e-3} for each in LINES[12:20]])):
            (tmp_path / f"{name}0101_000000-ab12").mkdir()
            (tmp_path / f"{name}0101_000000-ab12" / "run-ab12.wandb").write_bytes(wandb_run(lines))
        (run,), _ = read_sources(tmp_path)
        assert run.train["step"].tolist() == list(range(1, 21))
        assert run.train["learning_rate"].tolist() == [1e-3] * 12 + [2e-3] * 8
        monkeypatch.chdir(tmp_path / f"{first}0101_000000-ab12")
        (run,), _ = read_sources(Path("."))
        assert run.train["step"].tolist() == list(range(1, 13)), "as far as the part that is named"
        for name in (first, second):
            shutil.rmtree(tmp_path / f"{name}0101_000000-ab12")


def test_wandb_s_histograms_of_gradients_are_looks_inside(tmp_path: Path) -> None:
    lines = [
        {**line, "gradients/layers.0.weight": {"_type": "histogram", "values": [4], "bins": [0.5, 1.5]}}
        for line in LINES[:20]
    ]
    (run,) = read_log(Path("x.wandb"), wandb_run(lines))
    assert len(run.looks) == 20


def test_a_damaged_and_a_cut_off_file_of_wandb(tmp_path: Path) -> None:
    whole = wandb_run(LINES)
    damaged = bytearray(whole)
    damaged[40_000] ^= 1
    with pytest.raises(InputError, match="is damaged at byte"):
        read_log(Path("x.wandb"), bytes(damaged))
    (run,) = read_log(Path("x.wandb"), whole[:-9200])
    assert run.train["step"][-1] == 20 and len(run.evals["step"]) == 1
    with pytest.raises(InputError, match="nothing was logged"):
        read_log(Path("x.wandb"), wandb_run([]))


@settings(max_examples=50)
@given(st.binary(max_size=300), st.integers(0, 300))
def test_any_bytes_are_a_run_of_wandb_or_one_sentence(noise: bytes, place: int) -> None:
    content = bytearray(offline([history(line, True) for line in LINES]))
    content[place : place + len(noise)] = noise
    with suppress(InputError):
        assert read_log(Path("x.wandb"), b":W&B" + bytes(content)[4:])


# trackio


def trackio_database(path: Path, runs: dict[str, list[dict[str, Any]]], ids: bool = True) -> None:
    database = sqlite3.connect(path)
    id = "run_id text not null, " if ids else ""
    database.execute(
        f"create table metrics (id integer primary key autoincrement, {id}timestamp text, run_name text, step integer, "
        "metrics text)"
    )
    for number, (name, lines) in enumerate(runs.items()):
        for line in lines:
            rest = {key: "NaN" if value != value else value for key, value in line.items() if key != "step"}
            row = ("2026-01-01", name.strip(), line["step"], json.dumps(rest).encode())
            values, marks = ((f"id{number}", *row), "?, ?, ?, ?, ?") if ids else (row, "?, ?, ?, ?")
            names = ("run_id, " if ids else "") + "timestamp, run_name, step, metrics"
            database.execute(f"insert into metrics ({names}) values ({marks})", values)
    database.commit()
    database.close()


@pytest.mark.parametrize("ids", [True, False])
def test_trackio(ids: bool, tmp_path: Path) -> None:
    text = {"step": 20, "completions/Once": {"_type": "trackio.markdown", "_value": "**Once** upon"}}
    trackio_database(tmp_path / "stories.db", {"first": [*LINES, text], "empty": [text], "second": LINES}, ids)
    for given_path in (tmp_path, tmp_path / "stories.db"):
        (first, second), _ = read_sources(given_path)
        check(first, "first", "trackio")
        check(second, "second", "trackio")


def test_two_runs_of_trackio_may_have_one_name(tmp_path: Path) -> None:
    trackio_database(tmp_path / "stories.db", {"first": LINES, "first ": LINES})
    runs, _ = read_sources(tmp_path)
    assert [run.info["name"] for run in runs] == ["first", "first (2)"]


# MLflow


def mlflow_database(path: Path, runs: dict[str, str]) -> None:
    """`runs`: name -> lifecycle stage."""
    database = sqlite3.connect(path)
    database.execute("create table runs (run_uuid text, name text, start_time integer, lifecycle_stage text)")
    database.execute("create table tags (key text, value text, run_uuid text)")
    database.execute(
        "create table metrics (key text, value float, timestamp integer, run_uuid text, step integer, is_nan boolean)"
    )
    for number, (name, stage) in enumerate(runs.items()):
        database.execute("insert into runs values (?, ?, ?, ?)", (f"id{number}", name or None, number, stage))
        database.execute("insert into tags values ('mlflow.runName', ?, ?)", (name or "by its tag", f"id{number}"))
        for at, (key, step, value) in enumerate((k, line["step"], v) for line in LINES for k, v in line.items()):
            if key != "step":
                row = (key, 0.0 if value != value else value, at, f"id{number}", step, value != value)
                database.execute("insert into metrics values (?, ?, ?, ?, ?, ?)", row)
    database.commit()
    database.close()


def test_mlflow_s_database(tmp_path: Path) -> None:
    mlflow_database(tmp_path / "mlflow.db", {"first": "active", "gone": "deleted", "": "active"})
    for given_path in (tmp_path, tmp_path / "mlflow.db"):
        (first, second), _ = read_sources(given_path)
        check(first, "first", "mlflow")
        check(second, "by its tag", "mlflow")


@pytest.mark.parametrize("tagged", [True, False])
def test_mlflow_s_folders(tagged: bool, tmp_path: Path) -> None:
    run = tmp_path / "mlruns" / "0" / "abcdef"
    for name in ("train/loss", "train/lr", "val/loss"):
        file = run / "metrics" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"1795796565893 {line[name]} {line['step']}\n" for line in LINES if name in line))
    (tmp_path / "mlruns" / "0" / "meta.yaml").write_text("name: Default\n")
    (run / "meta.yaml").write_text("run_id: abcdef\nrun_name: first\nstatus: 3\n")
    if tagged:
        (run / "tags").mkdir()
        (run / "tags" / "mlflow.runName").write_text("first")
    for given_path in (tmp_path, tmp_path / "mlruns", run):
        (read,), _ = read_sources(given_path)
        check(read, "first", "mlflow")
    (run / "metrics" / "val" / "loss").write_text("1795796565893 much 10\n")
    with pytest.raises(InputError, match="line 1: not a time, a value and a step"):
        read_sources(run)


# What is none of them


def test_other_databases_are_left_alone_in_a_folder_and_refused_by_name(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "shop.db") as database:
        database.execute("create table orders (id integer)")
    database.close()
    (tmp_path / "log.csv").write_text("step,loss\n1,3.0\n2,2.9\n")
    (run,), left_out = read_sources(tmp_path)
    assert run.info["log_format"] == "csv" and not left_out
    with pytest.raises(InputError, match=r"a database, but none of trackio's or MLflow's"):
        read_sources(tmp_path / "shop.db")


def test_a_damaged_database_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "stories.db"
    trackio_database(path, {"first": LINES})
    path.write_bytes(path.read_bytes()[:3000] + b"\xff" * 3000)
    with pytest.raises(InputError, match="cannot be read as a database"):
        read_sources(path)


@pytest.mark.parametrize("how", ["damaged", "cut off", "locked"])
@pytest.mark.parametrize("beside", ["log.csv", "good.db"])
def test_a_database_that_cannot_be_read_holds_nothing_beside_it_back(
    how: str, beside: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, connect = tmp_path / "bad.db", sqlite3.connect
    mlflow_database(path, {"first": "active"})
    (tmp_path / "folder.db").mkdir()
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **more: connect(*args, **more | {"timeout": 0.01}))
    holder = sqlite3.connect(path, isolation_level=None)
    if how == "locked":
        holder.execute("begin exclusive")
    else:
        content = path.read_bytes()
        path.write_bytes(content[:3000] + b"\xff" * 3000 if how == "damaged" else content[:50])
    with pytest.raises(InputError, match=r"bad.db cannot be read as a database") as alone:
        read_sources(tmp_path)
    assert "if its tracker is writing, wait" in str(alone.value)
    if beside == "log.csv":
        (tmp_path / beside).write_text("step,loss\n1,3.0\n2,2.9\n")
    else:
        trackio_database(tmp_path / beside, {"first": LINES})
    (run,), left_out = read_sources(tmp_path)
    assert run.info["log_format"] == ("csv" if beside == "log.csv" else "trackio") and not left_out
    holder.close()


def test_aim_s_repository_is_read_by_aim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (tmp_path / ".aim").mkdir()
    (tmp_path / ".aim" / "run_metadata.sqlite").touch()
    for given_path in (tmp_path, tmp_path / ".aim"):
        with pytest.raises(InputError, match=r"pip install 'fabula\[aim\]'"):
            read_sources(given_path)
