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
        now = stamp_of(path)
        known = self._kept.get((key, path))
        if known is not None and known[0] == now:
            kept: Read = known[1]
            return kept
        result = read(now)
        if stamp_of(path) == now:  # else it may be of no moment: a writer came while it was read, and may go unseen
            self._kept[(key, path)] = (now, result)
        return result
