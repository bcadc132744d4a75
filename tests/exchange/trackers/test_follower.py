"""What a tracker is told of a record, and when: by a client that only remembers."""

import contextlib
import gzip
import math
import shutil
import subprocess
import sys
import threading
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.exchange.trackers.recorded import begun, finished, make_steps

from fabula.errors import InputError
from fabula.exchange.trackers import follower
from fabula.exchange.trackers.follower import Described, describe, follow
from fabula.exchange.trackers.sent import sent_file
from fabula.record.lock import only_writer
from fabula.record.reader import find_runs
from fabula.record.writer import RunWriter

NO_FINDINGS: list[dict[str, Any]] = []


class Remembering:
    """A tracker in memory: run -> all that it was told."""

    def __init__(self) -> None:
        self.told: dict[str, list[tuple[Any, ...]]] = {}
        self.described: dict[str, Described] = {}

    def begin(self, described: Described, id: str | None) -> "Client":
        name = id or described.name
        assert (id is None) == (name not in self.told), "a run that is known goes on, another one is new"
        self.described[name] = described
        return Client(name, self.told.setdefault(name, []))

    def of(self, kind: str, run: str = "run") -> list[tuple[Any, ...]]:
        return [rest for each, *rest in self.told[run] if each == kind]

    def losses(self, run: str = "run") -> list[tuple[int, float]]:
        return [(step, each["train/loss"]) for step, each in self.of("scalars", run) if "train/loss" in each]


class Client:
    def __init__(self, id: str, told: list[tuple[Any, ...]]) -> None:
        self.id, self._told = id, told

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        self._told.append(("scalars", step, dict(values)))

    def text(self, step: int, name: str, text: str) -> None:
        self._told.append(("text", step, name, text))

    def alert(self, finding: Mapping[str, Any]) -> None:
        self._told.append(("alert", finding["kind"]))

    def findings(self, text: str, verdict: Mapping[str, str]) -> None:
        self._told.append(("findings", text))

    def rewind(self, step: int) -> None:
        self._told.append(("rewind", step))

    def flush(self) -> None:
        self._told.append(("flush",))

    def close(self, status: str) -> None:
        self._told.append(("close", status))


@pytest.fixture
def tracker(monkeypatch: pytest.MonkeyPatch) -> Remembering:
    remembering = Remembering()
    module = types.ModuleType("to_memory")
    module.begin = remembering.begin  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fabula.exchange.trackers.to_memory", module)
    monkeypatch.setattr(follower, "POLL_SECONDS", 0.02)
    return remembering


def tell(folder: Path, found: list[dict[str, Any]] = NO_FINDINGS, until_it_ends: bool = False) -> int:
    return follow(folder, "memory", lambda _: found, until_it_ends)


def test_a_finished_run_is_told_once_and_whole(tracker: Remembering, tmp_path: Path) -> None:
    run = finished(tmp_path / "run")
    assert tell(run) == 1
    assert [step for step, _ in tracker.losses()] == list(range(1, 41))
    assert math.isnan(dict(tracker.losses())[5]), "a loss that is not finite is told as such"
    (first, *_), last = [each for each in tracker.of("scalars") if "val/loss" in each[1]], tracker.of("scalars")[-1]
    assert first[1]["val/loss"] == pytest.approx(6.1) and first[1]["train/loss_as_evaluated"] == 6.0
    assert last[0] == 40 and not last[1].keys() & {"val/full", "val/seconds"}
    texts = [name for _, name, _ in tracker.of("text")]
    assert texts.count("completions/Once <b>upon</b>") == 5 and texts.count("events") == 2
    completion = next(text for _, name, text in tracker.of("text") if name.startswith("completions"))
    assert completion.startswith("**Once &lt;b&gt;upon&lt;/b&gt;**") and "there \\*was\\*" in completion
    assert tracker.of("close") == [["finished"]]
    before = len(tracker.told["run"])
    assert tell(run) == 1 and len(tracker.told["run"]) == before, "nothing is told twice"


def test_a_run_is_described_by_its_recipe_and_no_path_of_this_machine(tracker: Remembering, tmp_path: Path) -> None:
    tell(finished(tmp_path / "run"))
    told = tracker.described["run"].configuration
    assert told["model.width"] == 128 and told["seed"] == 3 and told["parameters.total"] == 7_291_345
    assert told["data.name"] == "stories"
    assert not any("secret" in str(value) for value in told.values())


def cut_back_to(run: Path, step: int, last: int, loss: float = 6.0) -> RunWriter:
    """The writer of a run that was killed after step `last`, and goes on from a checkpoint at `step`; `loss` as it was
    written before."""
    prefix = run.with_name("prefix")
    with begun(prefix) as writer:
        writer.event(0, "started")
        make_steps(writer, 0, step, loss)
        offsets = writer.offsets()
        writer.close("interrupted")
    info = dict(writer.info)
    shutil.rmtree(prefix)
    return RunWriter.resume(run, info, offsets)


