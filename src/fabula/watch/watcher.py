"""Reads the records again whenever they have changed, and keeps the page that they make."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from fabula.errors import InputError
from fabula.findings import Flags
from fabula.findings.kinds import KINDS
from fabula.record.finding import Finding
from fabula.record.live.last_lines import last_objects
from fabula.record.live.stamp import OF_A_LADDER, Stamp, stamp_of
from fabula.record.lock import writer_of
from fabula.record.reader import is_run
from fabula.record.wording import plural
from fabula.report.document import make_document
from fabula.report.live.now import News, Now, first_and_newest, news_element, now_element
from fabula.report.live.parts import Parts, parts_of
from fabula.report.render.blocks import Document, Opening
from fabula.study.ladder import read_ladder
from fabula.study.live.memory import Memory
from fabula.study.live.progress import progress
from fabula.study.views import LadderView, RunView
from fabula.watch.novelty import Told, new_among
from fabula.watch.pace import FIRST_COST, Stopwatch, pause_after

MOST_ROWS = 12
"""Runs whose progress is shown; of a ladder as many are made at once."""
STILL_SHOWN_SECONDS = 3600.0
"""A log that was not written for so long is shown without how far it is, where there are several."""


@dataclass(frozen=True)
class Found:
    """What one whole reading found of one run."""

    view: RunView
    name: str
    findings: tuple[Finding, ...]
    ended: bool
    """Whether its record says that nothing more will come."""
    key: str = ""
    """Which of the runs of its path it is, whatever it is called beside others; empty for a run folder."""

    @property
    def last_step(self) -> int:
        return int(self.view.last.get("step", 0))


@dataclass
class Watcher:
    """The records at `paths`, and the page that they make. `look` is called again and again, from one thread."""

    paths: Sequence[Path]
    flags: Flags | None = None
    page: bool = True
    """Whether anybody will look at the page."""
    pause: Callable[[float], float] = pause_after
    """Seconds between two whole readings of runs that are being made, from the processor time of the last one."""
    parts: Parts | None = None
    """The whole page as it is now; replaced, never changed."""
    found: tuple[Found, ...] = ()
    """Of the last whole reading."""
    _memory: Memory = field(default_factory=Memory)
    _ladder: LadderView | None = None
    _whole: Parts | None = None
    """What the last whole reading made."""
    _problems: tuple[str, ...] = ()
    _is_unreadable: bool = False
    """Whether the last reading made nothing: then `found` and the page are of one before it."""
    _read_at: datetime | None = None
    _stamps: tuple[Stamp, ...] | None = None
    _due: float = 0.0
    _was_left: bool = False
    """Whether nobody wrote there at the last whole reading."""
    _told: list[Told] = field(default_factory=list)
    _news: list[News] = field(default_factory=list)
    _paces: dict[tuple[Path, str], Stopwatch] = field(default_factory=dict)

    def look(self) -> bool:
        """Read what has changed, if it is time for that, and how far the runs are. Returns whether the page is another
        one now."""
        is_left = self.is_left
        # A writer that came or is gone is told at once: it happens seldom, and somebody waits for it.
        is_due = time.monotonic() >= self._due or is_left != self._was_left
        if is_due and (stamps := self._stamp()) != self._stamps:
            began, first = time.thread_time(), self._ladder is None
            self._read()
            self._was_left = is_left
            # What changed meanwhile is read again, even if it changes back: a lock that was taken and is let go.
            self._stamps = stamps if self._stamp() == stamps else None
            cost = time.thread_time() - began  # other threads serve the page meanwhile
            if not self._due:  # what reads is loaded then, also where there is nothing to read yet
                cost = min(cost, FIRST_COST)
            if not self._is_unreadable:  # a run that has ended has nobody to wait for
                cost = 0.0 if all(each.ended for each in self.found) else FIRST_COST if first else cost
            self._due = time.monotonic() + self.pause(cost)
        if not self.page:
            return False
        before, self.parts = self.parts, self._with_now()
        return self.parts != before

    @property
    def is_left(self) -> bool:
        """Whether nobody writes there any more. Of a log of another program nobody knows."""
        if not all(is_run(path) or (path / "ladder.json").is_file() or not path.exists() for path in self.paths):
            return False
        return all(writer_of(path) is None for path in self.paths)

    @property
    def is_over(self) -> bool:
        """Whether nobody writes the runs any more, and how they ended was read, as far as it can be."""
        if not self.is_left:
            return False
        return self._stamps == self._stamp() if self._is_unreadable else all(each.ended for each in self.found)

    def _stamp(self) -> tuple[Stamp, ...]:
        """Of everything that a page is made from; what is new in a folder of runs shows in the folder."""
        known = {view.path for view in (self._ladder.runs if self._ladder else ())}
        documents = [path / name for path in self.paths for name in OF_A_LADDER]
        others = [path for path in self.paths if not (path / "ladder.json").is_file()]  # a ladder's runs are known
        return tuple(stamp_of(path) for path in (*others, *documents, *sorted(known - set(others))))

    def _read(self) -> None:
        try:
            ladder, problems = self._readable()
            found = tuple(_found(ladder))
            whole = parts_of(make_document(ladder), first_and_newest(_writers(ladder))) if self.page else None
        except (InputError, OSError) as error:  # OSError: what may not be read, or went away while it was
            self._problems, self._is_unreadable = (str(error),), True
            return
        first = self._ladder is None
        self._ladder, self._problems, self._is_unreadable = ladder, problems, False
        self._read_at, self.found, self._whole = datetime.now(), found, whole
        for each in self.found:
            if not is_run(each.view.path):
                self._pace_of(each).saw(each.last_step)
        if self.page:
            self._tell_news(first)

    def _readable(self) -> tuple[LadderView, tuple[str, ...]]:
        """What can be read of the paths, and why the others cannot. Raises InputError where none can."""
        try:
            return read_ladder(self.paths, self.flags, self._memory), ()
        except InputError as error:
            if len(self.paths) == 1:
                raise
            problems, good = [], []
            for path in self.paths:
                try:
                    read_ladder([path], self.flags, self._memory)
                    good.append(path)
                except InputError as why:
                    problems.append(str(why))
            if not good or not problems:
                raise InputError(problems[0] if problems else str(error)) from None
        return read_ladder(good, self.flags, self._memory), tuple(problems)

    def _tell_news(self, first: bool) -> None:
        """What was there already at the first reading is no news."""
        for each in self.found:
            which = f"{each.view.path} {each.key}"
            new = new_among(each.findings, which, each.last_step, self._told)
            self._told += [Told.of(which, finding) for finding in new]
            if not first:
                at, name = datetime.now(), each.name if len(self.found) > 1 else ""
                self._news += [News(at, name, finding) for finding in new if _is_news(finding)]

    def _pace_of(self, found: Found) -> Stopwatch:
        return self._paces.setdefault((found.view.path, found.key), Stopwatch())

    def _with_now(self) -> Parts:
        whole = self._whole or parts_of(Document(self._waiting_for, "", Opening(()), (), {}))
        now = {"now": now_element(self._rows(), self._state(), datetime.now()), "news": news_element(self._news)}
        head = {"head": whole.html["head"]}
        return Parts(whole.title, {**head, **now, **whole.html}, whole.curves, whole.specs)

    @property
    def _waiting_for(self) -> str:
        return ", ".join(path.name or str(path) for path in self.paths)

    def _rows(self) -> list[Now]:
        several = len(self.found) > 1
        rows = []
        for each in self.found:
            view, foreign = each.view, not is_run(each.view.path)
            written = _last_written(view)
            quiet = 0.0 if each.ended or not written else time.time() - written
            if several and (each.ended or quiet > STILL_SHOWN_SECONDS):
                continue
            lines = [] if foreign or each.ended else last_objects(view.path / "metrics.jsonl")
            far = progress(view, lines, self._pace_of(each).seconds_per_step if foreign else None)
            rows.append(Now(each.name if several else "", far, quiet))
        return rows[:MOST_ROWS]

    def _state(self) -> str:
        """What is to be said of all runs together, and of what cannot be read."""
        said = []
        if self._ladder is not None and len(self._ladder.runs) > 1:
            said += _ends(self._ladder.own.runs)
        elif self.found and self.found[0].ended:
            said.append(f"This run is {self.found[0].view.info.get('status', 'over')}.")
        if self._problems:
            shown = f"below is what was read at {self._read_at:%H:%M:%S}" if self._read_at else "tried again and again"
            said += [f"{' '.join(self._problems)} ({shown})"]
        return "; ".join(said)


def _ends(runs: Sequence[RunView]) -> list[str]:
    """How many of them have ended; of logs of other programs, which are none of them, nobody knows."""
    if not runs:
        return []
    done = sum(view.run is not None and _ended(view) for view in runs)
    damaged = sum(view.run is None and is_run(view.path) for view in runs)
    missing = sum(view.run is None for view in runs) - damaged
    said = f"{done} of {plural(len(runs), 'run')} ended"
    said += f", {damaged} cannot be read" if damaged else ""
    return [said + (f", {missing} not there yet" if missing else "")]


def _found(ladder: LadderView) -> list[Found]:
    found = []
    taken: Counter[tuple[Path, str]] = Counter()
    for view in ladder.runs:
        if view.run is None or view.diagnosis is None:
            continue
        key = "" if is_run(view.path) else str(view.info.get("name") or "")
        taken[view.path, key] += 1
        if (number := taken[view.path, key]) > 1:
            key = f"{key} ({number})"
        found.append(Found(view, _name(view), view.diagnosis.findings, _ended(view), key))
    return found


def _name(view: RunView) -> str:
    return view.name if view.of("log_format") else f"{view.name} seed {view.seed}"


def _ended(view: RunView) -> bool:
    """Of a log nobody knows."""
    return is_run(view.path) and view.info.get("status") != "running"


def _is_news(finding: Finding) -> bool:
    """What goes wrong, and what has its place on the curves; what is said of the whole run so far is on the page."""
    return finding.severity in ("warning", "failure") or bool(KINDS[finding.kind].marked_on)


def _last_written(view: RunView) -> float:
    stamp = stamp_of(view.path)
    return max((changed for *_, changed in stamp.files), default=0) / 1e9


def _writers(ladder: LadderView) -> list[RunView]:
    """The runs that wrote stories: those that are being made before the others, and of those the newest."""
    there = [view for view in ladder.runs if view.run is not None and view.run.samples]
    there.sort(key=lambda view: (_ended(view), -_last_written(view)))
    return [view for view in there if not _ended(view)] or there[:1]
