"""What was posted of a run, remembered in its folder: who watches it next, here or on another machine, posts none of it
again. The folder of another program's log is not ours to write; what was posted of it is remembered elsewhere."""

import hashlib
import os
import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from fabula.record.content.parsing import json_value
from fabula.record.files import make_folder, write_json
from fabula.record.finding import Finding
from fabula.record.lock import only_writer
from fabula.record.reader import is_run
from fabula.watch.novelty import Told, new_among

NAME = "notified.json"
MOST_KEPT = 1000
_in_turn = threading.Lock()
"""The lock beside the file holds other processes off, and not another thread of this one."""


class Remembered:
    """Of one record and one address. The address is kept as a hash: whoever knows a hook may write into its chat."""

    def __init__(self, record: Path, url: str) -> None:
        self._hook = hashlib.sha256(url.encode()).hexdigest()[:16]
        self.path = _place_of(record)

    def told(self) -> list[Told]:
        """A file that is damaged or of another form remembers nothing."""
        return _told_in(self._all().get(self._hook))

    def add(self, findings: Sequence[Finding], run: str, last_step: int) -> list[Finding]:
        """Those that nobody told before, of whom there may be several: they are for the caller to post. Before it is
        posted: what is posted twice is worse than what is posted never.

        Raises InputError while another process writes there, OSError where nothing can be written."""
        make_folder(self.path.parent)
        with _in_turn, only_writer(self.path):
            told = self.told()
            new = new_among(findings, run, last_step, told)
            if new:
                self._write([*told, *(Told.of(run, finding) for finding in new)])
        return new

    def forget(self, lost: Sequence[Told]) -> None:
        """What could not be posted."""
        with _in_turn, only_writer(self.path):
            self._write([each for each in self.told() if each not in lost])

    def _write(self, told: Sequence[Told]) -> None:
        write_json(self.path, {**self._all(), self._hook: [asdict(each) for each in told[-MOST_KEPT:]]})

    def _all(self) -> dict[str, object]:
        try:
            tree = json_value(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return tree if isinstance(tree, dict) else {}


def _told_in(value: object) -> list[Told]:
    found = []
    for each in value if isinstance(value, list) else []:
        try:
            found.append(Told.from_json(each))
        except (KeyError, TypeError, ValueError):
            continue
    return found


def _place_of(record: Path) -> Path:
    if is_run(record) and os.access(record, os.W_OK):
        return record / NAME
    name = hashlib.sha256(str(record.resolve()).encode(errors="surrogateescape")).hexdigest()[:16]
    return state_folder() / f"notified-{name}.json"


def state_folder() -> Path:
    """Where the system has programs keep what they remember (XDG_STATE_HOME; LOCALAPPDATA on Windows)."""
    given = os.environ.get("XDG_STATE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(given) if given else Path.home() / ".local" / "state") / "fabula"
