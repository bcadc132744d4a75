"""A run folder from anybody's training loop: lines as they come, readable whenever the process ends."""

import atexit
import datetime
import math
import os
import platform
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from weakref import WeakValueDictionary

import numpy as np

import fabula
from fabula.errors import InputError
from fabula.record.content.shape import RUN, misfit
from fabula.record.files import write_json
from fabula.record.lock import only_writer
from fabula.record.loop.fields import Fields, count, meaning, plain
from fabula.record.loop.processes import is_first_process
from fabula.record.loop.resuming import ends_of, place_of, stored_info
from fabula.record.loop.scalars import Late
from fabula.record.machine import machine, machines_with
from fabula.record.writer import RunWriter

FORM = "fabula.Record"
"""In run.json, as the form of the log: the rules then take a value that a line lacks for missing."""
MOST_WAITING = 1_000
"""Lines whose numbers a device still computes. Beyond, the oldest is waited for: the loop is that far ahead of it."""
MOST_UNTOLD = 2
"""The same where the device cannot be asked (Apple's, XLA's, TensorFlow's): an update that is two back is most often
there, and a record that is read while it grows is no later than that."""
LIBRARIES = ("torch", "transformers", "lightning", "keras", "jax", "tensorflow")
_open: WeakValueDictionary[Path, "Recorder"] = WeakValueDictionary()
"""Of this process, by their folders."""
Scalar = Any
"""A number, or a tensor with one number in it."""


