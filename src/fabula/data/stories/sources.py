"""Where stories come from: the built-in grammar, files, folders, pipes, data sets of the Hugging Face hub."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from fabula.data.stories.chunks import Chunk, StoryFile
from fabula.data.stories.reading import read_file

GRAMMAR = "grammar"
BUILTIN = "builtin"
"""What the built-in stories are called on the command line; their older name GRAMMAR is in the manifests."""
GRAMMAR_CHUNK = 256  # stories


class Source(Protocol):
    """Stories in a fixed order, as often as wanted."""

    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int:
        """The sum of its chunks' weights."""
        ...

    def chunks(self) -> Iterator[Chunk]: ...


@dataclass(frozen=True)
class FileSource:
    name: str
    files: tuple[StoryFile, ...]

    @property
    def size(self) -> int:
        return sum(file.path.stat().st_size for file in self.files)

    def chunks(self) -> Iterator[Chunk]:
        for file in self.files:
            yield from read_file(file)


@dataclass(frozen=True)
class GrammarSource:
    """Stories `start` to `stop` - 1 of the built-in grammar."""

    name: str
    start: int
    stop: int

    @property
    def size(self) -> int:
        return self.stop - self.start

    def chunks(self) -> Iterator[Chunk]:
        for first in range(self.start, self.stop, GRAMMAR_CHUNK):
            stop = min(first + GRAMMAR_CHUNK, self.stop)
            yield Chunk("grammar", self.name, first, stop - first, stop=stop)


@dataclass(frozen=True)
class KeptSource:
    """A source in memory, read and parsed."""

    name: str
    size: int
    kept: tuple[Chunk, ...]

    def chunks(self) -> Iterator[Chunk]:
        return iter(self.kept)


@dataclass(frozen=True)
class CutSource:
    """The first chunks of a source, and of the last of them only the first stories."""

    whole: Source
    num_chunks: int
    take_of_last: int

    @property
    def name(self) -> str:
        return self.whole.name

    @property
    def size(self) -> int:
        return self.whole.size

    def chunks(self) -> Iterator[Chunk]:
        for number, chunk in zip(range(1, self.num_chunks + 1), self.whole.chunks(), strict=False):
            yield replace(chunk, take=self.take_of_last) if number == self.num_chunks else chunk
