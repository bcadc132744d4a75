"""What damaged records and logs come to: each input here once ended in a traceback, a hang or gigabytes of memory."""

import gzip
import json
import struct
from pathlib import Path

import numpy as np
import pytest

from fabula.cli import run
from fabula.errors import InputError
from fabula.findings import diagnose
from fabula.record.content.lines import LARGEST_RATIO, blocks_of_objects
from fabula.record.content.parsing import json_value, toml_value
from fabula.record.foreign import read_log
from fabula.record.foreign.forms.tensorboard import _checksums
from fabula.record.reader import read_run
from fabula.record.wording import inert
from fabula.report import write_report

INFO = {"status": "finished", "recipe": "demo/packed", "seed": 0, "steps": 3}
LINES = [{"kind": "train", "step": step, "loss": 3.0 / step} for step in range(1, 4)]


def run_folder(folder: Path, **files: object) -> Path:
    """A run of three steps; `files`: another content of a file, by its name without the ending."""
    content = {"run": INFO, "metrics": LINES, **files}
    folder.mkdir(parents=True, exist_ok=True)
    for name, each in content.items():
        lines = "".join(f"{json.dumps(line)}\n" for line in each) if isinstance(each, list) else json.dumps(each)
        (folder / f"{name}.json{'l' if isinstance(each, list) else ''}").write_text(lines)
    return folder


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"run": {**INFO, "seed": "0"}}, "run.json: seed is '0' and not a whole number"),
        ({"run": {**INFO, "steps": 10**400}}, "run.json: steps is 1000"),
        ({"run": {**INFO, "status": ["finished"]}}, "run.json: status is"),
        ({"run": {**INFO, "data": []}}, "run.json: data is"),
        ({"run": {**INFO, "data": {"entropy_floor": "low"}}}, "run.json: data.entropy_floor is 'low'"),
        ({"run": {**INFO, "rulers": {"stream": {}}}}, "run.json: rulers is"),
        ({"metrics": [*LINES, {"kind": "train", "step": 4, "loss": "low"}]}, "kind train: loss is 'low'"),
        ({"metrics": [*LINES, {"kind": "train", "step": 4, "loss": [1]}]}, "kind train: loss is [1]"),
        ({"metrics": [*LINES, {"kind": "train", "step": 4, "loss": 10**400}]}, "kind train: loss is 1000"),
        ({"metrics": [*LINES, {"kind": "train", "loss": 1.0}]}, "kind train, number 4 of them: its step"),
        ({"metrics": [*LINES, {"kind": "train", "step": -1}]}, "kind train, number 4 of them: its step"),
        ({"metrics": [{"kind": "eval", "val_loss": 2.0}]}, "kind eval: they have no step"),
        ({"metrics": [*LINES, {"kind": "event", "step": 1.5, "event": "finished"}]}, "kind event, number 1"),
        ({"metrics": [*LINES, {"kind": "event", "step": 1}]}, "number 1 of them: event is missing"),
        ({"samples": [{"step": 1, "prompt": 3}]}, "samples.jsonl, lines, number 1 of them: prompt is 3"),
        ({"samples": [{"step": 1, "names": [None]}]}, "names is [None] and not a list of which each is a text"),
        ({"samples": [{"prompt": "A fox"}]}, "number 1 of them: step is missing"),
    ],
)  # fmt: skip
def test_a_record_of_other_types_is_damaged(tmp_path: Path, files: dict[str, object], says: str) -> None:
    with pytest.raises(InputError) as told:
        read_run(run_folder(tmp_path / "run", **files))
    assert says in str(told.value) and "damaged" in str(told.value) and "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"internals": [{"step": 1, "grad_norm": ["x"]}]}, "grad_norm"),
        ({"evaluations": [{"kind": "stories", "protocol": [], "split": "", "ruler": "", "tokens": [], "nats": []}]},
         "protocol is []"),
        ({"evaluations": [{"kind": "stories", "protocol": "stream", "split": "", "ruler": "",
                           "tokens": [3], "nats": []}]},
         "1 tokens and 0"),
        ({"internals": [{"step": 1, "grad_norm": [1.0, float("-inf")]}]}, "grad_norm is [1.0, -inf] and not a list"),
    ],
)  # fmt: skip
def test_what_is_read_later_is_checked_then(tmp_path: Path, files: dict[str, object], says: str) -> None:
    read = read_run(run_folder(tmp_path / "run", **files))
    with pytest.raises(InputError) as told:
        _ = read.internals, read.stories
    assert says in str(told.value)


