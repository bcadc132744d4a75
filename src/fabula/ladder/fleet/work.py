"""What is done where a run is made: this run, once, whoever else was asked for it as well."""

import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

import fabula
from fabula.data.dataset import open_dataset
from fabula.errors import InputError
from fabula.ladder.execute import carry_out_run
from fabula.ladder.fleet.wishes import Wishes, read_wishes
from fabula.ladder.folder import how_it_ended
from fabula.recipe.ladder import PlannedRun
from fabula.record.lock import Busy, only_writer
from fabula.train.observer import Observer

WAIT_SECONDS = 1.0
"""Between two looks at whether another process still writes this run, and between two looks at the wishes."""


@dataclass(frozen=True)
class Task:
    """One run to make. Paths are those of the folder that all machines reach."""

    run: PlannedRun
    data: Path
    out: Path
    threads: int
    version: str = fabula.__version__


@dataclass(frozen=True)
class Outcome:
    status: str = "interrupted"
    wrong: str = ""
    """What is wrong with what was asked or with the machine, in one line; nothing was made then."""

    def as_json(self) -> dict[str, str]:
        return asdict(self)


class Worker(Observer):
    """Tells nothing, and does what the one who shares out the work wishes, which stands in the ladder's folder."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._wishes = read_wishes(out)
        self._answered = self._wishes.checkpoints
        self._looked = time.monotonic()

    def _now(self) -> Wishes:
        if time.monotonic() - self._looked > WAIT_SECONDS:
            self._wishes, self._looked = read_wishes(self._out), time.monotonic()
        return self._wishes

    def stopping(self) -> bool:
        return self._now().stop

    def checkpoint_asked(self) -> bool:
        before, self._answered = self._answered, self._now().checkpoints
        return self._answered > before


def work(task: Task, observer: Observer) -> Outcome:
    """Make the run of `task`, or continue it, or find that it has ended. What is wrong is told, not raised: an
    exception would come out of an engine as a page of its own lines."""
    if task.version != fabula.__version__:
        return Outcome(wrong=f"fabula is {fabula.__version__} there, and {task.version} here; install the same version")
    torch.set_num_threads(task.threads)
    try:
        return Outcome(_make_once(task, observer))
    except InputError as error:
        return Outcome(wrong=str(error))
    except OSError as error:
        return Outcome(wrong=f"{error.filename or 'reading or writing failed'}: {error.strerror}")


def _make_once(task: Task, observer: Observer) -> str:
    """An engine may start a run again while the process that it believes dead still trains: that one is waited for."""
    folder = task.out / task.run.folder
    while not observer.stopping():
        with ExitStack() as held:
            try:
                held.enter_context(only_writer(folder))
            except Busy:
                time.sleep(WAIT_SECONDS)
                continue
            prepared = open_dataset(task.data, task.run.recipe.tokenizer)
            return how_it_ended(task.run, task.out, prepared) or carry_out_run(task.run, task.data, task.out, observer)
    return "interrupted"
