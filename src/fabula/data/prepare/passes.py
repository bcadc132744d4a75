"""A pass: one task over every chunk of a source, in order, with its progress shown."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from fabula.data.prepare.journal import Journal
from fabula.data.prepare.parallel import OrderedMap
from fabula.data.stories.chunks import Chunk
from fabula.data.stories.sources import Source

Result = TypeVar("Result")


class ProgressDisplay(Protocol):
    """Where a preparation shows how far it is."""

    def begin(self, what: str, total: int) -> None: ...
    def advance(self, amount: int) -> None: ...
    def notice(self, text: str) -> None: ...


class Silence:
    """No display."""

    def begin(self, what: str, total: int) -> None:
        return None

    def advance(self, amount: int) -> None:
        return None

    def notice(self, text: str) -> None:
        return None


@dataclass(frozen=True)
class Passes:
    run: OrderedMap
    progress: ProgressDisplay
    work: Path
    """A folder for what is needed only while preparing."""
    journal: Journal = field(default_factory=lambda: Journal(None))

    def over(self, what: str, task: Callable[[Chunk], Result], source: Source, skip: int = 0) -> Iterator[Result]:
        """The task's results in the order of the source's chunks, without those of the first `skip`."""
        self.progress.begin(what, source.size)
        weights: deque[int] = deque()

        def weighed() -> Iterator[Chunk]:
            for number, chunk in enumerate(source.chunks()):
                if number < skip:
                    self.progress.advance(chunk.weight)
                    continue
                weights.append(chunk.weight)
                yield chunk

        for result in self.run(task, weighed()):
            self.progress.advance(weights.popleft())
            yield result