def test_what_is_missing_or_null_or_not_known_is_no_damage(tmp_path: Path) -> None:
    info = {"status": "finished", "seed": None, "data": None, "rulers": {"stream": None}, "mine": [{}]}
    lines = [{"kind": "train", "step": 1, "loss": None, "mine": "a"}, {"kind": "mine", "step": "x"}]
    read = read_run(run_folder(tmp_path / "run", run=info, metrics=lines))
    assert read.info["mine"] == [{}] and np.isnan(read.train["loss"]).all() and "mine" not in read.train
    diagnose(read)


@pytest.mark.long
def test_of_several_runs_the_damaged_one_is_named_and_the_others_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(2):
        run_folder(tmp_path / "runs" / f"seed-{seed}")
    damaged = [{"kind": "stories", "protocol": 1}]
    run_folder(tmp_path / "runs" / "seed-2", evaluations=damaged)
    run_folder(tmp_path / "runs" / "seed-3", internals=[{"step": "x"}])
    (tmp_path / "runs" / "seed-4").mkdir()
    (tmp_path / "runs" / "seed-4" / "run.json").write_text("[" * 100_000)
    said = write_report([tmp_path / "runs"], tmp_path / "report.html")
    problems = {Path(run["path"]).name: run["problem"] for run in said["runs"]}
    assert not problems["seed-0"] and not problems["seed-1"]
    assert "evaluations.jsonl" in problems["seed-2"] and "internals.jsonl" in problems["seed-3"]
    assert "nested too deeply" in problems["seed-4"]
    assert run(["diagnose", str(tmp_path / "runs")]) == 0
    out, err = capsys.readouterr()
    assert out.count("seed-") >= 3 and "seed-3" in err and "seed-4" in err


def test_numbers_that_no_one_measured_are_not_finite() -> None:
    for far in (b"1e30", b"-1e30", b"inf", b"9" * 30):
        (read,) = read_log(Path("log.csv"), b"step,loss\n1,3.0\n%s,2.8\n4,2.7\n" % far)
        assert read.train["step"].tolist() == [1, 4], "nothing counts so far"
        (read,) = read_log(Path("log.csv"), b"step,loss\n%s,3.0\n%s,2.8\n4,2.7\n" % (far, far))
        assert read.train["step"].tolist() == [4]
    (read,) = read_log(Path("log.jsonl"), b'{"step":1,"loss":1e300}\n{"step":2,"loss":' + b"9" * 400 + b"}\n")
    assert np.isinf(read.train["loss"]).all()


LOGS: dict[str, bytes] = {
    "epochs of which there are more than lines": b"Epoch:[1/2](0/900) loss:7.547 lr:0.000500\n"
    b"Epoch:[1000000000000/2](1/900) loss:7.053 lr:0.000500\n",
    "a state of a billion epochs": json.dumps(
        {"global_step": 10, "max_steps": 5000, "epoch": 3e9, "log_history": [{"step": 0, "loss": 7.9, "epoch": 0.0}]}
    ).encode(),
    "a state whose counters are none": b'{"global_step": [1], "max_steps": {}, "log_history": '
    b'[{"step": 1, "loss": []}]}',
    "a cell that is a list": b'{"step":1,"loss":2.0,"run":[1]}\n{"step":1,"loss":1.0,"run":[2]}\n',
    "a kind that is a list": b'{"kind":["train"],"step":1,"loss":2.0}\n',
    "a count of thousands of digits": b"iter " + b"1" * 5000 + b": loss 3.0\niter 2: loss 2.0\n",
    "two points in a number": b"{'loss': 1.2.3, 'epoch': 0.1}\n{'loss': 1.0, 'epoch': 0.2}\n",
    "values beyond float32": b"step,loss\n" + b"".join(b"%d,1e308\n-%d,-1e308\n" % (at, at) for at in range(9)),
    "deep nesting": b'{"step":1,"loss":' + b"[" * 100_000,
    "a step that is said to be not finite": b'{"kind":"train","step":1,"loss":2.0,"non_finite":["step"]}\n',
    "a step of twenty digits": b"|step|loss|\n|---|---|\n|18446744073709551615|2.0|\n|2|1.9|\n",
    "twenty digits of steps to come": b"step 1/18446744073709551615 loss 2.0\nstep 2/18446744073709551615 loss 1.9\n",
    "what is not finite is no list": b'{"kind":"train","step":1,"loss":2.0,"non_finite":5}\n',
    "a notebook whose outputs are texts": b'{"nbformat":4,"cells":[{"outputs":["loss: 2.0"]},{"outputs":7}]}',
    "more epochs than any number of steps": json.dumps(
        {
            "global_step": 40,
            "max_steps": 40,
            "epoch": 9e8,
            "log_history": [{"step": step, "loss": 3.0 - step / 40, "epoch": step} for step in range(1, 41)],
        }
    ).encode(),
    "half a character": b'{"step":1,"loss":2.0,"run":"\\ud800"}\n{"step":2,"loss":2.0,"run":"a"}\n',
}


