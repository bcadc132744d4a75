"""Ray: one task a run. A task that dies is taken up again by the loop that shares out, which sees how far it came, and
not by Ray, which would try for ever or give up by a number."""

import logging
import os
import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fabula.data.dataset import open_dataset
from fabula.errors import InputError
from fabula.ladder.fleet.needs import Needs, needs_of
from fabula.ladder.fleet.place import Place
from fabula.ladder.fleet.sharing import Left
from fabula.ladder.fleet.work import Outcome, Task, Worker, work
from fabula.recipe.ladder import PlannedRun
from fabula.record.lock import writer_of
from fabula.record.machine import num_cores
from fabula.record.wording import plural

ANSWER_SECONDS = 10.0
HEADROOM = 0.9
"""Of a node's memory, that one run may need."""


def make_run(task: Task) -> Outcome:
    return work(task, Worker(task.out))


class RayEngine:
    def __init__(self, ray: Any, data: Path, out: Path, threads: int, gpus: int, at_once: int | None) -> None:
        self._ray, self._data, self._out = ray, data.resolve(), out.resolve()
        self._threads, self._gpus, self._at_once = threads, gpus, at_once
        self._waiting: deque[PlannedRun] = deque()
        self._at_work: dict[Any, PlannedRun] = {}
        self._words: dict[str, int] = {}

    def submit(self, runs: Sequence[PlannedRun]) -> None:
        self._waiting.extend(runs)
        self._fill()

    def left(self, seconds: float) -> list[Left]:
        done, _ = self._ray.wait(list(self._at_work), num_returns=1, timeout=seconds) if self._at_work else ([], [])
        found = [self._left(self._at_work.pop(each), each) for each in done]
        self._fill()
        return found

    def counts(self) -> tuple[int, int]:
        # A task that was handed over may wait for a free core; what is being made is what is being written.
        at_work = sum(writer_of(self._out / run.folder) is not None for run in self._at_work.values())
        return at_work, len(self._at_work) + len(self._waiting) - at_work

    def goes_on_alone(self) -> str:
        return ""  # Ray ends the tasks of a command that has ended

    def _fill(self) -> None:
        while self._waiting and (self._at_once is None or len(self._at_work) < self._at_once):
            run = self._waiting.popleft()
            needs = self._needs(run)
            task = self._ray.remote(make_run).options(
                name=str(run.folder),
                num_cpus=needs.threads,
                num_gpus=self._gpus,
                memory=needs.memory,
                max_retries=0,
                scheduling_strategy="SPREAD",
            )
            self._at_work[task.remote(Task(run, self._data, self._out, self._threads))] = run

    def _left(self, run: PlannedRun, reference: Any) -> Left:
        errors = self._ray.exceptions
        try:
            outcome: Outcome = self._ray.get(reference)
        except errors.RayTaskError:  # an exception in our own code
            raise
        except errors.RayError as error:
            return Left(run, why=f"{type(error).__name__} of ray")
        return Left(run, wrong=outcome.wrong)

    def _needs(self, run: PlannedRun) -> Needs:
        name = run.recipe.tokenizer
        if name not in self._words:
            self._words[name] = open_dataset(self._data, name).tokenizer.vocabulary
        return needs_of(run.recipe, self._words[name], self._threads)

    def check(self, planned: Sequence[PlannedRun], nodes: Sequence[dict[str, Any]]) -> None:
        """Raises InputError where a run fits no node: Ray would wait for one for ever."""
        for run in {each.recipe.name: each for each in planned}.values():
            needs = self._needs(run)
            wanted = {"CPU": needs.threads, "memory": needs.memory / HEADROOM, "GPU": self._gpus}
            if not any(all(each.get(name, 0) >= value for name, value in wanted.items()) for each in nodes):
                raise InputError(
                    f"{run.recipe.name} needs {plural(needs.threads, 'core')} and {needs.memory / 1e9:.1f} GB, which "
                    f"no node of this Ray cluster has; give fewer --threads, or add a larger node"
                )


@contextmanager
def ray_engine(
    place: Place,
    planned: Sequence[PlannedRun],
    data: Path,
    out: Path,
    threads: int | None,
    at_once: int | None,
    notice: Callable[[str], None],
) -> Iterator[RayEngine]:
    """Raises InputError where the cluster cannot be reached, or no node has what a run needs."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # ray tells its makers of each start otherwise
    import ray  # a second, and 200 MB: only where it is asked for

    new: dict[str, Any] = {} if place.address else {"num_cpus": num_cores(), "include_dashboard": False}
    try:
        ray.init(address=place.address or "local", log_to_driver=False, logging_level=logging.CRITICAL, **new)
    except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
        raise InputError(f"--on ray:{place.address}: no Ray cluster answers there ({_first_line(error)})") from error
    try:
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
        cores = int(min((node["CPU"] for node in nodes), default=1))
        sharing = at_once if at_once and not place.address else 1
        each = threads or max(1, cores // sharing)
        gpus = int(any(node.get("GPU") for node in nodes))
        engine = RayEngine(ray, data, out, each, gpus, at_once)
        engine.check(planned, nodes)
        notice(
            f"ray: {plural(len(nodes), 'node')}, {plural(each, 'thread')}{' and a GPU' if gpus else ''} for each run "
            f"({'--threads says so' if threads else 'what the smallest node has'})"
        )
        yield engine
    finally:
        ray.shutdown()


def check_answers(address: str) -> None:
    """Raises InputError where nobody does. Ray itself asks such an address for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdigit():  # `auto`: where the last one of this machine is, Ray finds out
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise InputError(f"--on ray:{address}: no Ray cluster answers there ({error})") from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
