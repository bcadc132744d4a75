"""What a tracker has been told of a run, so that nothing is told twice: RUN/trackers/NAME.json.

A resumed run makes lines again that were sent before it was stopped, the same ones: they are passed over. Other ones
are those after a rollback, which have another `attempt`, and those of a run that was made longer.
"""

import gzip
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, cast

from fabula.record.content.parsing import json_value
from fabula.record.files import make_folder, write_json

Place = tuple[int, int, int, int]
"""Of a line: how many times the run had been made longer before it, its attempt, its step, and its number among the
lines of that kind and step."""


@dataclass
class Sent:
    """`id` is the tracker's own name for the run; `last` the place of the last line that was sent, of each kind."""

    id: str | None = None
    last: dict[str, Place] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    """Which were sent, each by its place and name: those of a resumed run stand before what was sent already."""
    told: list[str] = field(default_factory=list)
    """Findings that were alerts already."""
    status: str = ""
    """Of the run when it was closed."""


def sent_file(run: Path, tracker: str) -> Path:
    return run / "trackers" / f"{tracker}.json"


def read_sent(run: Path, tracker: str) -> Sent:
    """What was sent so far; nothing where the file is not there or not whole: then all is sent to a new run."""
    try:
        content = json_value(sent_file(run, tracker).read_text(encoding="utf-8"))
        last = {name: tuple(place) for name, place in content["last"].items()}
        return Sent(content["id"], last, list(content["events"]), list(content["told"]), str(content["status"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Sent()


def keep(run: Path, tracker: str, sent: Sent) -> None:
    path = sent_file(run, tracker)
    make_folder(path.parent)
    write_json(path, asdict(sent))


@dataclass
class Tail:
    """The lines of a file that grows, each given once. A half-written last line waits."""

    path: Path
    offset: int = 0
    last: bytes = b""
    """The last line that was given."""

    @property
    def _packed(self) -> Path:
        """Where the file of an archived run is."""
        return self.path.with_name(f"{self.path.name}.gz")

    def _opened(self) -> IO[bytes]:
        return open(self.path, "rb") if self.path.is_file() else cast("IO[bytes]", gzip.open(self._packed))

    def is_cut(self) -> bool:
        """Whether the file does not hold any more what was given of it."""
        if not self.offset:
            return False
        with self._opened() as file:
            file.seek(self.offset - len(self.last))
            return file.read(len(self.last)) != self.last

    def new(self) -> Iterator[dict[str, Any]]:
        """Raises ValueError for a line that is none of a record."""
        if not self.path.is_file() and not self._packed.is_file():
            return
        with self._opened() as file:
            file.seek(self.offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self.offset, self.last = self.offset + len(line), line
                if line.strip():
                    yield json.loads(line)


@dataclass
class Places:
    """Counts lines to their places, as they come."""

    extended: list[int] = field(default_factory=list)
    """Steps from which the run was made longer."""
    numbers: dict[tuple[str, int, int], int] = field(default_factory=dict)

    def of(self, kind: str, line: dict[str, Any]) -> Place:
        step, attempt = int(line.get("step") or 0), int(line.get("attempt") or 1)
        place = (sum(step > each for each in self.extended), attempt, step)
        if line.get("event") == "extended":
            self.extended.append(step)
        key = (kind, attempt, step)
        self.numbers[key] = self.numbers.get(key, 0) + 1
        return (*place, self.numbers[key])


def unsent(kind: str, lines: Iterable[dict[str, Any]], places: Places, sent: Sent) -> Iterator[dict[str, Any]]:
    """Those of `lines` that were not sent; `sent` is brought up to date with each. `kind`: of lines that do not say
    theirs."""
    for line in lines:
        of = str(line.get("kind") or kind)
        place = places.of(of, line)
        if of == "event":
            name = f"{line.get('event')} {'.'.join(map(str, place))}"
            if name not in sent.events:
                yield line
                sent.events.append(name)
        elif place > sent.last.get(of, (-1, 0, 0, 0)):
            yield line
            sent.last[of] = place