@settings(max_examples=6)
@given(killed=st.integers(11, 39), kept=st.integers(1, 38), told_before=st.booleans())
def test_a_run_that_was_killed_and_resumed_is_told_once(killed: int, kept: int, told_before: bool) -> None:
    import tempfile

    kept = min(kept, killed)
    remembering = Remembering()
    module = types.ModuleType("to_memory")
    module.begin = remembering.begin  # type: ignore[attr-defined]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "fabula.exchange.trackers.to_memory", module)
        run = Path(folder) / "run"
        writer = begun(run)
        writer.event(0, "started")
        make_steps(writer, 0, killed)
        if told_before:
            tell(run)
        with cut_back_to(run, kept, killed) as resumed:
            resumed.event(kept, "resumed")
            make_steps(resumed, kept + 1, 40)
            resumed.close("finished", steps_done=40)
        tell(run)
    assert [step for step, _ in remembering.losses()] == list(range(1, 41))
    assert not remembering.of("rewind")
    assert remembering.of("close")[-1] == ["finished"]


def test_what_was_not_delivered_is_sent_by_the_next_one(
    tracker: Remembering, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some clients deliver when they are closed, where this one is killed."""
    run = finished(tmp_path / "run")

    def hangs(self: Client, status: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Client, "close", hangs)
        with pytest.raises(KeyboardInterrupt):
            tell(run)
    tracker.told.clear()
    tell(run)
    assert [step for step, _ in tracker.losses()] == list(range(1, 41)) and tracker.of("close") == [["finished"]]


@pytest.mark.parametrize("locked", [True, False])
def test_a_run_without_an_end_is_closed_as_what_it_is(locked: bool, tracker: Remembering, tmp_path: Path) -> None:
    """One that is still made, and one whose process was killed."""
    run = tmp_path / "run"
    with begun(run) as writer:
        make_steps(writer, 0, 12)
        with only_writer(run) if locked else contextlib.nullcontext():
            tell(run)
    assert tracker.of("close") == [["running" if locked else "interrupted"]]


def test_events_of_one_step_are_one_text(tracker: Remembering, tmp_path: Path) -> None:
    """Told in two looks, the later text has both: most trackers keep one of a name and step."""
    for number, looks in enumerate((1, 2)):
        run = tmp_path / f"run{number}"
        with begun(run) as writer:
            make_steps(writer, 0, 12)
            writer.event(12, "interrupted")
            if looks == 2:
                tell(run)
            writer.event(12, "resumed", set_aside=["x"])
            make_steps(writer, 13, 40)
            writer.event(40, "finished")
            writer.close("finished", steps_done=40)
        tell(run)
        texts = [(step, text) for step, name, text in tracker.of("text", run.name) if name == "events"]
        assert len(texts) == looks + 1
        assert dict(texts)[12] == "step 12: interrupted\n\nstep 12: resumed (set_aside ['x'])"


ALIKE = ["Once upon a time there was a little girl who was called Lily. " + end for end in ("She sang", "She ran")]
ALIKE += ["Tom ran.", "Tom ran!", "tom/ran.", "Tom ran. 2", "", "unprompted"]


def test_each_prompt_has_a_name_of_its_own_also_in_paths(tracker: Remembering, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with begun(run) as writer:
        for step in (10, 20):
            for prompt in ALIKE:
                writer.sample(step=step, prompt=prompt, completion=" and so on", final=False)
            tell(run)
    told = [(step, name) for step, name, _ in tracker.of("text")]
    first, second = ([name for step, name in told if step == wanted] for wanted in (10, 20))
    assert first == second and len(first) == len(ALIKE)
    in_paths = {"".join(each if each.isalnum() or each in " -_" else "-" for each in name.lower()) for name in first}
    assert len(in_paths) == len(ALIKE) and max(map(len, first)) < 80


def test_what_is_made_again_after_a_rollback_is_told_again(tracker: Remembering, tmp_path: Path) -> None:
    with begun(tmp_path / "run") as writer:
        make_steps(writer, 0, 25)
        tell(tmp_path / "run")
        writer.event(25, "rolled_back", to_step=20)
        writer.attempt = 2
        make_steps(writer, 21, 40, loss=5.0)
        writer.close("finished", steps_done=40)
    tell(tmp_path / "run")
    assert tracker.of("rewind") == [[20]]
    assert [step for step, _ in tracker.losses()] == [*range(1, 26), *range(21, 41)]
    assert dict(tracker.losses())[22] == pytest.approx(4.78)


def test_a_run_that_is_made_longer_is_told_from_where_it_goes_on(tracker: Remembering, tmp_path: Path) -> None:
    run = finished(tmp_path / "run")
    tell(run)
    with cut_back_to(run, 30, 40) as writer:
        writer.event(30, "extended", steps=60, steps_before=40)
        make_steps(writer, 31, 60, loss=4.0)
        writer.close("finished", steps_done=60)
    tell(run)
    assert tracker.of("rewind") == [[30]]
    assert [step for step, _ in tracker.losses()] == [*range(1, 41), *range(31, 61)]


def test_findings_are_alerts_once_and_a_text_at_the_end(tracker: Remembering, tmp_path: Path) -> None:
    found = [
        {"kind": "spike", "severity": "warning", "sentence": "The loss <rose>.", "steps": [5, 9]},
        {"kind": "stable", "severity": "good", "sentence": "Fine.", "steps": None},
    ]
    with begun(tmp_path / "run") as writer:
        make_steps(writer, 0, 10)
        tell(tmp_path / "run", found)
        make_steps(writer, 11, 40)
        writer.close("finished", steps_done=40)
    tell(tmp_path / "run", found)
    assert tracker.of("alert") == [["spike"]]
    ((text,),) = tracker.of("findings")[-1:]
    assert "`spike`" in text and "&lt;rose&gt;" in text and "`stable`" in text


def test_a_ladder_is_a_group_of_runs(tracker: Remembering, tmp_path: Path) -> None:
    ladder = tmp_path / "classic"
    for name in ("basic/init/seed-0", "basic/init/seed-1"):
        finished(ladder / "runs" / name)
    (ladder / "ladder.json").write_text("{}")
    assert tell(ladder) == 2
    assert set(tracker.told) == {"basic-init-seed-0", "basic-init-seed-1"}
    assert {each.group for each in tracker.described.values()} == {"classic"}
    alone = tmp_path / "alone"
    finished(alone)
    tell(alone)
    assert tracker.described["alone"].group is None
    assert describe(ladder / "runs/basic/init/seed-1", ladder / "runs/basic/init/seed-1").name == "basic-init-seed-1"


def test_a_run_is_followed_while_it_is_made(
    tracker: Remembering, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, begins, over = tmp_path / "run", threading.Event(), threading.Event()
    looks, told_by_then = [], []

    def look(folder: Path) -> list[Path]:
        looks.append(folder)
        return find_runs(folder)

    def make() -> None:
        with only_writer(run):
            begins.set()
            with begun(run) as writer:
                make_steps(writer, 0, 12)
                with open(run / "metrics.jsonl", "ab") as file:
                    file.write(b'{"kind": "train", "step": 13, "lo')
                before = len(looks)
                while len(looks) < before + 2 and not over.wait(0.005):
                    pass  # a whole look at half a line
                told_by_then.extend(step for step, _ in tracker.losses())
                with open(run / "metrics.jsonl", "ab") as file:
                    file.write(b'ss": 5.5}\n')
                make_steps(writer, 14, 40)
                writer.close("finished", steps_done=40)

    monkeypatch.setattr(follower, "find_runs", look)
    making = threading.Thread(target=make)
    making.start()
    assert begins.wait(20)
    try:
        assert tell(run, until_it_ends=True) == 1
    finally:
        over.set()
        making.join(20)
    assert told_by_then == list(range(1, 13)), "half a line waits for its other half"
    assert [step for step, _ in tracker.losses()] == list(range(1, 41))
    assert tracker.of("close") == [["finished"]], "one client from beginning to end"


def test_what_is_no_run_is_refused(tracker: Remembering, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="has no run in it"):
        tell(tmp_path / "empty")
    assert not any((tmp_path / "empty").iterdir()), "a folder that a run may be written to stays empty"


AT_WORK = """
import sys
from pathlib import Path
from fabula.exchange.trackers import follower

def begin(described, id):
    print("begun", flush=True)
    sys.stdin.read()

sys.modules["fabula.exchange.trackers.to_memory"] = sys.modules["__main__"]
follower.follow(Path(sys.argv[1]), "memory", lambda run: [], False)
"""


def test_a_second_follower_is_refused(tracker: Remembering, tmp_path: Path) -> None:
    run = finished(tmp_path / "run")
    first = subprocess.Popen([sys.executable, "-c", AT_WORK, run], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with first:
        try:
            assert first.stdout is not None and first.stdout.readline() == b"begun\n"
            with pytest.raises(InputError) as refused:
                tell(run)
        finally:
            first.kill()
    assert str(refused.value) == f"another process sends {run} to memory already; wait until it has ended"
    assert not tracker.told
    assert tell(run) == 1, "the first one's end lets others go on"


def test_an_archived_run_is_told_as_well(tracker: Remembering, tmp_path: Path) -> None:
    run = finished(tmp_path / "run")
    content = (run / "metrics.jsonl").read_bytes()
    (run / "metrics.jsonl.gz").write_bytes(gzip.compress(content))
    (run / "metrics.jsonl").unlink()
    tell(run)
    assert [step for step, _ in tracker.losses()] == list(range(1, 41))


def test_a_damaged_record_is_one_sentence(tracker: Remembering, tmp_path: Path) -> None:
    run = finished(tmp_path / "run")
    (run / "metrics.jsonl").write_text('{"kind": "train"\n' * 3)
    with pytest.raises(InputError, match="cannot be read on"):
        tell(run)


def test_a_damaged_memory_of_what_was_sent_begins_anew(tracker: Remembering, tmp_path: Path) -> None:
    run = finished(tmp_path / "run")
    sent_file(run, "memory").parent.mkdir()
    for content in (
        "",
        "[]",
        '{"last": 3}',
        '{"id": "x", "last": {"train": 7}, "events": [], "told": [], "status": ""}',
    ):
        sent_file(run, "memory").write_text(content)
        tracker.told.clear()
        tell(run)
        assert len(tracker.losses()) == 40
