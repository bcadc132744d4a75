"""Following a run, or a ladder's runs, and telling a tracker what is new in their records."""

import importlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from fabula.errors import InputError
from fabula.exchange.trackers import told
from fabula.exchange.trackers.sent import Places, Sent, Tail, keep, read_sent, unsent
from fabula.record.lock import Busy, only_writer, writer_of
from fabula.record.reader import find_runs, is_run, read_info, read_recipe_toml

POLL_SECONDS = 2.0
"""Between two looks at the record: a tracker's page is looked at by people."""
ENDS = ("finished", "failed", "interrupted")
Findings = Callable[[Path], list[dict[str, Any]]]
"""What there is to be said of the run in a folder, as JSON; given by the roof, for this wing reads no runs."""


@dataclass(frozen=True)
class Described:
    """A run as a tracker lists it."""

    folder: Path
    name: str
    group: str | None
    """The ladder that it belongs to."""
    configuration: Mapping[str, Any]


class Client(Protocol):
    """One run in one tracker; each `to_NAME.py` has one, made by `begin(described, id)`: `id` is that of an earlier
    time, of which the new lines go on."""

    id: str

    def scalars(self, step: int, values: Mapping[str, float]) -> None: ...
    def text(self, step: int, name: str, text: str) -> None: ...
    def alert(self, finding: Mapping[str, Any]) -> None: ...
    def findings(self, text: str, verdict: Mapping[str, str]) -> None:
        """All that is found at the end; `verdict`: kind -> severity."""

    def rewind(self, step: int) -> None:
        """What was told of later steps does not hold any more."""

    def flush(self) -> None: ...
    def close(self, status: str) -> None:
        """All is sent when this returns. `status`: one of ENDS, or "running" for a run that is made on."""


class Following:
    """One run on its way into one tracker."""

    def __init__(self, run: Described, tracker: str) -> None:
        self.run, self.tracker = run, tracker
        self.sent: Sent = read_sent(run.folder, tracker)
        self.client: Client | None = None
        self._from_the_beginning()
        self.attempt = self.sent.last.get("train", (0, 1))[1]

    def _from_the_beginning(self) -> None:
        self.places = Places()
        self.prompts = told.Prompts()
        self.events: dict[int, list[str]] = {}
        self.metrics, self.samples = (Tail(self.run.folder / f"{name}.jsonl") for name in ("metrics", "samples"))

    def send(self, findings: Findings) -> None:
        """Tell what is new. Raises InputError where the record is damaged."""
        if self.metrics.is_cut() or self.samples.is_cut():  # the run was resumed meanwhile
            self._from_the_beginning()
        status = str(read_info(self.run.folder).get("status"))  # before its lines: none comes after an end
        evaluated, fresh = False, False
        try:
            happened = set()
            for line in unsent("train", self._heard(self.metrics.new()), self.places, self.sent):
                self._line(line)
                evaluated, fresh = evaluated or line["kind"] == "eval", True
                if line["kind"] == "event":
                    happened.add(int(line["step"]))
            for step in sorted(happened):  # as one, for most trackers keep one text of a name and step
                self._open().text(step, "events", "\n\n".join(self.events[step]))
            for sample in unsent("sample", self._named(self.samples.new()), self.places, self.sent):
                self._open().text(int(sample.get("step") or 0), sample["name"], told.completion(sample))
                fresh = True
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{self.run.folder}: its record cannot be read on ({error!r}); it is damaged") from error
        ended = status in ENDS and (fresh or status != self.sent.status)
        if evaluated or ended:
            self._tell_findings(findings(self.run.folder), ended)
        if fresh or ended:
            client = self._open()
            client.flush()
            self.sent.id, self.sent.status = client.id, status
            if ended:
                self._close(status)  # before it counts as sent: some send only now, and may hang
            keep(self.run.folder, self.tracker, self.sent)

    def leave(self, made_on: bool) -> None:
        """Close what is open of a run that has no end in its record; `made_on`: somebody is making it still."""
        self._close("running" if made_on else "interrupted")

    def _close(self, status: str) -> None:
        if self.client is not None:
            self.client.close(status)
            self.client = None

    def _open(self) -> Client:
        if self.client is None:
            module = importlib.import_module(f"fabula.exchange.trackers.to_{self.tracker}")
            self.client = module.begin(self.run, self.sent.id)
        return self.client

    def _heard(self, lines: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Remember the events of each step, also those that were sent: they are told again beside a later one."""
        for line in lines:
            if line.get("kind") == "event":
                self.events.setdefault(int(line["step"]), []).append(told.event(line))
            yield line

    def _named(self, samples: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Each with its name, which depends on those before it, also on those that were sent."""
        for sample in samples:
            yield {**sample, "name": f"completions/{self.prompts.name(str(sample.get('prompt') or ''))}"}

    def _line(self, line: dict[str, Any]) -> None:
        client, step = self._open(), int(line["step"])
        if line["kind"] in told.SHORTER:
            attempt = int(line.get("attempt") or 1)
            if attempt != self.attempt:
                client.rewind(step - 1)
            self.attempt = attempt
            client.scalars(step, told.scalars(line))
        elif line.get("event") == "extended":
            client.rewind(step)

    def _tell_findings(self, found: list[dict[str, Any]], ended: bool) -> None:
        client = self._open()
        for each in found:
            if each["severity"] in ("warning", "failure") and each["kind"] not in self.sent.told:
                client.alert(each)
                self.sent.told.append(each["kind"])
        if ended:
            client.findings(told.findings(found), {each["kind"]: each["severity"] for each in found})


def follow(folder: Path, tracker: str, findings: Findings, until_it_ends: bool) -> int:
    """Tell `tracker` what is new in the run, or in all runs of the ladder, in `folder`: once, or until nobody writes
    there any more. Returns the number of runs.

    Raises InputError where there is no run, and while another process sends the same to the same tracker.
    """
    known: dict[Path, Following] = {}
    with _only_follower(folder, tracker):
        while True:
            ended = not until_it_ends or writer_of(folder) is None  # before the look, which then misses nothing
            for run in find_runs(folder):
                if run not in known:
                    known[run] = Following(describe(run, folder), tracker)
                known[run].send(findings)
            if ended:
                break
            time.sleep(POLL_SECONDS)
        for run, following in known.items():
            following.leave(made_on=writer_of(run) is not None)
    if not known:
        raise InputError(f"{folder} has no run in it; give the folder of a run or a ladder")
    return len(known)


@contextmanager
def _only_follower(folder: Path, tracker: str) -> Iterator[None]:
    with ExitStack() as held:
        try:  # beside the folder, which may not be there yet and has to be empty then
            held.enter_context(only_writer(folder.resolve().with_name(f"{folder.resolve().name}.{tracker}")))
        except Busy:
            message = f"another process sends {folder} to {tracker} already; wait until it has ended"
            raise InputError(message) from None
        yield


def describe(run: Path, given: Path) -> Described:
    """The run in the folder `run`, found in the folder `given`: in a ladder it is called by tier, phase and seed."""
    info = read_info(run)
    text = read_recipe_toml(run, info) if (run / "recipe.toml").is_file() else ""  # other programs' runs have none
    ladder = next((each for each in run.resolve().parents if (each / "ladder.json").is_file()), None)
    place = run.resolve().relative_to(ladder).parts if ladder else run.resolve().parts[-1:]
    name = "-".join(part for part in place if part != "runs")
    if ladder is None and given != run and not is_run(given):
        name = "-".join(run.resolve().relative_to(given.resolve()).parts)
    return Described(run, name, ladder.name if ladder else None, told.configuration(info, text))