class Recorder:
    """Writes a run folder (docs/run-folder.md) from any loop; what was not said stays unknown.

    `clip`, `vocabulary`, `accumulation`, `from_scratch` and `steps` (planned) say what the lines cannot, `settings` is
    the configuration, kept as it is. With `resume` a run that is there goes on; what it holds from the first step on
    that is written now, is set aside. Of several processes of one training the first one writes, or that which says
    so (`is_writer`).

    Raises InputError for a folder that holds something else, or is written by another process.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        clip: float | None = None,
        vocabulary: int | None = None,
        accumulation: int | None = None,
        from_scratch: bool | None = None,
        steps: int | None = None,
        seed: int | None = None,
        name: str | None = None,
        settings: Mapping[str, Any] | None = None,
        resume: bool = False,
        is_writer: bool | None = None,
    ) -> None:
        self.folder = Path(folder).expanduser()
        self.writes = is_first_process() if is_writer is None else is_writer
        self.last_step = 0
        self.num_lines, self.num_evaluations = 0, 0
        self.saw_non_finite = False
        self._waiting: deque[tuple[str, dict[str, Any]]] = deque()
        self._fields = Fields()
        self._writer: RunWriter | None = None
        self._guard, self._process = threading.RLock(), os.getpid()
        self._held = ExitStack()
        self._clock = time.perf_counter
        self._seconds, self._evaluating = 0.0, 0.0
        self._tokens: float | None = None
        self._closed = not self.writes
        if self._closed:
            return
        said = {"clip": clip, "vocabulary": vocabulary, "accumulation": accumulation, "from_scratch": from_scratch,
                "steps": steps, "seed": seed, "name": name}  # fmt: skip
        self._info: dict[str, Any] = {each: value for each, value in said.items() if value is not None}
        if settings is not None:
            self._info["settings"] = plain(settings)
        _refuse(self._info)
        if resume and (earlier := _open.get(self.folder.resolve())) is not None:
            earlier.close("interrupted")  # a cell of a notebook that is run again
        self._held.enter_context(only_writer(self.folder))
        try:
            self._begin(resume)
        except BaseException:
            self._held.close()
            raise
        self._started = self._since = self._clock()
        _open[self.folder.resolve()] = self
        atexit.register(self._flush, True)

    @property
    def planned_steps(self) -> int | None:
        """As they were said; None where they were not."""
        steps = self._info.get("steps") if self.writes else None
        return steps if isinstance(steps, int) else None

    def _begin(self, resume: bool) -> None:
        stored = stored_info(self.folder, FORM) if resume else None
        if stored is None:
            if self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
                raise InputError(
                    f"{self.folder} already exists and is not empty; choose another folder, or go on with resume=True"
                )
            started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
            about = {"started": started, "versions": _versions(), "machines": [machine()]}
            info = {"format": 1, "status": "running", "log_format": FORM, **self._info, **about}
            self._writer = RunWriter.begin(self.folder, info)
            return
        for each in ("error", "record_hashes"):
            stored.pop(each, None)
        stored |= {**self._info, "versions": _versions(), "status": "running"}
        stored["machines"] = machines_with(stored.get("machines"), machine())
        self._info = stored  # its lines are cut where the first new one says, and counted then
        write_json(self.folder / "run.json", stored)

    def train(
        self,
        step: int,
        loss: Scalar = None,
        *,
        grad_norm: Scalar = None,
        learning_rate: Scalar = None,
        tokens: Scalar = None,
        **others: Scalar,
    ) -> None:
        """The update from step - 1 to `step`: the loss of its batch in nats per token, the norm of the gradient before
        clipping, and the tokens so far. `others`: any numbers; names of other loops are understood (`lr`)."""
        if self._closed:
            return
        held_out = {name: others.pop(name) for name in list(others) if meaning(name, "train") == "val_loss"}
        given = {"loss": loss, "grad_norm": grad_norm, "learning_rate": learning_rate, "tokens": tokens, **others}
        with self._guard:
            self._add("train", step, given)
        if held_out:  # loops with one call for all that they log
            self.evaluate(step, **held_out)

    def evaluate(
        self, step: int, val_loss: Scalar = None, *, train_loss: Scalar = None, tokens: Scalar = None, **others: Scalar
    ) -> None:
        """What was measured after update `step` (0: before the first): the loss on stories that are held out, and by
        the same rule on a fixed sample of training stories."""
        if self._closed:
            return
        with self._guard:
            self._add("eval", step, {"val_loss": val_loss, "train_loss": train_loss, "tokens": tokens, **others})
            self.num_evaluations += 1

    def sample(self, step: int, prompt: str, completion: str, **others: Any) -> None:
        """What the model says after `prompt`."""
        if not self._closed:
            with self._guard:
                self._put("samples", "sample", step, {"prompt": str(prompt), "completion": str(completion), **others})

    def event(self, step: int, event: str, **others: Any) -> None:
        """What happened at `step`: `batch_skipped`, `rolled_back` (with `to_step`: later steps are made again), or a
        word of your own."""
        if self._closed:
            return
        with self._guard:
            self._put("metrics", "event", step, {"event": str(event), **others})
            if event == "rolled_back" and others.get("to_step") is not None:
                self._flush(wait=True)
                assert self._writer is not None, "it has just written"
                self._writer.attempt += 1
                self.last_step = ends_of(self.folder)[1].last_step

    def about(self, **fields: Any) -> None:
        """What else is known of the run: fields of run.json, such as `device` or `parameters={"total": 1_000_000}`.

        Raises InputError for one of another type than the format says.
        """
        if self._closed:
            return
        with self._guard:
            fields = {name: plain(value) for name, value in fields.items()}
            _refuse(fields)
            self._info |= fields
            if self._writer is not None:
                self._writer.set_info(**fields)
            else:
                write_json(self.folder / "run.json", self._info)

    def close(self, status: str = "finished", error: str | None = None) -> None:
        """End the run as "finished", "interrupted" or "failed". The `with` block does it."""
        if self._closed:
            return
        with self._guard:
            atexit.unregister(self._flush)
            self._flush(wait=True)
            writer = self._writer or self._resumed(None, 0)
            self._closed = True
            timings = {"total_seconds": self._before("total_seconds") + self._clock() - self._started,
                       "training_seconds": self._seconds,
                       "evaluation_seconds": self._before("evaluation_seconds") + self._evaluating}  # fmt: skip
            ended = {"error": error} if error else {}
            try:
                writer.close(
                    status, steps_done=self.last_step, record_hashes=writer.digests(), timings=timings, **ended
                )
            finally:
                self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.close("interrupted" if issubclass(kind, KeyboardInterrupt) else "failed", repr(error))

    @contextmanager
    def _beside_the_training(self) -> Iterator[None]:
        """Time that counts neither as training nor as evaluation."""
        before = self._clock()
        try:
            yield
        finally:
            self._since += self._clock() - before

    def _add(self, kind: str, step: int, given: dict[str, Scalar]) -> None:
        """A line of numbers, with the times that nobody said."""
        now = self._clock()
        passed, spent = now - self._since, {}
        line = self._line(kind, step, given)  # which may be refused; its time is then the next one's
        self._since += passed
        if kind == "eval" and self.num_lines and step == self.last_step:
            self._evaluating += passed  # the update's line was written, so the time since is the evaluation's
            spent["evaluation_seconds"] = passed
            passed = 0.0
        self._seconds += passed
        tokens = line.get("tokens")
        if kind == "train" and isinstance(tokens, (int, float)):
            if self._tokens is not None and passed > 0.0 and tokens > self._tokens:
                spent["tokens_per_second"] = (tokens - self._tokens) / passed
            self._tokens = tokens
        elif tokens is None and self._tokens is not None:
            line["tokens"] = self._tokens
        self.last_step = max(self.last_step, line["step"])
        for name, value in {"seconds": self._seconds, **spent}.items():
            line.setdefault(name, value)
        self._wait_in_line("metrics", line)

    def _put(self, stream: str, kind: str, step: int, given: Mapping[str, Any]) -> None:
        self._wait_in_line(stream, self._line(kind, step, given))

    def _line(self, kind: str, step: int, given: Mapping[str, Any]) -> dict[str, Any]:
        """The first one says where a record that goes on is cut."""
        at = count("step", step)
        if self._writer is None:
            self._writer = self._resumed(kind, at)
        return self._fields.of(kind, at, given)

    def _wait_in_line(self, stream: str, line: dict[str, Any]) -> None:
        """Behind those that still wait for a number."""
        self._waiting.append((stream, line))
        self._flush(wait=False)

    def _flush(self, wait: bool) -> None:
        while self._waiting and os.getpid() == self._process:  # a fork ends with a copy of what waits here
            stream, line = self._waiting[0]
            late = [(name, value) for name, value in line.items() if isinstance(value, Late)]
            if not (wait or self._is_due([value for _, value in late])):
                return
            self._waiting.popleft()
            for name, value in late:
                line[name] = value.read()
            loss = line.get("loss", line.get("val_loss"))
            self.saw_non_finite |= isinstance(loss, float) and not math.isfinite(loss)
            self.num_lines += 1
            assert self._writer is not None, "opened by the first line"
            self._writer.append(stream, line)

    def _is_due(self, late: list[Late]) -> bool:
        """Whether the oldest line is written now, whose numbers these are."""
        if any(value.ready is None for value in late):
            return len(self._waiting) > MOST_UNTOLD
        return len(self._waiting) > MOST_WAITING or all(value.ready() for value in late if value.ready)

    def _resumed(self, kind: str | None, step: int) -> RunWriter:
        """The record of before, cut back to what precedes the first new line."""
        offsets, kept = place_of(self.folder, kind, step) if kind else ends_of(self.folder)
        writer = RunWriter.resume(self.folder, self._info, offsets, kept.last_step)
        writer.attempt = kept.attempt
        self.last_step, self._seconds = kept.last_step, self._seconds + kept.seconds
        self.num_lines, self.num_evaluations = kept.num_lines, self.num_evaluations + kept.num_evaluations
        self._fields.are_texts |= kept.are_texts
        if kind:
            writer.event(kept.last_step, "resumed")
        return writer

    def _before(self, name: str) -> float:
        """What an earlier session of this run took."""
        value = (self._info.get("timings") or {}).get(name)
        return float(value) if isinstance(value, (int, float)) else 0.0


def _refuse(info: dict[str, Any]) -> None:
    least = {"clip": 0.0, "vocabulary": 2, "accumulation": 1, "steps": 1, "seed": 0}
    for name, lowest in least.items():
        value = info.get(name, lowest)
        if isinstance(value, np.generic):
            value = info[name] = value.item()
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= lowest:
            raise InputError(f"{name}={value!r}: give a number from {lowest:g} on, or leave it out")
    if wrong := misfit(info, RUN):
        raise InputError(f"{wrong}; give it so, or leave it out")


def _versions() -> dict[str, str]:
    """Of what is loaded already: nothing is imported for it."""
    there = {each: str(getattr(sys.modules.get(each), "__version__", "")) for each in LIBRARIES}
    return {
        "fabula": fabula.__version__,
        **{name: version for name, version in there.items() if version},
        "numpy": np.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
