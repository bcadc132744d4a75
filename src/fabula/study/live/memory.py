"""What was read of each record, for who reads the same ones again and again: what has not changed is not read twice."""

from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, TypeVar

from fabula.record.live.stamp import Stamp, stamp_of

Read = TypeVar("Read")


class Memory:
    def __init__(self) -> None:
        self._kept: dict[Hashable, tuple[Stamp, Any]] = {}

    def recall(self, key: Hashable, path: Path, read: Callable[[Stamp], Read]) -> Read:
        """What `read` made of the record at `path`, called only where the record has changed since. `key`: what else
        it depends on."""
        now = stamp_of(path)  # before it is read: what changes meanwhile is another stamp the next time
        known = self._kept.get((key, path))
        if known is None or known[0] != now:
            known = self._kept[(key, path)] = (now, read(now))
        result: Read = known[1]
        return result