@pytest.mark.parametrize("what", LOGS)
def test_a_strange_log_is_read_or_refused_in_one_line(what: str) -> None:
    try:
        runs = read_log(Path("given.log"), LOGS[what])
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either outcome is right
    else:
        for each in runs:
            json.dumps(diagnose(each).as_json(), ensure_ascii=False).encode()


def record(content: bytes) -> bytes:
    def masked(each: bytes) -> bytes:
        return struct.pack("<I", int(_checksums(each, np.array([0]), np.array([len(each)]))[0]))

    head = struct.pack("<Q", len(content))
    return head + masked(head) + content + masked(content)


@pytest.mark.parametrize(
    "event", [b"\x0f\x00", b"\x12", b"\x2a\x7f\x00", b"\x10" + b"\xff" * 12, b"\x28\x05", b"\x12\x01\x01"]
)
def test_an_event_with_a_right_checksum_may_be_none(event: bytes) -> None:
    with pytest.raises(InputError, match=r"is no event|has no scalars"):
        read_log(Path("events.out.tfevents.1"), record(b"\x1a\x0dbrain.Event:2") + record(event))


@pytest.mark.long
def test_a_small_file_that_unpacks_to_gigabytes_is_refused(tmp_path: Path) -> None:
    packed = gzip.compress(b'{"kind":"train","step":1}\n' * 4_000_000, 1)
    assert len(packed) * LARGEST_RATIO < 26 * 4_000_000
    (tmp_path / "metrics.jsonl.gz").write_bytes(packed)
    with pytest.raises(InputError, match="unpacks to more than"):
        for _ in blocks_of_objects(tmp_path / "metrics.jsonl"):
            pass


def test_what_is_kept_has_a_budget(tmp_path: Path) -> None:
    (tmp_path / "samples.jsonl").write_text('{"step":1}\n' * 1000)
    assert sum(map(len, blocks_of_objects(tmp_path / "samples.jsonl"))) == 1000
    with pytest.raises(InputError, match="which no run writes"):
        list(blocks_of_objects(tmp_path / "samples.jsonl", most_bytes=5000))


def test_lines_are_counted_over_blocks_and_the_last_may_be_half(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    line = json.dumps({"kind": "train", "step": 1, "text": "x" * 1000}) + "\n"
    path.write_text(line * 5000 + '{"kind": "tr')
    assert sum(map(len, blocks_of_objects(path))) == 5000
    path.write_text(line * 5000 + "{,}\n" + line)
    with pytest.raises(InputError, match="line 5001: not valid JSON"):
        list(blocks_of_objects(path))
    path.write_text('{"a": 1},{"b": 1}\n{"c": 2}\n')  # as many values as lines, were they counted alone
    with pytest.raises(InputError, match="line 1: not valid JSON"):
        list(blocks_of_objects(path))


def test_columns_of_blocks_are_those_of_all_lines(tmp_path: Path) -> None:
    lines = [{"kind": "train", "step": at, "loss": 1.0, **({"late": 2.0} if at > 4000 else {})} for at in range(5000)]
    (folder := tmp_path / "run").mkdir()
    (folder / "run.json").write_text("{}")
    (folder / "metrics.jsonl").write_text("".join(f"{json.dumps({**line, 'text': 'x' * 1000})}\n" for line in lines))
    train = read_run(folder).train
    assert train["step"].tolist() == list(range(5000))
    assert np.isnan(train["late"][:4001]).all() and (train["late"][4001:] == 2.0).all()


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "1" * 5000, "{", "\x00", ""])
def test_what_is_no_json_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        json_value(text)


def test_toml_may_be_nested_too_deeply() -> None:
    with pytest.raises(ValueError, match="deep"):
        toml_value("a = " + "[" * 100_000)


def test_half_a_character_is_replaced() -> None:
    json.dumps(json_value('{"\\ud800": ["\\ud83d\\ude00", "\\udc00"]}'), ensure_ascii=False).encode()


def test_nothing_steers_a_terminal() -> None:
    assert inert("a\x1b[31mb\r\x07\u202ec\td\ne\u00a0f") == "a\ufffd[31mb\ufffd\ufffd\ufffdc\td\ne\u00a0f"
