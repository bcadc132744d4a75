"""What is added to evaluations.jsonl after a training stays readable, and the training's own lines stay proved."""

import hashlib
import json
from pathlib import Path

import pytest

from fabula.errors import InputError
from fabula.record.reader import read_run
from fabula.record.sessions.evaluations import append_lines
from fabula.record.writer import RunWriter, json_line

OWN = {"protocol": "story", "split": "validation", "ruler": "r", "tokens": [2, 3], "nats": [1.5, 2.5]}


def added(session: str, step: int, whole: bool = True) -> list[str]:
    completion = {
        "kind": "completion", "session": session, "step": step, "prompt_set": "mine", "number": 0, "prompt": "Once",
        "human": False, "seed": 0, "text": " a\n“b”", "tokens": 3, "ended": True, "measures": {"words": 2.0, "x": None},
    }  # fmt: skip
    lines = [json_line(completion)]
    return [*lines, json_line({"kind": "session", "session": session, "step": step})] if whole else lines


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    with RunWriter.create(folder, "steps = 3\n", "{}", {"status": "running"}) as writer:
        writer.train(step=1, loss=2.0)
        writer.stories(step=1, **OWN)
        writer.close("finished", steps_done=1, record_hashes=writer.digests())
    return folder


def test_sessions_are_read_and_the_hash_still_holds(run: Path) -> None:
    append_lines(run, added("a", 1))
    append_lines(run, [*added("b", 1), *added("cut off", 1, whole=False)])
    found = read_run(run)
    assert [each.info["session"] for each in found.sessions] == ["a", "b"]
    assert found.sessions[0].completions[0]["text"] == " a\n“b”" and found.sessions[0].step == 1
    assert found.stories["story"].tokens_S.tolist() == [2, 3]


def test_a_changed_line_of_the_training_is_found(run: Path) -> None:
    append_lines(run, added("a", 1))
    path = run / "evaluations.jsonl"
    path.write_text(path.read_text().replace("1.5", "1.4"))
    with pytest.raises(InputError, match="not what the run wrote"):
        read_run(run)


def test_a_line_that_is_not_of_ours_is_found(run: Path) -> None:
    append_lines(run, [json.dumps({"kind": "stories", "step": 2, **OWN}) + "\n"])
    with pytest.raises(InputError, match="not what the run wrote"):
        read_run(run)


def test_a_half_written_line_goes_before_the_next_is_added(run: Path) -> None:
    append_lines(run, added("a", 1))
    with open(run / "evaluations.jsonl", "a") as file:
        file.write('{"kind": "comple')
    assert len(read_run(run).sessions) == 1
    append_lines(run, added("b", 1))
    assert [each.info["session"] for each in read_run(run).sessions] == ["a", "b"]


def test_damage_is_told(run: Path) -> None:
    append_lines(run, ['{"kind": "completion", "session": "a", "step": 1}\n'])
    with pytest.raises(InputError, match="prompt_set is missing"):
        _ = read_run(run).sessions


def test_a_resumed_training_keeps_what_was_added_of_its_checkpoint(run: Path) -> None:
    offset = len((run / "evaluations.jsonl").read_bytes())
    digest = hashlib.sha256((run / "evaluations.jsonl").read_bytes()).hexdigest()
    append_lines(run, [*added("a", 1), *added("later", 5)])
    offsets = {"metrics": len((run / "metrics.jsonl").read_bytes()), "evaluations": offset}
    with RunWriter.resume(run, {"status": "running"}, offsets, 1, {"evaluations": digest}) as writer:
        assert not writer.losses
        writer.stories(step=2, **OWN)
        writer.train(step=2, loss=1.0)
        writer.close("finished", steps_done=2, record_hashes=writer.digests())
    append_lines(run, added("b", 2))
    assert [each.info["session"] for each in read_run(run).sessions] == ["a", "b"]
    assert "later" in (run / "evaluations.discarded.jsonl").read_text()
