"""What a run writes is what a reader gets, in good days and after crashes."""

import gzip
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fabula.errors import InputError
from fabula.record.content.columns import to_columns
from fabula.record.reader import find_runs, is_run, read_run
from fabula.record.writer import RunWriter, json_line

INFO = {"format": 1, "status": "running", "seed": 0}


def write(folder: Path) -> RunWriter:
    return RunWriter.create(folder, "steps = 3\n", "{}", dict(INFO))


def test_what_was_written_is_read(tmp_path: Path) -> None:
    with write(tmp_path / "run") as writer:
        writer.event(0, "started")
        writer.evaluation(step=0, val_loss=6.25, val_loss_gpt2=None, full=True)
        writer.train(step=1, loss=6.125, grad_norm=0.5, tokens=16)
        writer.train(step=2, loss=math.nan, grad_norm=math.inf, tokens=32)
        writer.event(2, "batch_skipped", reason="not finite")
        writer.evaluation(step=2, val_loss=6.0, full=False)
        writer.sample(step=2, prompt="Once", completion=" upon\na “time”")
        writer.close("finished", steps_done=2)
    run = read_run(tmp_path / "run")
    assert run.status == "finished" and run.info.pop("recipe_hash")
    assert run.info == {**INFO, "status": "finished", "steps_done": 2}
    assert run.recipe_toml == "steps = 3\n"
    assert run.train["step"].tolist() == [1, 2] and run.train["tokens"].tolist() == [16, 32]
    assert run.train["loss"][0] == 6.125 and np.isnan(run.train["loss"][1]) and np.isnan(run.train["grad_norm"][1])
    assert run.evals["full"].tolist() == [1, 0] and np.isnan(run.evals["val_loss_gpt2"]).all()
    assert run.full_evals()["val_loss"].tolist() == [6.25]
    assert [event["event"] for event in run.events] == ["started", "batch_skipped"]
    assert run.samples == [{"step": 2, "prompt": "Once", "completion": " upon\na “time”"}]


def test_a_value_that_is_not_finite_is_null_and_named() -> None:
    line = json.loads(json_line({"loss": math.nan, "grad_norm": -math.inf, "step": 3, "cap": None, "full": True}))
    assert line == {
        "loss": None, "grad_norm": None, "step": 3, "cap": None, "full": True, "non_finite": ["loss", "grad_norm"],
    }  # fmt: skip
    assert "non_finite" not in json.loads(json_line({"loss": 1.0, "cap": None}))
    assert json.loads(json_line({"nats": [1.5, math.nan], "tokens": [1, 2]})) == {
        "nats": [1.5, None], "tokens": [1, 2], "non_finite": ["nats"],
    }  # fmt: skip


def test_numbers_keep_seven_digits() -> None:
    assert json.loads(json_line({"a": 1 / 3, "b": 123_456.789_012, "c": 5e-324, "d": 10**12})) == {
        "a": 0.3333333, "b": 123_456.8, "c": 5e-324, "d": 10**12,
    }  # fmt: skip


def test_each_line_is_on_disk_when_it_is_written(tmp_path: Path) -> None:
    writer = write(tmp_path / "run")
    writer.train(step=1, loss=1.0)
    assert read_run(tmp_path / "run").train["loss"].tolist() == [1.0]
    writer.close("interrupted")


@pytest.mark.parametrize(("error", "status"), [(RuntimeError("lost"), "failed"), (KeyboardInterrupt(), "interrupted")])
def test_an_exception_ends_the_run_in_its_record(error: BaseException, status: str, tmp_path: Path) -> None:
    with pytest.raises(type(error)), write(tmp_path / "run"):
        raise error
    run = read_run(tmp_path / "run")
    assert run.status == status and run.info["error"] == repr(error)


