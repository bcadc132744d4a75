"""Writing the arrays of a split piece by piece, so that a split of any size is never in memory."""

import hashlib
import os
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from fabula.data.dataset import GPT2_LENGTH, NUM_BYTES, OFFSET, STORY_HASH, SplitFacts, SplitName
from fabula.data.prepare.journal import State, damaged
from fabula.data.prepare.tasks import Encoded

COUNTED = ("num_stories", "num_tokens", "num_bytes", "num_empty", "removed", "nats")


class SplitWriter:
    """Appends encoded stories to the files of one split; a context manager.

    `texts` is None when the folder has the stories' own arrays already and another tokenization is added; their hashes
    then go to the folder `work`, for the comparison. `state` is what `state()` told an earlier writer of these files,
    which are cut back to it.
    """

    def __init__(
        self, name: SplitName, tokens: Path, texts: Path | None, with_gpt2_lengths: bool, work: Path, state: State
    ) -> None:
        names = {"tokens": tokens / f"{name}.tokens.bin", "offsets": tokens / f"{name}.offsets.bin"}
        names["hashes"] = (texts or work) / f"{name}.story_hashes.bin"
        if texts is not None:
            names["num_bytes"] = texts / f"{name}.num_bytes.bin"
            if with_gpt2_lengths:
                names["gpt2_lengths"] = texts / f"{name}.gpt2_lengths.bin"
        self._has_texts = texts is not None
        self._names = {key: path.name for key, path in names.items()}
        self.num_stories = self.num_tokens = self.num_bytes = self.num_empty = 0
        self.removed: list[int] = []
        self.nats: float | None = None
        if state:
            for key in COUNTED:
                setattr(self, key, state[key])
            self._sums = {key: _sum_of(path, *state["files"][key]) for key, path in names.items()}
            self._files = {key: open(path, "rb+") for key, path in names.items()}  # noqa: SIM115 - closed in __exit__
            for key, file in self._files.items():
                file.truncate(state["files"][key][0])
                file.seek(0, os.SEEK_END)
        else:
            self._sums = {key: hashlib.sha256() for key in names}
            self._files = {key: open(path, "wb+") for key, path in names.items()}  # noqa: SIM115 - closed in __exit__
            self._write("offsets", np.zeros(1), OFFSET)

    def state(self) -> State:
        """What a later writer goes on from, once all that was written is on disk."""
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())
        files = {key: [file.tell(), self._sums[key].hexdigest()] for key, file in self._files.items()}
        return {**{key: getattr(self, key) for key in COUNTED}, "files": files}

    def __enter__(self) -> "SplitWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files.values():
            file.close()

    def _write(self, key: str, values: npt.NDArray[Any], dtype: np.dtype[Any]) -> None:
        if key in self._files:
            content = np.ascontiguousarray(values, dtype=dtype).tobytes()
            self._files[key].write(content)
            self._sums[key].update(content)

    def add(self, piece: Encoded) -> None:
        self._write("tokens", piece.tokens, piece.tokens.dtype)
        self._write("offsets", self.num_tokens + np.cumsum(piece.lengths), OFFSET)
        self._write("num_bytes", piece.num_bytes, NUM_BYTES)
        self._write("hashes", piece.story_hashes, STORY_HASH)
        if piece.gpt2_lengths is not None:
            self._write("gpt2_lengths", piece.gpt2_lengths, GPT2_LENGTH)
        self.num_stories += len(piece.lengths)
        self.num_tokens += len(piece.tokens)
        self.num_bytes += int(piece.num_bytes.sum())
        self.num_empty += piece.num_empty
        self.removed = [a + b for a, b in zip(self.removed or [0] * len(piece.removed), piece.removed, strict=True)]
        if piece.nats is not None:
            self.nats = (self.nats or 0.0) + float(piece.nats.sum())

    def sha256(self, *, texts: bool) -> dict[str, str]:
        """File -> checksum, of the stories' own arrays or of the tokens."""
        chosen = (key for key in self._names if (key not in ("tokens", "offsets")) == texts)
        if not self._has_texts:
            chosen = (key for key in chosen if key != "hashes")
        return {self._names[key]: self._sums[key].hexdigest() for key in chosen}

    def facts(self) -> SplitFacts:
        return SplitFacts(
            num_stories=self.num_stories,
            num_bytes=self.num_bytes,
            text_hash=self._sums["hashes"].hexdigest(),
            nats=self.nats,
        )


def _sum_of(path: Path, size: int, expected: str) -> "hashlib._Hash":
    """The checksum so far of a file that is written on: of its first `size` bytes. Raises InputError where these are
    not what was written."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            left = size
            while left and (block := file.read(min(left, 1 << 20))):
                digest.update(block)
                left -= len(block)
    except OSError as error:
        raise damaged(path, error) from error
    if left or digest.hexdigest() != expected:
        raise damaged(path, "it is not what was written")
    return digest
