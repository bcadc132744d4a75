"""Makes a page anew from its records, and compares the two place by place."""

import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import fabula
from fabula.errors import InputError
from fabula.findings import Flags
from fabula.record.foreign import STDIN
from fabula.record.wording import slug
from fabula.report.checking.differences import Difference, differences
from fabula.report.checking.figure_data import places_of_figures, unpacked
from fabula.report.checking.origin import Origin, origin_of, read_origin, way_to
from fabula.report.checking.places import Place, places_of_page, places_of_twin
from fabula.report.document import make_document
from fabula.report.render.markdown import render_markdown
from fabula.report.render.page import render_page
from fabula.study.ladder import read_ladder

State = Literal["the same", "changed", "not there", "new"]
TITLES = re.compile(r'<figure id="([^"]*)".*?<strong>(.*?)</strong>', re.DOTALL)
UNLIKE = "another version of fabula wrote it ({}, this is {}): what differs may come from that"
LETTERS = "this machine draws letters otherwise: the lines of the pictures were not compared, their data were"


@dataclass(frozen=True)
class Compared:
    num_places: int
    num_numbers: int
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class Verified:
    page: Path
    version: str
    """Of the fabula that wrote it."""
    notes: tuple[str, ...]
    """What limits the comparison."""
    records: dict[str, State]
    """From the page's folder."""
    compared: Compared

    @property
    def unlike(self) -> dict[str, State]:
        """The records that are not what the page was made from."""
        return {name: state for name, state in self.records.items() if state != "the same"}

    @property
    def holds(self) -> bool:
        return not self.compared.differences and not self.unlike

    def as_json(self) -> dict[str, Any]:
        return {
            "page": str(self.page),
            "holds": self.holds,
            "written_by": self.version,
            "verified_by": fabula.__version__,
            "notes": list(self.notes),
            "records": [{"path": name, "state": state} for name, state in self.records.items()],
            "places": self.compared.num_places,
            "numbers": self.compared.num_numbers,
            "differences": [asdict(each) for each in self.compared.differences],
        }


def verify_report(page: Path, records: Sequence[Path] = ()) -> Verified:
    """Recompute each number of `page`, an .html page or its Markdown twin, from its records; `records`: where these
    are now, in the order in which the page was made from them.

    Raises InputError for a file that is no report, and where its records are not to be found.
    """
    text = _read(page)
    origin = read_origin(page, text)
    paths = _paths(page, origin, records)
    flags = Flags(**_known_flags(page, origin.flags))
    ladder = read_ladder(paths, flags)
    spelled: dict[str, str] = {}
    for path, place in zip(paths, origin.places, strict=True):
        spelled |= {str(path): place.given, slug(str(path)): slug(place.given)}
    document = _respelled(make_document(ladder), spelled)
    due = replace(origin_of(ladder, paths, page, flags), version=origin.version)
    notes = [] if origin.version == fabula.__version__ else [UNLIKE.format(origin.version, fabula.__version__)]
    alike = origin.drawn == due.drawn
    if page.suffix == ".md":
        compared = compare_twins(text, render_markdown(document, due.as_comment()))
    else:
        notes += [] if alike else [LETTERS]
        left_out = {*(["program"] if origin.version != fabula.__version__ else []), *([] if alike else ["drawing"])}
        compared = compare_pages(text, render_page(document, due.as_text(), origin.version), left_out)
    return Verified(
        page, origin.version, tuple(notes), _states(_where_they_are(origin, paths, page), due.records), compared
    )


def compare_twins(text: str, fresh: str) -> Compared:
    return _compared(places_of_twin(text), places_of_twin(_as_written(fresh)))


def compare_pages(text: str, fresh: str, left_out: Collection[str] = ()) -> Compared:
    """`left_out`: kinds of places that are not compared."""
    (ours, packed), (theirs, due) = places_of_page(text), places_of_page(_as_written(fresh))
    if packed and due:
        titles = dict(TITLES.findall(fresh))
        data = places_of_figures(unpacked(due), titles)
        theirs += data
        try:
            ours += data if packed == due else places_of_figures(unpacked(packed), titles)
        except ValueError:
            ours += [*data[:-1], Place(data[-1].where, "figure data that cannot be unpacked")]
    return _compared(*([each for each in side if each.kind not in left_out] for side in (ours, theirs)))


