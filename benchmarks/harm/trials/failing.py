"""A disk that fails: after some reads, writes and other calls, one of them, or each from then on, says EIO."""

import builtins
import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from harm.trials.forked import forked
from harm.trials.limits import any_command, judged
from harm.trials.place import fresh

CALLS = ("open", "fsync", "rename", "replace", "mkdir", "unlink", "scandir", "listdir", "truncate")


def disk(random: Random) -> str:
    fresh("limited")
    command = any_command(random)
    after, for_good = int(2 ** random.uniform(0, 9)), random.random() < 0.5
    return judged(command, forked(command, around=lambda: failing(Path.cwd(), after, for_good)))


@contextmanager
def failing(place: Path, after: int, for_good: bool) -> Iterator[None]:
    """Of what is asked of files below `place` in the block, the call of number `after` fails; `for_good`: and each
    later one."""
    place, made = place.resolve(), 0

    def count(path: object) -> None:
        nonlocal made
        if isinstance(path, int):
            path = os.readlink(f"/proc/self/fd/{path}")
        if not Path(os.path.abspath(os.fsdecode(path))).is_relative_to(place):  # type: ignore[arg-type]
            return
        made += 1
        if made == after or (for_good and made > after):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    class File(io.FileIO):
        def write(self, content: Any) -> int:
            count(self.name)
            return super().write(content)

        def readinto(self, buffer: Any) -> int:
            count(self.name)
            return super().readinto(buffer)

        def readall(self) -> bytes:
            count(self.name)
            return super().readall()

    plain, real = io.open, {name: getattr(os, name) for name in CALLS}

    def opened(
        file: Any, mode: str = "r", buffering: int = -1, encoding: Any = None, errors: Any = None, newline: Any = None,
        closefd: bool = True, opener: Any = None,
    ) -> Any:  # fmt: skip
        if isinstance(file, int):
            return plain(file, mode, buffering, encoding, errors, newline, closefd, opener)
        count(file)
        raw = File(file, mode.replace("b", "").replace("t", ""), closefd, opener)
        if buffering == 0:
            return raw
        if "+" in mode:
            buffered: Any = io.BufferedRandom(raw)
        else:
            buffered = io.BufferedReader(raw) if "r" in mode else io.BufferedWriter(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, encoding, errors, newline)

    def wrapped(do: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any = ".", *rest: Any, **named: Any) -> Any:
            count(path)
            return do(path, *rest, **named)

        return call

    for name, do in real.items():
        setattr(os, name, wrapped(do))
    io.open = builtins.open = opened  # type: ignore[assignment]
    try:
        yield
    finally:
        io.open = builtins.open = plain
        for name, do in real.items():
            setattr(os, name, do)
