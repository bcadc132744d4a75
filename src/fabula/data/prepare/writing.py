"""Writing the arrays of a split piece by piece, so that a split of any size is never in memory."""

import hashlib
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from fabula.data.dataset import GPT2_LENGTH, NUM_BYTES, OFFSET, STORY_HASH, SplitFacts, SplitName
from fabula.data.prepare.tasks import Encoded


class SplitWriter:
    """Appends encoded stories to the files of one split; a context manager.

    `texts` is None when the folder has the stories' own arrays already and another tokenization is added.
    """

    def __init__(self, name: SplitName, tokens: Path, texts: Path | None, with_gpt2_lengths: bool) -> None:
        names = {"tokens": tokens / f"{name}.tokens.bin", "offsets": tokens / f"{name}.offsets.bin"}
        if texts is not None:
            names |= {"num_bytes": texts / f"{name}.num_bytes.bin", "hashes": texts / f"{name}.story_hashes.bin"}
            if with_gpt2_lengths:
                names["gpt2_lengths"] = texts / f"{name}.gpt2_lengths.bin"
        self._names = {key: path.name for key, path in names.items()}
        self._sums = {key: hashlib.sha256() for key in names}
        self._files = {key: open(path, "wb") for key, path in names.items()}  # noqa: SIM115 - closed in __exit__
        self._hash = hashlib.sha256()
        self.num_stories = self.num_tokens = self.num_bytes = self.num_empty = 0
        self.removed: list[int] = []
        self.nats: float | None = None
        self._write("offsets", np.zeros(1), OFFSET)

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
        self._hash.update(piece.story_hashes.astype(STORY_HASH).tobytes())
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
        return {self._names[key]: self._sums[key].hexdigest() for key in chosen}

    def facts(self) -> SplitFacts:
        return SplitFacts(
            num_stories=self.num_stories, num_bytes=self.num_bytes, text_hash=self._hash.hexdigest(), nats=self.nats
        )
