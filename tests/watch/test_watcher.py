"""What a page says while its records grow, break off, go on, and are replaced."""

import json
import os
import shutil
import time
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from tests.report.synthetic import write_ladder
from tests.watch.growing import STEPS, GrowingRun, text_of, watcher

from fabula.errors import InputError
from fabula.findings import Flags, diagnose
from fabula.recipe.ladder import load_ladder
from fabula.record.foreign import read_sources
from fabula.record.reader import read_run
from fabula.study import ladder as study_ladder
from fabula.watch.pace import FIRST_COST, PULSE_SECONDS, Stopwatch, pause_after
from fabula.watch.watcher import Watcher

CLASSIC = load_ladder("classic")
TWO_PHASES = CLASSIC.model_copy(update={"phases": CLASSIC.phases[:2]})


def told(watching: Watcher) -> list[dict[str, Any]]:
    return [finding.as_json() for each in watching.found for finding in each.findings]


def counted(watching: Watcher) -> list[str]:
    """One entry for each whole reading from now on."""
    readings: list[str] = []
    read = watching._read
    watching._read = lambda: (readings.append("read"), read())[1]
    return readings


def diagnosed(folder: Path) -> list[dict[str, Any]]:
    return [finding.as_json() for finding in diagnose(read_run(folder)).findings]


def test_a_run_grows_and_ends_as_diagnose_has_it(tmp_path: Path) -> None:
    run = GrowingRun(tmp_path / "run", bump=(150, 190, 2.0))
    watching = watcher(run.folder)
    seen = []
    with run.alive():
        for step in (60, 120, 320):
            run.reach(step)
            assert watching.look()
            assert f"step {step:,} of {STEPS}" in text_of(watching)
            assert told(watching) == diagnosed(run.folder), "at every moment"
            seen.append({each["kind"] for each in told(watching)} & {"spike", "divergence"})
        assert not watching.look(), "nothing has changed"
        assert not watching.is_over
        assert "First and newest stories" in text_of(watching)
        assert "left, until" in text_of(watching)
        run.finish()
    assert watching.look()
    assert seen[:2] == [set()] * 2 and seen[-1], "the episode appears when it has begun"
    assert "news-0" in text_of(watching)
    assert told(watching) == diagnosed(run.folder) == diagnosed(run.whole)
    assert "This run is finished" in text_of(watching)
    assert watching.is_over


def test_only_what_has_changed_is_read_and_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_ladder(tmp_path / "ladder", seeds=1, scale=0.01, ladder=TWO_PHASES)
    reads = []
    read_again = study_ladder.read_run
    monkeypatch.setattr(study_ladder, "read_run", lambda path: reads.append(path) or read_again(path))
    watching = watcher(tmp_path / "ladder")
    watching.look()
    assert len(reads) == 2
    before = watching.parts
    changed = reads[0]
    reads.clear()
    with open(changed / "metrics.jsonl", "a") as file:
        file.write("\n")
    watching.look()
    assert reads == [changed]
    assert before is not None and watching.parts is not None
    assert watching.parts.specs == before.specs


def test_killed_then_resumed_from_a_checkpoint(tmp_path: Path) -> None:
    run = GrowingRun(tmp_path / "run")
    watching = watcher(run.folder)
    with run.alive():
        run.reach(200)
        watching.look()
        assert "was interrupted" not in text_of(watching)
    watching.look()  # nothing was written: its process is gone
    assert "This run is interrupted" in text_of(watching)
    assert "was interrupted at step 200" in text_of(watching), "as news"
    assert told(watching) == diagnosed(run.folder)
    with run.alive():
        run.reach(100)  # cut back
        watching.look()
        assert "step 100 of 400" in text_of(watching)
        assert "This run is" not in text_of(watching)
        run.reach(300)
        watching.look()
        assert "step 300 of 400" in text_of(watching)
        run.finish()
    watching.look()
    assert told(watching) == diagnosed(run.whole)


def test_a_last_line_that_is_half_written(tmp_path: Path) -> None:
    run = GrowingRun(tmp_path / "run")
    watching = watcher(run.folder)
    with run.alive():
        run.reach(120)
        with open(run.folder / "metrics.jsonl", "a") as file:
            file.write('{"kind": "train", "step": 121, "lo')
        watching.look()
        assert "step 120 of 400" in text_of(watching)
        assert "damaged" not in text_of(watching)


