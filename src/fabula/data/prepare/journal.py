"""How far each pass of a long preparation has come, so that a second call goes on where the first was killed.

A pass notes, some seconds apart, how many chunks it has seen and what it holds of them; what it has written to files by
then is on disk before the note is. Whoever goes on cuts the files back to the note and leaves those chunks out.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from fabula.errors import InputError
from fabula.record.content.parsing import json_value
from fabula.record.files import content_hash, write_json

NOTE_SECONDS = 10.0
"""Between two notes: what a kill costs. A note waits for the disk, a tenth of a second."""
UNFINISHED = ".unfinished"
CALL_FILE = "call.json"
WHOLE, COMPLETE = "folder", "complete"
"""Of what is unfinished: the folder that will be the prepared one, and a mark beside it once all in it is written."""

State = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """Where a pass stands: behind so many chunks, with what it held then."""

    chunks: int = 0
    state: State = field(default_factory=dict)
    done: bool = False


class Journal:
    """Of the passes that work in `folder`; without one nothing is noted, and every pass starts at its beginning."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._noted = time.monotonic()
        self.keeps = folder is not None

    def at(self, name: str) -> Place:
        """Raises InputError where the note is damaged."""
        if self._folder is None or not (path := self._folder / f"{name}.note.json").is_file():
            return Place()
        try:
            tree = json_value(path.read_text(encoding="utf-8"))
            if tree["hash"] != content_hash(tree):
                raise ValueError("it does not have its hash")
            return Place(int(tree["chunks"]), dict(tree["state"]), bool(tree["done"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise damaged(path, error) from error

    def note(self, name: str, chunks: int, state: Callable[[], State], *, done: bool = False) -> None:
        """`state` brings what was written to disk, and tells what is held; it is called when a note is due."""
        if self._folder is None or (not done and time.monotonic() - self._noted < NOTE_SECONDS):
            return
        content = {"chunks": chunks, "state": state(), "done": done}
        write_json(self._folder / f"{name}.note.json", {**content, "hash": content_hash(content)})
        self._noted = time.monotonic()


def damaged(path: Path, reason: object) -> InputError:
    folder = next((each for each in path.parents if each.name.endswith(UNFINISHED)), path.parent)
    return InputError(f"{path} is damaged ({reason}); delete {folder} to begin anew")


@contextmanager
def appended(path: Path, state: State) -> Iterator[tuple[BinaryIO, Callable[[], State]]]:
    """A file of lines that a pass writes on, cut back to `state`, and what tells the next state, once all is on disk.
    It stands at its beginning: whoever reads it to its end may write on."""
    size = int(state.get("size", 0))
    with open(path, "rb+" if size else "wb+") as file:
        if file.seek(0, os.SEEK_END) < size:
            raise damaged(path, "it is shorter than it was")
        file.truncate(size)
        file.seek(0)

        def now() -> State:
            file.flush()
            os.fsync(file.fileno())
            return {"size": file.tell()}

        yield file, now


def unfinished(out: Path) -> Path:
    """Where the work for `out` is kept, if it takes long."""
    return out.resolve().with_name(f".{out.resolve().name}{UNFINISHED}")


@contextmanager
def kept_work(out: Path, call: Mapping[str, Any]) -> Iterator[Path]:
    """A folder beside `out` for the work of `call`, with what an earlier one of the same words left there. It goes away
    when the work is done and when what was asked is wrong, and stays when the process is stopped or the disk is full.

    Raises InputError where it holds the work of another call.
    """
    folder = unfinished(out)
    _check_call(folder, call)
    folder.mkdir(exist_ok=True)
    if not (folder / CALL_FILE).is_file():
        write_json(folder / CALL_FILE, call)
    try:
        yield folder
    except InputError as error:
        if "to begin anew" not in str(error):
            shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


def _check_call(folder: Path, call: Mapping[str, Any]) -> None:
    path = folder / CALL_FILE
    if (folder / COMPLETE).is_file() and not (folder / WHOLE).exists():  # killed between the last rename and its end
        shutil.rmtree(folder)
    if not path.is_file():
        return
    try:
        earlier = json_value(path.read_text(encoding="utf-8"))
        differing = [name for name in call if earlier.get(name) != call[name]]
    except (OSError, ValueError, AttributeError) as error:
        raise damaged(path, error) from error
    if differing:
        raise InputError(
            f"{folder} holds the first part of a preparation with another {_listed(differing)}; give the same to go "
            "on, or delete that folder to begin anew"
        )


def _listed(names: Sequence[str]) -> str:
    return " and ".join(names) if len(names) < 3 else f"{', '.join(names[:-1])} and {names[-1]}"
