"""What a page says of its own making: the program that wrote it, where its records lie, and what they held.

It stands in the page (a script element of data) and in its twin (a comment), so that the page alone can be verified.
Paths lead from the page's folder to the records, so that both may be moved together.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import fabula
from fabula.errors import InputError
from fabula.findings import Flags
from fabula.record.content.parsing import json_value
from fabula.record.files import sha256_of
from fabula.record.foreign import STDIN
from fabula.record.live.stamp import OF_A_LADDER, OF_A_RUN
from fabula.record.reader import is_run
from fabula.report.figures.library import drawing_hash
from fabula.study.views import LadderView

MARK = "fabula report made from"
_IN_PAGE = re.compile(
    rf'<script type="application/json" id="origin">(?P<page>[^<]*)</script>|<!-- {MARK} (?P<twin>[^<>]*) -->'
)


@dataclass(frozen=True)
class Place:
    given: str
    """As it was typed, and as the page may name it."""
    path: str
    """From the page's folder."""


@dataclass(frozen=True)
class Origin:
    version: str
    places: tuple[Place, ...]
    flags: dict[str, Any] = field(default_factory=dict)
    """What was said of logs that do not say it themselves."""
    records: dict[str, str] = field(default_factory=dict)
    """Run folder, ladder.json or log, from the page's folder -> checksum of what the page was made from."""
    drawn: str = ""
    """How pictures come out on the machine that made the page: letters differ between machines, and with them a
    picture's measures."""

    def as_text(self) -> str:
        """As JSON that neither ends a script element nor a comment."""
        text = json.dumps(asdict(self), separators=(",", ":"))
        return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")

    def as_comment(self) -> str:
        return f"{MARK} {self.as_text()}"


def origin_of(ladder: LadderView, paths: Sequence[Path], page: Path, flags: Flags | None) -> Origin:
    """Of a page that is made from `ladder`, which was read from `paths`."""
    said = {name: value for name, value in asdict(flags or Flags()).items() if value is not None}
    places = tuple(Place(str(path), str(path) if path == STDIN else way_to(path, page)) for path in paths)
    return Origin(fabula.__version__, places, said, checksums(ladder, paths, page), drawing_hash())


def way_to(path: Path, page: Path) -> str:
    """The path from the page's folder, whichever links lead to the one or the other."""
    here, there = Path(os.path.abspath(path)), Path(os.path.abspath(page)).parent
    return os.path.relpath(here.parent.resolve() / here.name, there.resolve())


def checksums(ladder: LadderView, paths: Sequence[Path], page: Path) -> dict[str, str]:
    """Each record -> the checksum of its files."""
    sums = {
        way_to(path / name, page): sha256_of(path / name)
        for path in paths
        for name in OF_A_LADDER
        if (path / name).is_file()
    }
    for view in ladder.runs:
        if view.run is not None and (view.path.exists() or is_run(view.path)):
            sums[way_to(view.path, page)] = _checksum(view.path)
    return sums


def _checksum(record: Path) -> str:
    """Of a log, or of the files of a run."""
    if record.is_file():
        return sha256_of(record)
    whole = hashlib.sha256()
    for file in _files(record):
        whole.update(f"{file.name} {sha256_of(file)}\n".encode(errors="surrogateescape"))
    return whole.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    if not is_run(folder):  # a folder that another program logs to
        yield from sorted(each for each in folder.iterdir() if each.is_file())
        return
    for name in OF_A_RUN:
        yield from (each for each in (folder / name, folder / f"{name}.gz") if each.is_file())


def read_origin(page: Path, text: str) -> Origin:
    """Raises InputError for a text that does not say what it was made from."""
    found = _IN_PAGE.search(text)
    if found is None:
        raise InputError(
            f"{page} does not say what it was made from, as pages of fabula report do (those of fabula compare and of "
            f"older versions do not); make it anew with: fabula report PATH --out {page.with_suffix('.html')}"
        )
    try:
        stored: Any = json_value(found["page"] or found["twin"])
        return Origin(
            str(stored["version"]),
            tuple(Place(str(each["given"]), str(each["path"])) for each in stored["places"]),
            dict(stored["flags"]),
            {str(name): str(told) for name, told in stored["records"].items()},
            str(stored["drawn"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{page}: what it says of its records is damaged ({error!r}); make the page anew") from error
