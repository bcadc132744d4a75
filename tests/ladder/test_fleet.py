"""Runs shared out to an engine: each made once, whatever dies; stopped, cancelled, wrong and dying ones."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import torch
from tests.ladder.test_ladder import planned
from tests.train.tiny import StopAfter, metrics, same_tensors, tensors

from fabula.errors import InputError
from fabula.ladder.execute import carry_out, carry_out_run
from fabula.ladder.fleet.needs import needs_of
from fabula.ladder.fleet.place import Place, place_of
from fabula.ladder.fleet.sharing import MOST_DEATHS, Left, share_out
from fabula.ladder.fleet.wishes import Wishes, read_wishes, wish
from fabula.ladder.fleet.work import Outcome, Task, Worker, work
from fabula.recipe.ladder import PlannedRun
from fabula.record.checkpoint import checkpoint_steps
from fabula.record.lock import only_writer
from fabula.record.reader import read_run
from fabula.train.observer import Observer

RUNS = [planned("first"), planned("second"), planned("first", seed=1)]
HOPELESS = planned("first", seed=9)
"""One that dies before its first checkpoint."""


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Sums of another number of threads end in other digits, and `work` sets the number for its whole process."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Here:
    """An engine of this process. `dies(run, time)`: whether what makes a run dies at this try, after one step."""

    def __init__(
        self, data: Path, out: Path, dies: Callable[[PlannedRun, int], bool] = lambda run, time: False
    ) -> None:
        self.data, self.out, self.dies = data, out, dies
        self.waiting: list[PlannedRun] = []
        self.tries: list[PlannedRun] = []
        self.cancelled: set[PlannedRun] = set()
        self.alone = ""

    def submit(self, runs: Sequence[PlannedRun]) -> None:
        self.waiting += runs

    def left(self, seconds: float) -> list[Left]:
        if not self.waiting:
            return []
        run = self.waiting.pop(0)
        self.tries.append(run)
        if run in self.cancelled:
            return [Left(run, cancelled=True)]
        if self.dies(run, self.tries.count(run)):
            if run != HOPELESS:
                carry_out_run(run, self.data, self.out, StopAfter(1))
            return [Left(run, why="its machine burnt")]
        outcome = work(Task(run, self.data, self.out, 1), Worker(self.out))
        return [Left(run, wrong=outcome.wrong)]

    def counts(self) -> tuple[int, int]:
        return 0, len(self.waiting)

    def goes_on_alone(self) -> str:
        return self.alone


class Told(Observer):
    def __init__(self, stop_after: int | None = None) -> None:
        self.said: list[str] = []
        self.stop_after = stop_after
        self.ended = 0

    def notice(self, text: str) -> None:
        self.said.append(text)

    def started(self, number: int, run: PlannedRun) -> None:
        self.ended = number

    def stopping(self) -> bool:
        return self.stop_after is not None and self.ended >= self.stop_after


def shared(engine: Here, observer: Told, runs: Sequence[PlannedRun] = RUNS) -> dict[PlannedRun, str]:
    return share_out(engine, runs, engine.data, engine.out, observer, observer.started, 0.0)


def test_runs_whose_makers_die_go_on_and_end_as_in_one_process(grammar_folder: Path, tmp_path: Path) -> None:
    engine, told = Here(grammar_folder, tmp_path / "out", lambda run, time: time == 1 and run.seed == 0), Told()
    assert shared(engine, told) == dict.fromkeys(RUNS, "finished")
    assert [engine.tries.count(run) for run in RUNS] == [2, 2, 1]
    assert f"{RUNS[0].folder}: its machine burnt; it is taken up again" in told.said
    carry_out(RUNS, grammar_folder, tmp_path / "serial", Observer(), lambda *_: None)
    for run in RUNS:
        one, other = tmp_path / "out" / run.folder, tmp_path / "serial" / run.folder
        assert metrics(one, events=False) == metrics(other, events=False)
        assert same_tensors(tensors(one), tensors(other))


def test_a_run_that_was_made_meanwhile_is_not_made_again(grammar_folder: Path, tmp_path: Path) -> None:
    def made_and_dead(run: PlannedRun, time: int) -> bool:
        carry_out_run(run, grammar_folder, tmp_path, Observer())
        return False

    assert set(shared(Here(grammar_folder, tmp_path, made_and_dead), Told(), RUNS[:1]).values()) == {"finished"}
    assert list(read_run(tmp_path / RUNS[0].folder).train["step"]) == [1, 2, 3]


def test_who_stops_has_the_rest_left_where_it_is(grammar_folder: Path, tmp_path: Path) -> None:
    engine = Here(grammar_folder, tmp_path)
    assert list(shared(engine, Told(stop_after=1)).values()) == ["finished", "interrupted", "interrupted"]
    assert not list(tmp_path.glob(".wishes*")), "a wish outlives nobody"
    assert list(shared(engine, Told()).values()) == ["finished"] * 3


def test_jobs_that_go_on_alone_are_left_and_told(grammar_folder: Path, tmp_path: Path) -> None:
    engine, told = Here(grammar_folder, tmp_path), Told(stop_after=1)
    engine.alone = "2 runs stay in the queue"
    assert list(shared(engine, told).values()) == ["finished", "interrupted", "interrupted"]
    assert engine.alone in told.said and not (tmp_path / ".wishes.json").exists()


def test_what_somebody_cancelled_is_not_made_again_now(grammar_folder: Path, tmp_path: Path) -> None:
    engine, told = Here(grammar_folder, tmp_path), Told()
    engine.cancelled = {RUNS[1]}
    assert list(shared(engine, told).values()) == ["finished", "interrupted", "finished"]
    assert f"{RUNS[1].folder} was cancelled; the same call makes it" in told.said


def test_a_run_that_kills_whatever_makes_it_is_one_line(grammar_folder: Path, tmp_path: Path) -> None:
    engine = Here(grammar_folder, tmp_path, lambda run, time: True)
    with pytest.raises(InputError, match=rf"its machine burnt, {MOST_DEATHS} times without a checkpoint more"):
        shared(engine, Told(), [HOPELESS])
    assert engine.tries == [HOPELESS] * MOST_DEATHS


def test_what_is_wrong_with_a_run_is_one_line_with_its_name(grammar_folder: Path, tmp_path: Path) -> None:
    wide = planned("first", model__vocabulary=7)
    with pytest.raises(InputError, match=r"runs/small/first/seed-0: the recipe's vocabulary \(7\) is smaller"):
        shared(Here(grammar_folder, tmp_path), Told(), [wide])
    other = Task(RUNS[0], grammar_folder, tmp_path, 1, version="0.0.0")
    assert "install the same version" in work(other, Observer()).wrong


def test_a_run_that_another_process_still_writes_is_waited_for(
    grammar_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / RUNS[0].folder
    script = (
        "import sys, time; from pathlib import Path; from fabula.record.lock import only_writer\n"
        "with only_writer(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE)
    assert other.stdout is not None and other.stdout.readline()
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        other.kill()
        other.wait()

    monkeypatch.setattr(
        "fabula.ladder.fleet.work.time.sleep", lambda seconds: wait(seconds) if seconds == 1.0 else None
    )
    assert work(Task(RUNS[0], grammar_folder, tmp_path, 1), Observer()) == Outcome("finished")
    assert waits == [1.0]


def test_wishes_reach_a_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fabula.ladder.fleet.work.WAIT_SECONDS", -1.0)
    worker = Worker(tmp_path)
    assert not worker.stopping() and not worker.checkpoint_asked()
    wish(tmp_path, Wishes(checkpoints=1))
    assert worker.checkpoint_asked() and not worker.checkpoint_asked() and not worker.stopping()
    wish(tmp_path, Wishes(stop=True, checkpoints=1))
    assert worker.stopping()
    (tmp_path / ".wishes.json").write_text("[")
    assert read_wishes(tmp_path) == Wishes()


def test_where_runs_are_made() -> None:
    assert place_of("ray") == Place("ray") and place_of("slurm") == Place("slurm")
    assert place_of("ray:10.0.0.1:6379") == Place("ray", "10.0.0.1:6379")
    assert place_of("ray:ray://head:10001") == Place("ray", "ray://head:10001")
    for wrong in ("", "ray:", "slurm:main", "kubernetes", "rays"):
        with pytest.raises(InputError, match=f'--on "{wrong}": give ray, ray:ADDRESS or slurm'):
            place_of(wrong)


def test_needs_grow_with_the_recipe() -> None:
    small, large = planned().recipe, planned(model__width=256, model__layers=8).recipe
    assert needs_of(small, 512, 2).threads == 2
    assert needs_of(large, 512, 2).memory > needs_of(small, 512, 2).memory + 4 * 8 * 12 * 256 * 256


def test_a_checkpoint_that_is_asked_for_is_made_by_all(grammar_folder: Path, tmp_path: Path) -> None:
    class Asks(Told):
        asked = False

        def checkpoint_asked(self) -> bool:
            first, self.asked = not self.asked, True
            return first

    class Looks(Here):
        def left(self, seconds: float) -> list[Left]:
            self.seen = read_wishes(self.out)
            return super().left(seconds)

    engine = Looks(grammar_folder, tmp_path)
    shared(engine, Asks(), RUNS[:2])
    assert engine.seen == Wishes(checkpoints=1)
    assert checkpoint_steps(tmp_path / RUNS[0].folder)
    with only_writer(tmp_path / RUNS[0].folder):
        pass  # nobody holds it
