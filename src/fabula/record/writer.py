"""Writing a run folder: metrics line by line, everything else in one piece."""

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from fabula.errors import InputError
from fabula.record.cutting import Loss, cut_back
from fabula.record.files import sync_folder, toml_hash, whole_folder, write_json, write_text

ALWAYS = ("metrics", "samples", "evaluations")
STREAMS = (*ALWAYS, "internals")
"""The appended files whose offsets a checkpoint remembers, so that a resumed run can cut them back."""

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
"""Made once: json.dumps makes one for each line, a fifth of its time."""


def json_line(fields: dict[str, Any]) -> str:
    """One line of a record. A non-finite number becomes null and is named in "non_finite": hidden never.

    Floats keep seven significant digits: a float32 has 24 bits, 7.2 digits.
    """
    line: dict[str, Any] = {}
    non_finite = []
    for key, value in fields.items():
        if isinstance(value, float):
            if not math.isfinite(value):
                non_finite.append(key)
            value = _number(value)
        elif isinstance(value, list) and any(isinstance(each, float) for each in value):
            numbers = [_number(each) for each in value]
            if None in numbers:
                non_finite.append(key)
            value = numbers
        line[key] = value
    if non_finite:
        line["non_finite"] = non_finite
    return _ENCODER.encode(line) + "\n"


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(f"{value:.7g}")


class RunWriter:
    """Appends to RUN/metrics.jsonl, RUN/samples.jsonl and RUN/evaluations.jsonl, and keeps RUN/run.json true.

    A run folder is a valid, unfinished run from the moment it exists: `run.json` says "running" until `close` says
    how it ended.
    """

    def __init__(
        self,
        folder: Path,
        info: dict[str, Any],
        append_from: dict[str, int] | None = None,
        step: int | None = None,
        digests: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.info = info
        self.attempt = 1
        """After a rollback, lines carry the number of the attempt."""
        self.losses: list[Loss] = []
        """What the record had lost of what the checkpoint counts on, where it was resumed."""
        self._files: dict[str, IO[bytes]] = {}
        self._digests: dict[str, Any] = {}
        for stream in STREAMS:
            path = folder / f"{stream}.jsonl"
            if append_from is not None:
                loss = cut_back(path, append_from.get(stream, 0), step, (digests or {}).get(stream))
                self.losses += [loss] if loss is not None else []
            if stream in ALWAYS or path.exists():
                self._open(stream)
        self.set_info(status="running")

    @classmethod
    def create(cls, folder: Path, recipe_toml: str, tokenizer_json: str, info: dict[str, Any]) -> Self:
        """Start a new run folder.

        Raises InputError when `folder` already holds anything: a run is resumed, never overwritten.
        """
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(
                f"{folder} already exists and is not empty; choose another --out, or continue with --resume"
            )
        info = {**info, "recipe_hash": toml_hash(recipe_toml)}
        return cls.begin(folder, info, {"tokenizer.json": tokenizer_json, "recipe.toml": recipe_toml})

    @classmethod
    def begin(cls, folder: Path, info: dict[str, Any], texts: Mapping[str, str] | None = None) -> Self:
        """Start a new run folder where there is none, or an empty one, with `texts` in it: name -> content."""
        if folder.exists():
            folder = folder.resolve()  # an empty folder gives way to the whole one, also behind a link
            folder.rmdir()
        with whole_folder(folder) as partial:
            for name, text in (texts or {}).items():
                write_text(partial / name, text)
            write_json(partial / "run.json", info)
        return cls(folder, info)

    @classmethod
    def resume(
        cls,
        folder: Path,
        info: dict[str, Any],
        offsets: dict[str, int],
        step: int | None = None,
        digests: Mapping[str, str] | None = None,
    ) -> Self:
        """Continue a run folder from the byte offsets of a checkpoint; what came after moves to
        NAME.discarded.jsonl and is not lost. With the checkpoint's `step`, and the `digests` of what was written by
        then, what it counts on and is not there is named in `losses`."""
        return cls(folder, info, append_from=offsets, step=step, digests=digests)

    def change_recipe(self, recipe_toml: str, **fields: Any) -> None:
        """Replace recipe.toml, and set `fields` in run.json. A process that is killed between the two leaves a hash for
        either."""
        self.set_info(recipe_hash_before=self.info.get("recipe_hash"), recipe_hash=toml_hash(recipe_toml), **fields)
        write_text(self.folder / "recipe.toml", recipe_toml)

    def train(self, **fields: Any) -> None:
        self.append("metrics", {"kind": "train", **fields})

    def evaluation(self, **fields: Any) -> None:
        self.append("metrics", {"kind": "eval", **fields})

    def event(self, step: int, event: str, **fields: Any) -> None:
        self.append("metrics", {"kind": "event", "step": step, "event": event, **fields})

    def sample(self, **fields: Any) -> None:
        self.append("samples", fields)

    def stories(self, **fields: Any) -> None:
        self.append("evaluations", {"kind": "stories", **fields})

    def internals(self, **fields: Any) -> None:
        """The file is there from its first line on: most runs do not look inside."""
        if "internals" not in self._files:
            self._open("internals")
            sync_folder(self.folder)  # the next checkpoint counts on it
        self.append("internals", fields)

    def offsets(self) -> dict[str, int]:
        """Bytes written so far, a stream each: what a checkpoint stores."""
        return {stream: file.tell() for stream, file in self._files.items()}

    def digests(self) -> dict[str, str]:
        """sha256 of what is written so far, a stream each."""
        return {stream: digest.hexdigest() for stream, digest in self._digests.items()}

    def synchronizer(self) -> Callable[[], None]:
        """What puts all that is written so far on the disk, from any thread. To be called before a checkpoint is
        written: after a power cut it would count on lines that are gone."""
        files = list(self._files.values())

        def synchronize() -> None:
            for file in files:
                os.fsync(file.fileno())

        return synchronize

    def set_info(self, **fields: Any) -> None:
        self.info.update(fields)
        write_json(self.folder / "run.json", self.info)

    def close(self, status: str, **fields: Any) -> None:
        """End the run as "finished", "interrupted" or "failed"."""
        assert status in ("finished", "interrupted", "failed"), status
        for file in self._files.values():
            if status == "finished":
                os.fsync(file.fileno())  # run.json, which is synced, must not promise what is not there
            file.close()
        self.set_info(status=status, **fields)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.info["status"] == "running":
            interrupted = kind is not None and issubclass(kind, KeyboardInterrupt)
            self.close("interrupted" if interrupted else "failed", error=repr(error))

    def _open(self, stream: str) -> None:
        path = self.folder / f"{stream}.jsonl"
        self._digests[stream] = hashlib.sha256(path.read_bytes() if path.exists() else b"")
        self._files[stream] = open(path, "ab")  # noqa: SIM115 - closed by close()

    def append(self, stream: str, fields: dict[str, Any]) -> None:
        """A line of `stream` as it is given."""
        # Flushed line by line: a crash loses at most the line being written, and `tail -f` works.
        file = self._files[stream]
        fields = fields if self.attempt == 1 else {**fields, "attempt": self.attempt}
        line = json_line(fields).encode(errors="replace")  # half a character, which a file cannot hold
        file.write(line)
        file.flush()
        self._digests[stream].update(line)