def _as_written(text: str) -> str:
    """Halves of characters, which UTF-8 has not, become `?` in a file (fabula.record.files)."""
    return text.encode(errors="replace").decode()


def _compared(ours: Sequence[Place], theirs: Sequence[Place]) -> Compared:
    numbers = sum(len(each.numbers) for each in theirs if each.kind in ("text", "drawing"))
    return Compared(len(theirs), numbers, tuple(differences(ours, theirs)))


def _read(page: Path) -> str:
    if page.is_dir():
        raise InputError(f"{page} is a folder; give the page in it, such as {page / 'report.html'}")
    try:
        return page.read_bytes().decode(errors="replace")  # a story may hold a carriage return of its own
    except FileNotFoundError:
        raise InputError(f"{page} does not exist; give a page that fabula report wrote (.html or .md)") from None


def _paths(page: Path, origin: Origin, records: Sequence[Path]) -> list[Path]:
    """Where the records are: absolute, so that what they are called does not hang on where one stands."""
    if any(place.path == str(STDIN) for place in origin.places):
        raise InputError(
            f"{page} was made from standard input, which cannot be read again; keep the log in a file, and make the "
            "page from that"
        )
    if records and len(records) != len(origin.places):
        raise InputError(
            f"--records: {page} was made from {len(origin.places)} of them "
            f"({', '.join(place.given for place in origin.places)}), {len(records)} are given"
        )
    here = page.absolute().parent.resolve()
    paths = [Path(os.path.abspath(path)) for path in records or (here / place.path for place in origin.places)]
    for path in paths:
        if not path.exists():
            raise InputError(
                f"the records of {page} are not at {path}; say where they are now with --records PATH, once for each "
                f"that it was made from ({', '.join(place.given for place in origin.places)})"
            )
    return [_by_a_detour(path) for path in paths]


def _by_a_detour(path: Path) -> Path:
    """The same place by a name that stands in no record: what has this name on the page is the path itself."""
    above = path.parent.resolve()
    return above / ".." / above.name / path.name


def _known_flags(page: Path, said: Mapping[str, Any]) -> dict[str, Any]:
    known = {each.name for each in fields(Flags)}
    if unknown := sorted(set(said) - known):
        raise InputError(f"{page}: it was made with options that this fabula does not know ({', '.join(unknown)})")
    return dict(said)


def _respelled(part: Any, spelled: Mapping[str, str]) -> Any:
    """The same document with each record called as it was when the page was made."""
    if isinstance(part, str):
        for path in sorted(spelled, key=len, reverse=True):
            part = part.replace(path, spelled[path])
        return part
    again: Callable[[Any], Any] = partial(_respelled, spelled=spelled)
    if isinstance(part, (tuple, list)):
        return type(part)(map(again, part))
    if isinstance(part, dict):
        return {again(name): again(value) for name, value in part.items()}
    if is_dataclass(part) and not isinstance(part, type):
        return replace(part, **{each.name: again(getattr(part, each.name)) for each in fields(part)})
    return part


def _states(then: Mapping[str, str], now: Mapping[str, str]) -> dict[str, State]:
    """Record -> what became of it since the page was made."""
    states: dict[str, State] = {}
    for name in [*then, *(name for name in now if name not in then)]:
        if name not in now:
            states[name] = "not there"
        elif name not in then:
            states[name] = "new"
        else:
            states[name] = "the same" if now[name] == then[name] else "changed"
    return states


def _where_they_are(origin: Origin, paths: Sequence[Path], page: Path) -> dict[str, str]:
    """The checksums of then, under the names that the records have now."""
    moved = {place.path: way_to(path, page) for place, path in zip(origin.places, paths, strict=True)}
    told = {}
    for name, checksum in origin.records.items():
        old = next((each for each in moved if Path(name).is_relative_to(each)), None)
        told[name if old is None else str(Path(moved[old]) / Path(name).relative_to(old))] = checksum
    return told