def test_a_damaged_record_is_told_and_what_was_read_stays(tmp_path: Path) -> None:
    run = GrowingRun(tmp_path / "run")
    watching = watcher(run.folder)
    with run.alive():
        run.reach(120)
        watching.look()
        whole = (run.folder / "metrics.jsonl").read_text()
        (run.folder / "metrics.jsonl").write_text(whole[:5000] + "\0\0rubbish\n" + whole[5000:])
        watching.look()
        assert "not valid JSON" in text_of(watching) and "below is what was read at" in text_of(watching)
        assert "figure-basic-packed-train" in text_of(watching) or "Validation loss" in text_of(watching)
        (run.folder / "metrics.jsonl").write_text(whole)
        watching.look()
        assert "not valid JSON" not in text_of(watching)


def test_a_damaged_judgement_is_told_too(tmp_path: Path) -> None:
    run = GrowingRun(tmp_path / "run")
    run.finish()
    watching = watcher(run.folder)
    watching.look()
    readings = counted(watching)
    (run.folder / "judgements.jsonl").write_text("rubbish\nrubbish\n")
    watching.look()
    assert len(readings) == 1, "it is part of the record"
    assert "judgements.jsonl" in text_of(watching) and "below is what was read at" in text_of(watching)
    assert watching.parts is not None and watching.parts.curves and "This run is finished" in text_of(watching)
    (run.folder / "judgements.jsonl").unlink()
    watching.look()
    assert "judgements.jsonl" not in text_of(watching)


@pytest.mark.parametrize("damaged", [False, True])
def test_it_is_over_when_nobody_writes_and_the_end_was_read(damaged: bool, tmp_path: Path) -> None:
    run = GrowingRun(tmp_path / "run")
    watching = watcher(run.folder)
    with run.alive():
        run.reach(120)
        watching.look()
    assert watching.is_left and not watching.is_over
    if damaged:
        (run.folder / "run.json").write_text("{")
        assert not watching.is_over
    watching.look()
    assert watching.is_over
    shutil.rmtree(run.folder)
    watching.look()
    assert watching.is_over


def test_a_writer_who_came_while_it_was_read_and_left_before_the_next_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = GrowingRun(tmp_path / "run")
    run.reach(120)
    watching, read = watcher(run.folder), study_ladder.read_run
    with ExitStack() as life, monkeypatch.context() as during:

        def read_beside_a_writer(folder: Path) -> Any:
            life.enter_context(run.alive())
            return read(folder)

        during.setattr(study_ladder, "read_run", read_beside_a_writer)
        watching.look()
        assert not watching.is_over
    watching.look()
    assert watching.is_over


LOGS = {
    "csv": ("log.csv", "step,loss,lr\n", lambda step: f"{step},{5 / (1 + step / 20):.4f},0.001\n"),
    "jsonl": ("log.jsonl", "", lambda step: json.dumps({"step": step, "loss": 5 / (1 + step / 20)}) + "\n"),
    "printed": ("train.log", "hello\n", lambda step: f"step {step}/400 | loss {5 / (1 + step / 20):.4f} | lr 1e-3\n"),
    "bars": ("train.log", "", lambda step: f"step {step}/400 | loss {5 / (1 + step / 20):.4f}\r"),
}


@pytest.mark.parametrize("kind", LOGS)
def test_a_log_that_is_appended_by_hand(kind: str, tmp_path: Path) -> None:
    name, header, line = LOGS[kind]
    path = tmp_path / name
    path.touch()
    watching = watcher(path)
    watching.look()
    assert "is empty" in text_of(watching) and "tried again" in text_of(watching)
    path.write_text(header + "".join(line(step) for step in range(1, 101)))
    watching.look()
    assert "step 100" in text_of(watching) and "is empty" not in text_of(watching)
    with open(path, "a") as file:
        file.write("".join(line(step) for step in range(101, 161)))
        file.write(half := line(161)[:-4])
    watching.look()
    assert "step 160" in text_of(watching)
    with open(path, "a") as file:
        file.write(line(161)[len(half) :])
    watching.look()
    assert "step 161" in text_of(watching)
    runs, _ = read_sources(path)
    assert told(watching) == [finding.as_json() for finding in diagnose(runs[0]).findings]


