"""What a program asks of the disk, traced, and what a power cut may leave of it.

A file system promises little: what was written is there after a power cut where the file was synced since, and a name
where its folder was. All else may be there, or not, or in part, and in any order (Pillai et al. 2014, "All file systems
are not created equal"). The trace wraps the functions of `os`; what was written between two of them is found by
comparing files, so that what a library writes with functions of its own is seen as well.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

ROOT = 0
"""The number of the folder that is traced. Every file and folder has a number of its own, whatever its name."""
SECTOR = 512
"""Bytes that a disk writes at once; a write is torn between them, and an appended one at any byte."""


@dataclass(frozen=True)
class Written:
    file: int
    start: int
    content: bytes


@dataclass(frozen=True)
class Cut:
    """A file is made so short."""

    file: int
    size: int


@dataclass(frozen=True)
class Named:
    """A name is given to a file or folder, or, with None, taken away."""

    folder: int
    name: str
    what: int | None
    is_folder: bool = False


@dataclass(frozen=True)
class Moved:
    what: int
    source: tuple[int, str]
    target: tuple[int, str]


@dataclass(frozen=True)
class Synced:
    what: int


Operation = Written | Cut | Named | Moved | Synced


@dataclass
class Trace:
    """`operations` holds what `root` went through since `begin`, after what stood there before, which counts as
    synced: `first` is the number of the first operation that was traced."""

    root: Path
    operations: list[Operation] = field(default_factory=list)
    first: int = 0
    _numbers: dict[Path, int] = field(default_factory=lambda: {Path(): ROOT})
    _seen: dict[int, tuple[tuple[int, int, int], bytes]] = field(default_factory=dict)
    _count: int = 0
    _lock: Any = field(default_factory=threading.RLock)

    def begin(self) -> None:
        self.root = self.root.resolve()
        self.look()
        self.operations += [Synced(number) for number in self._numbers.values()]
        self.first = len(self.operations)

    def look(self) -> None:
        """Note what has become of the files since the last look."""
        here = {path.relative_to(self.root): path for path in sorted(self.root.rglob("*"))}
        for name in sorted(self._numbers.keys() - here.keys() - {Path()}, reverse=True):
            self._seen.pop(self._numbers.pop(name), None)
            if (parent := self._numbers.get(name.parent)) is not None:
                self.operations.append(Named(parent, name.name, None))
        for name, path in here.items():
            try:
                self._look_at(name, path)
            except FileNotFoundError:  # of another thread, which says so next
                continue

    def _look_at(self, name: Path, path: Path) -> None:
        status = path.stat()
        mark = (status.st_ino, status.st_size, status.st_mtime_ns)
        number = self._numbers.get(name)
        if number is None or (number in self._seen and self._seen[number][0][0] != status.st_ino):
            self._count += 1
            number = self._numbers[name] = self._count
            self.operations.append(Named(self._numbers[name.parent], name.name, number, path.is_dir()))
        before_mark, before = self._seen.get(number, (None, b""))
        if path.is_dir() or mark == before_mark:
            return
        now = path.read_bytes()
        self._seen[number] = ((mark[0], len(now), mark[2]), now)
        same = next(
            (at for at, pair in enumerate(zip(before, now, strict=False)) if pair[0] != pair[1]),
            min(len(before), len(now)),
        )
        if len(now) < len(before):
            self.operations.append(Cut(number, len(now)))
        if now[same:]:
            self.operations.append(Written(number, same, now[same:]))

    def moved(self, source: Path, target: Path) -> None:
        what = self._numbers[source]
        for name in [each for each in self._numbers if each == target or target in each.parents]:
            self._seen.pop(self._numbers.pop(name), None)
        for name in [each for each in self._numbers if each == source or source in each.parents]:
            self._numbers[target / name.relative_to(source)] = self._numbers.pop(name)
        folders = self._numbers[source.parent], self._numbers[target.parent]
        self.operations.append(Moved(what, (folders[0], source.name), (folders[1], target.name)))

    def name_of(self, path: object, folder: int | None = None) -> Path | None:
        """Below the traced folder; None where it is not there."""
        place = Path(os.readlink(f"/proc/self/fd/{path}")) if isinstance(path, int) else Path(os.fsdecode(path))  # type: ignore[call-overload]
        if folder is not None:
            place = Path(os.readlink(f"/proc/self/fd/{folder}")) / place
        place = Path(os.path.abspath(place))
        return place.relative_to(self.root) if place.is_relative_to(self.root) else None


@contextmanager
def traced(root: Path) -> Iterator[Trace]:
    """Trace what this process, in any of its threads, does below `root` within the block."""
    trace = Trace(root)
    trace.begin()
    real = {name: getattr(os, name) for name in ("fsync", "rename", "replace", "unlink", "remove", "rmdir", "mkdir")}

    def changing(do: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(path: Any, *rest: Any, **named: Any) -> Any:
            with trace._lock:
                trace.look()
                try:
                    return do(path, *rest, **named)
                finally:
                    trace.look()

        return wrapped

    def moving(do: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(source: Any, target: Any) -> None:
            with trace._lock:
                trace.look()
                do(source, target)
                names = trace.name_of(source), trace.name_of(target)
                if names[0] is not None and names[1] is not None:
                    trace.moved(names[0], names[1])

        return wrapped

    def syncing(descriptor: int) -> None:
        with trace._lock:
            trace.look()
            real["fsync"](descriptor)
            name = trace.name_of(descriptor)
            if name is not None and name in trace._numbers:
                trace.operations.append(Synced(trace._numbers[name]))

    wrap = dict.fromkeys(real, changing) | {"rename": moving, "replace": moving}
    for name, do in real.items():
        setattr(os, name, syncing if name == "fsync" else wrap[name](do))
    try:
        yield trace
    finally:
        for name, do in real.items():
            setattr(os, name, do)
        trace.look()


@dataclass(frozen=True)
class Chances:
    """Of what was not synced: how much of it is there all the same."""

    data: float
    names: float
    torn: float = 0.0
    """Of the data that is there, how much is there in part."""


NOTHING = Chances(0.0, 0.0)
STYLES = (
    NOTHING,
    Chances(1.0, 1.0),
    Chances(0.0, 1.0),  # the files of no bytes that ext4 was known for
    Chances(1.0, 0.0),
    Chances(0.5, 0.5),
    Chances(0.8, 1.0, 0.7),
    Chances(0.7, 0.5, 0.5),
)


@dataclass
class Image:
    """What stands on the disk, by numbers."""

    names: dict[int, dict[str, int]] = field(default_factory=lambda: {ROOT: {}})
    contents: dict[int, bytearray] = field(default_factory=dict)

    def write(self, place: Path, folder: int = ROOT) -> None:
        """Make it real, below the new folder `place`."""
        place.mkdir()
        for name, what in self.names[folder].items():
            if what in self.names:
                self.write(place / name, what)
            else:
                (place / name).write_bytes(self.contents.get(what, b""))


def after_power_cut(operations: Sequence[Operation], random: Random, chances: Chances | None = None) -> Image:
    """What may be left when the power goes after the last of `operations`."""
    chances = chances or random.choice(STYLES)
    synced = {each.what: at for at, each in enumerate(operations) if isinstance(each, Synced)}
    image = Image()

    def there(at: int, chance: float, *whats: int) -> bool:
        """One of `whats` was synced since, or chance will have it."""
        return any(synced.get(what, -1) > at for what in whats) or random.random() < chance

    for at, each in enumerate(operations):
        match each:
            case Named(folder, name, what, is_folder):
                if is_folder and what is not None:
                    image.names.setdefault(what, {})
                if there(at, chances.names, folder):
                    _name(image, folder, name, what)
            case Moved(what, source, target):
                if there(at, chances.names, source[0], target[0]):  # one act: it is seen in both folders or in none
                    if image.names[source[0]].get(source[1]) == what:
                        del image.names[source[0]][source[1]]
                    _name(image, *target, what)
            case Cut(file, size):
                if there(at, chances.data, file):
                    del image.contents.setdefault(file, bytearray())[size:]
            case Written(file, start, content):
                if there(at, 0.0, file):
                    _put(image, file, start, content)
                elif random.random() < chances.data:
                    parts = _torn(content, random) if random.random() < chances.torn else [(0, content)]
                    for offset, part in parts:
                        _put(image, file, start + offset, part)
            case Synced():
                continue
    return image


def _name(image: Image, folder: int, name: str, what: int | None) -> None:
    if what is None:
        image.names[folder].pop(name, None)
    else:
        image.names[folder][name] = what


def _put(image: Image, file: int, start: int, content: bytes) -> None:
    """What was never written before it is zeros."""
    held = image.contents.setdefault(file, bytearray())
    held.extend(bytes(max(0, start - len(held))))
    held[start : start + len(content)] = content


def _torn(content: bytes, random: Random) -> list[tuple[int, bytes]]:
    """A beginning of it, or some sectors."""
    if random.random() < 0.5:
        return [(0, content[: random.randrange(len(content) + 1)])]
    starts = range(0, len(content), SECTOR)
    return [(start, content[start : start + SECTOR]) for start in starts if random.random() < 0.5]