def test_a_new_run_takes_an_empty_place_only(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write(tmp_path / "empty").close("finished")
    assert is_run(tmp_path / "empty")
    for name in ("run.json", "notes.txt"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text("mine")
        with pytest.raises(InputError, match="is not empty; choose another --out"):
            write(tmp_path / name)
        assert [path.read_text() for path in (tmp_path / name).iterdir()] == ["mine"]
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="choose another --out"):
        write(tmp_path / "file")


def test_a_failure_at_the_start_leaves_no_half_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        RunWriter.create(tmp_path / "run", "", "{}", {"status": "running", "floor": math.nan})
    assert not list(tmp_path.iterdir())


def test_resuming_cuts_the_record_back_and_keeps_what_it_cut(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    writer = write(folder)
    writer.train(step=1, loss=3.0)
    writer.sample(step=1, prompt="a")
    offsets = writer.offsets()
    for step in (2, 3):
        writer.train(step=step, loss=9.0)
    with open(folder / "metrics.jsonl", "ab") as file:
        file.write(b'{"kind": "train", "st')  # cut off while writing
    for _ in range(2):  # a second crash adds to what the first one left
        with RunWriter.resume(folder, dict(INFO), offsets) as resumed:
            resumed.train(step=2, loss=2.0)
            resumed.close("interrupted")
    run = read_run(folder)
    assert run.train["loss"].tolist() == [3.0, 2.0] and len(run.samples) == 1
    *first, half, last = (folder / "metrics.discarded.jsonl").read_text().splitlines()
    assert [json.loads(line)["loss"] for line in first] == [9.0, 9.0]
    assert half == '{"kind": "train", "st' and json.loads(last)["loss"] == 2.0
    assert not (folder / "samples.discarded.jsonl").exists()


def half(text: bytes) -> bytes:
    return text[: len(text) // 2]


@pytest.mark.parametrize(
    ("damage", "steps", "told"),
    [
        (lambda text: b"", [], "bytes shorter than at step 4: what it said of steps 1 to 4 is lost"),
        (lambda text: text[:-150], [1, 2], "is 150 bytes shorter than at step 4: what it said of steps 3 to 4 is"),
        (lambda text: text.replace(b'"step": 2', b'"step": {', 1), [1, 3, 4], "has 1 line up to step 4 that cannot"),
        (lambda text: half(text) + bytes(len(half(text))), [1, 2], "is not what it was at step 4: what it said of"),
        (lambda text: text.replace(b"\n", b""), [], "is 4 bytes shorter than at step 4: what it said of steps 1"),
        (lambda text: text + text, [1, 2, 3, 4], ""),
        (lambda text: half(text) + half(text).replace(b'"step": ', b'"step": 7'), [1, 2], "is not what it was at"),
        (lambda text: half(text) + text.replace(b'"step": ', b'"step": 7'), [1, 2], "is not what it was at"),
    ],
    ids=["empty", "cut", "a bit", "zeros", "one line", "longer", "other steps", "longer by others"],
)
def test_what_a_record_has_lost_is_named_and_the_rest_kept(
    damage: Callable[[bytes], bytes], steps: list[int], told: str, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    writer = write(folder)
    for step in (1, 2, 3, 4):
        writer.train(step=step, loss=9.0, text="x" * 60)
    offsets = writer.offsets()
    writer.close("interrupted")
    before = (folder / "metrics.jsonl").read_bytes()
    (folder / "metrics.jsonl").write_bytes(damage(before))
    with RunWriter.resume(folder, dict(INFO), offsets, 4) as resumed:
        assert [loss.stream for loss in resumed.losses] == (["metrics"] if told else [])
        assert all(told in loss.told for loss in resumed.losses), resumed.losses[0].told
        resumed.train(step=5, loss=1.0)
        resumed.close("interrupted")
    assert read_run(folder).train["step"].tolist() == [*steps, 5]


def test_a_finished_run_without_its_record_is_damage(tmp_path: Path) -> None:
    with write(tmp_path / "run") as writer:
        for step in (1, 2):
            writer.train(step=step, loss=9.0)
        writer.close("finished", steps_done=2)
    whole = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    for cut, end in ((0, 0), (len(whole) // 2, 1), (len(whole) - 9, 1)):
        (tmp_path / "run" / "metrics.jsonl").write_bytes(whole[:cut])
        with pytest.raises(InputError, match=rf"ends at step {end}, but run.json says that the run finished 2 steps"):
            read_run(tmp_path / "run")


def test_another_recipe_than_the_runs_own_is_damage(tmp_path: Path) -> None:
    write(tmp_path / "run").close("interrupted")
    recipe = tmp_path / "run" / "recipe.toml"
    recipe.write_text("# a remark changes nothing\n" + recipe.read_text())
    assert "steps" in read_run(tmp_path / "run").recipe_toml
    for text, message in (("steps = 4", "not the recipe that the run was made with"), ("steps =", "not valid TOML")):
        recipe.write_text(text)
        with pytest.raises(InputError, match=message) as error:
            read_run(tmp_path / "run").recipe_toml  # noqa: B018
        assert "\n" not in str(error.value)


def test_a_half_written_last_line_is_dropped_a_damaged_one_elsewhere_is_told(tmp_path: Path) -> None:
    write(tmp_path / "run").close("finished")
    metrics = tmp_path / "run" / "metrics.jsonl"
    good = b'{"kind": "train", "step": 1, "loss": 2.5}\n'
    for end in (b'{"kind": "tr', b"\xff\xfe", b'{"kind": "train", "prompt": "\xd0'):
        metrics.write_bytes(good + end)
        assert read_run(tmp_path / "run").train["loss"].tolist() == [2.5]
        metrics.write_bytes(good + end + b"\n" + good)
        with pytest.raises(InputError, match=r"metrics\.jsonl, line 2: not valid JSON"):
            read_run(tmp_path / "run")
    metrics.write_bytes(good + b"[1]\n")
    with pytest.raises(InputError, match="line 2: not a JSON object"):
        read_run(tmp_path / "run")


def test_a_packed_record_reads_like_a_plain_one(tmp_path: Path) -> None:
    with write(tmp_path / "run") as writer:
        writer.train(step=1, loss=2.5)
        writer.close("finished")
    metrics = tmp_path / "run" / "metrics.jsonl"
    packed = gzip.compress(metrics.read_bytes())
    metrics.unlink()
    (tmp_path / "run" / "metrics.jsonl.gz").write_bytes(packed)
    assert read_run(tmp_path / "run").train["loss"].tolist() == [2.5]
    (tmp_path / "run" / "metrics.jsonl.gz").write_bytes(packed[:-9])
    with pytest.raises(InputError, match="cannot be unpacked"):
        read_run(tmp_path / "run")


def test_a_folder_that_is_no_run_is_told_in_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    for content, message in (
        (None, "does not exist or is not a folder"),
        (b"", "has no run.json"),
        (b"{", "is not valid JSON"),
        (b"[]", "is not a JSON object"),
        (b"\xff", "cannot be read"),
    ):
        if content is not None:
            folder.mkdir(exist_ok=True)
        if content:
            (folder / "run.json").write_bytes(content)
        with pytest.raises(InputError, match=message) as error:
            read_run(folder)
        assert "\n" not in str(error.value) and "run" in str(error.value)


def test_runs_are_found_below_a_folder_in_order(tmp_path: Path) -> None:
    for name in ("b/seed-1", "a/seed-0", "b/seed-0"):
        write(tmp_path / name).close("finished")
    assert [str(path.relative_to(tmp_path)) for path in find_runs(tmp_path)] == ["a/seed-0", "b/seed-0", "b/seed-1"]
    (tmp_path / "a" / "seed-0").rename(tmp_path / "a" / ".seed-0.4711.partial")
    assert [str(path.relative_to(tmp_path)) for path in find_runs(tmp_path)] == ["b/seed-0", "b/seed-1"]
    (tmp_path / "a" / ".seed-0.4711.partial").rename(tmp_path / "a" / "seed-0")
    assert find_runs(tmp_path / "a" / "seed-0") == [tmp_path / "a" / "seed-0"]


def test_columns_have_a_value_a_line() -> None:
    columns = to_columns([{"step": 1, "loss": 2.0, "kind": "x"}, {"step": 2, "full": True}, {"step": 3, "loss": None}])
    assert set(columns) == {"step", "loss", "full"}
    assert columns["loss"][0] == 2.0 and np.isnan(columns["loss"][1:]).all()
    assert columns["full"][1] == 1.0 and to_columns([])["step"].shape == (0,)