def test_a_half_line_is_no_finding(tmp_path: Path) -> None:
    """`160,` is no loss that is not a number, but half a line; once nobody writes any more, it is what it says."""
    path = tmp_path / "log.csv"
    path.write_text("step,loss\n" + "".join(f"{step},{5 / step**0.5:.3f}\n" for step in range(1, 160)) + "160,")
    watching = watcher(path)
    watching.look()
    assert not [each for each in told(watching) if each["kind"] == "non_finite"]
    os.utime(path, (time.time() - 60,) * 2)
    watching.look()
    runs, _ = read_sources(path)
    assert told(watching) == [finding.as_json() for finding in diagnose(runs[0]).findings]


def test_a_log_is_replaced_cut_removed_and_there_again(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    line = LOGS["csv"][2]
    text = "step,loss,lr\n" + "".join(line(step) for step in range(1, 201))
    path.write_text(text)
    watching = watcher(path)
    watching.look()
    assert "step 200" in text_of(watching)
    path.rename(tmp_path / "log.csv.1")
    path.write_text("".join(text.splitlines(keepends=True)[:31]))
    watching.look()
    assert "step 30" in text_of(watching)
    path.unlink()
    watching.look()
    assert "does not exist" in text_of(watching) and "below is what was read" in text_of(watching)
    assert "step 30" in text_of(watching) and "nothing written" not in text_of(watching)
    path.write_text("step,loss,lr\n")
    watching.look()
    assert "nothing was logged" in text_of(watching)
    path.write_text(text)
    watching.look()
    assert "step 200" in text_of(watching) and "nothing was logged" not in text_of(watching)
    with open(path, "r+") as file:
        file.truncate(len(text) // 2)  # in the midst of a line
    os.utime(path, (time.time() - 60,) * 2)
    watching.look()
    assert told(watching) == [finding.as_json() for finding in diagnose(read_sources(path)[0][0]).findings]


def test_what_a_log_does_not_say_is_said_as_for_diagnose(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("gradus,damnum\n" + "".join(f"{step},{9.1 + 5 / step:.3f}\n" for step in range(1, 160)))
    flags = Flags(vocabulary=8192, from_scratch=True, columns={"step": "gradus", "loss": "damnum"})
    watching = watcher(path, flags=flags)
    watching.look()
    runs, _ = read_sources(path, flags.columns)
    assert told(watching) == [finding.as_json() for finding in diagnose(runs[0], flags).findings]


def test_a_ladder_fills_up_and_gives_verdicts_when_it_may(tmp_path: Path) -> None:
    whole = write_ladder(tmp_path / "whole", seeds=2, scale=0.01, ladder=TWO_PHASES)
    ladder = tmp_path / "ladder"
    ladder.mkdir()
    shutil.copy(whole / "ladder.json", ladder)
    watching = watcher(ladder)
    watching.look()
    assert "0 of 4 runs ended" in text_of(watching)
    runs = sorted(path.parent.relative_to(whole) for path in whole.rglob("run.json"))
    by_seed = sorted(runs, key=lambda path: path.name)
    for number, run in enumerate(by_seed, start=1):
        (ladder / run).parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(whole / run, ladder / run)
        if number in (2, 4):
            watching.look()
            assert f"{number} of 4 runs ended" in text_of(watching)
            effects = [effect for tier in watching._ladder.tiers for effect in tier.effects]
            may = [each for each in effects if each.verdict != "no verdict"]
            assert bool(may) == (number == 4), "with one seed there is none"
    (ladder / by_seed[0] / "metrics.jsonl").write_text("rubbish\n\n")
    shutil.rmtree(ladder / by_seed[1])
    watching.look()
    assert "2 of 4 runs ended, 1 cannot be read, 1 not there yet" in text_of(watching)


def test_of_several_logs_one_may_be_missing(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text("step,loss\n" + "".join(f"{step},{5 / step:.3f}\n" for step in range(1, 60)))
    bad.write_text("")
    watching = watcher(good, bad)
    watching.look()
    assert "bad.csv is empty" in text_of(watching) and "step 59" in text_of(watching)
    bad.write_text(good.read_text())
    watching.look()
    assert "is empty" not in text_of(watching) and len(watching.found) == 2
    assert "ended" not in watching.parts.html["now"], "of logs nobody knows"


def test_what_was_there_before_anything_could_be_read_is_no_news(tmp_path: Path) -> None:
    """A log that is still empty at the first look, and has a spike when it can be read."""
    log = tmp_path / "log.csv"
    log.write_text("")
    watching = watcher(log)
    watching.look()
    losses = [*(2 + 8 / step for step in range(1, 300)), 9.0, 9.0, 9.0, *[2.0] * 100]
    log.write_text("step,loss\n" + "".join(f"{step},{loss:.4f}\n" for step, loss in enumerate(losses, 1)))
    watching.look()
    assert "spike" in {finding["kind"] for finding in told(watching)}
    assert watching._news == [], "it is on the page, and nothing that just happened"


def test_nothing_that_can_be_read_at_all(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(bytes(range(256)) * 40)
    watching = watcher(path)
    watching.look()
    assert "binary file" in text_of(watching)


def test_reading_is_seldom_where_it_is_dear(tmp_path: Path) -> None:
    assert pause_after(0.0) == PULSE_SECONDS
    assert pause_after(0.1) == pytest.approx(20.0), "half a hundredth of one processor"
    assert pause_after(1e9) == 600.0
    run = GrowingRun(tmp_path / "run")
    watching = Watcher([run.folder], pause=lambda cost: 1000.0)
    readings = counted(watching)
    with run.alive():
        for step in (60, 120, 180, 240):
            run.reach(step)
            watching._due = 0.0 if step < 180 else watching._due
            watching.look()
            assert f"step {step} of 400" in text_of(watching), "how far it is, is told at every look"
    assert len(readings) == 2


def test_a_writer_that_is_gone_is_told_at_once_however_seldom_it_is_read(tmp_path: Path) -> None:
    run = GrowingRun(tmp_path / "run")
    watching = Watcher([run.folder], pause=lambda cost: 1000.0)
    readings = counted(watching)
    for end in (60, 120):
        with run.alive():
            run.reach(end)
            watching.look()
            assert "This run is interrupted" not in text_of(watching)
            run.reach(end + 1)
            watching.look()
        watching.look()
        assert "This run is interrupted" in text_of(watching)
        watching.look()
    assert len(readings) == 4, "at its beginning, its end, and again both"


def test_what_cannot_be_read_is_tried_seldom_where_that_is_dear(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = count(step=7.0)
    monkeypatch.setattr("fabula.watch.watcher.time.thread_time", lambda: next(seconds))
    log = tmp_path / "log.csv"
    log.touch()
    costs: list[float] = []
    watching = Watcher([log], pause=lambda cost: costs.append(cost) or 0.0)
    for _ in range(2):
        watching.look()
        log.write_text(log.read_text() + "nothing,to,read\n")
    assert costs == [FIRST_COST, 7.0], "the first look loads what reads, whatever there is"
    log.write_text("step,loss\n" + "".join(f"{step},{5 / step:.3f}\n" for step in range(1, 60)))
    watching.look()
    assert costs[2:] == [FIRST_COST], "the first that is read loads what draws"
    log.write_text(log.read_text() + "60,0.08\n")
    watching.look()
    assert costs[3] == 7.0


def test_the_pace_of_a_log_is_seen_from_outside() -> None:
    times = iter([0.0, 1.0, 10.0, 20.0, 30.0, 400.0])
    watch = Stopwatch(lambda: next(times))
    assert watch.seconds_per_step is None
    for step in (100, 100, 150, 200):
        watch.saw(step)
    assert watch.seconds_per_step == pytest.approx(0.2)
    watch.saw(10)  # begun anew
    assert watch.seconds_per_step is None
    watch.saw(20)
    assert watch.seconds_per_step == pytest.approx(37.0)


def test_a_run_that_was_named_and_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        study_ladder.read_ladder([tmp_path / "nothing"])
