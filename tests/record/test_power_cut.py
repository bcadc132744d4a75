"""What was written stays written when the power goes: of what is not synced, any part may be there or not, in any
order (benchmarks/harm/trials/writes.py has the rules; `make test-crash` tries more of it)."""

import importlib
import json
import sys
from pathlib import Path
from random import Random
from types import ModuleType

import pytest
from tests.train.tiny import metrics, same_tensors, tensors, tiny, tiny_run, tiny_training

from fabula.record.checkpoint import checkpoint_steps, write_checkpoint
from fabula.record.cutting import cut_back
from fabula.record.files import make_folder, whole_folder
from fabula.record.reader import read_info, read_run
from fabula.train.life.run import resume_run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="which file a descriptor stands for, Linux says")


@pytest.fixture
def writes(repo: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(repo / "benchmarks")
    return importlib.import_module("harm.trials.writes")


def left(writes: ModuleType, trace: object, place: Path, random: Random | None = None) -> Path:
    """What a power cut leaves of all that was traced; without `random`, only what was synced."""
    chances = (writes.NOTHING,) if random is None else ()
    writes.after_power_cut(trace.operations, random or Random(0), *chances).write(place)
    return place


def test_the_trace_knows_what_was_synced_and_what_was_not(writes: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "old").write_text("old")
    with writes.traced(tmp_path / "disk") as trace:
        (tmp_path / "disk" / "new").write_text("new")
        with whole_folder(tmp_path / "disk" / "made") as partial:
            (partial / "a").write_text("abc")
        (tmp_path / "disk" / "made" / "a").write_text("never synced")
        (tmp_path / "disk" / "last").write_text("last")
    sure = left(writes, trace, tmp_path / "sure")
    assert {path.name: path.read_text() for path in sure.rglob("*") if path.is_file()} == {
        "old": "old", "new": "", "a": "abc",
    }  # fmt: skip
    lucky = writes.after_power_cut(trace.operations, Random(0), writes.Chances(1.0, 1.0))
    lucky.write(tmp_path / "lucky")
    there = {path.relative_to(tmp_path / "disk") for path in (tmp_path / "disk").rglob("*")}
    assert {path.relative_to(tmp_path / "lucky") for path in (tmp_path / "lucky").rglob("*")} == there
    assert (tmp_path / "lucky" / "made" / "a").read_text() == "never synced"


def test_a_whole_folder_is_there_with_all_that_is_in_it_and_above_it(writes: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    with writes.traced(tmp_path / "disk") as trace:
        with whole_folder(tmp_path / "disk" / "deep" / "deeper" / "made") as partial:
            (partial / "inner").mkdir()
            (partial / "inner" / "a").write_text("abc")
        make_folder(tmp_path / "disk" / "other" / "empty")
    sure = left(writes, trace, tmp_path / "sure")
    assert (sure / "deep" / "deeper" / "made" / "inner" / "a").read_text() == "abc"
    assert (sure / "other" / "empty").is_dir()


def test_a_checkpoint_that_was_written_is_there(writes: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with writes.traced(tmp_path) as trace:
        write_checkpoint(tmp_path / "run", 4, {"model.safetensors": lambda path: path.write_bytes(b"w" * 5000)}, {})
    assert checkpoint_steps(left(writes, trace, tmp_path.with_name("sure")) / "run") == [4]


@pytest.mark.parametrize("seed", range(20))
def test_a_damaged_record_that_is_cut_back_is_never_less_than_before(
    seed: int, writes: ModuleType, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    good = [json.dumps({"kind": "train", "step": step}).encode() + b"\n" for step in range(1, 60)]
    (disk / "metrics.jsonl").write_bytes(b"".join([*good[:9], b"not json\n", *good[9:]]))
    with writes.traced(disk) as trace:
        loss = cut_back(disk / "metrics.jsonl", 10_000, 40)
    assert loss is not None and loss.unreadable_lines == 1
    random = Random(seed)
    cut = random.randint(trace.first, len(trace.operations))
    writes.after_power_cut(trace.operations[:cut], random).write(tmp_path / "left")
    lines = (tmp_path / "left" / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    assert [line for line in lines if line in good[:40]] == good[:40]
    if cut == len(trace.operations):
        assert not set(good[40:]) - set((tmp_path / "left" / "metrics.discarded.jsonl").read_bytes().splitlines(True))


def test_a_training_ends_as_if_the_power_had_never_gone(
    writes: ModuleType, grammar_folder: Path, tmp_path: Path
) -> None:
    """Some of the moments of one training, each with another part of what was not synced."""
    values = {"steps": 8, "evaluation__every": 8, "evaluation__sample_tokens": 0}
    recipe = tiny(checkpoint__every=2, checkpoint__keep=1, record__internals=3, **values)
    (tmp_path / "disk").mkdir()
    with writes.traced(tmp_path / "disk") as trace:
        whole = tiny_run(grammar_folder, tmp_path / "disk" / "run", recipe)
    random, operations = Random(0), trace.operations
    begun = next(number for number in range(len(operations)) if is_run_after(writes, operations[:number]))
    for number in range(3):
        done = operations[: random.randint(begun, len(operations))]
        place = tmp_path / f"left-{number}"
        writes.after_power_cut(done, random).write(place)
        if read_info(place / "run")["status"] != "finished":
            assert resume_run(tiny_training(grammar_folder, recipe), place / "run") == "finished"
        assert metrics(place / "run", events=False) == metrics(whole, events=False)
        assert same_tensors(tensors(place / "run"), tensors(whole))
        assert [each["step"] for each in read_run(place / "run").internals] == [3, 6]
        assert not [each for each in read_run(place / "run").events if each["event"] == "record_incomplete"]


def is_run_after(writes: ModuleType, operations: list) -> bool:
    """Whether the run's folder is surely there."""
    image = writes.after_power_cut(operations, Random(0), writes.NOTHING)
    return "run" in image.names[writes.ROOT]
