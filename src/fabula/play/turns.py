"""Who is told a story, and when: one thread makes all tokens, a slice of time for each story in turn.

Each story is made by itself, not as a row of a batch, so that it is to the letter what its seed gives alone
(`fabula generate`). What it costs is the same for all: with S stories at once each gets a token S times as seldom.
A story moves on only when what it told was taken, so a slow reader costs no memory, and one that has gone no time.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, aclosing, asynccontextmanager, contextmanager

import torch
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from fabula.play.story import Story, Told

SMALL = 20_000_000
"""Parameters up to which one thread of torch's makes the tokens. A second one waits for each small piece of work
that the first one has: beside other programs two told a seventh of what one told (docs/log.md, "The page to play
with")."""
PATIENCE_SECONDS = 60.0
SLICE_SECONDS = 0.01
"""With 16 stories at once, each moves six times a second; handing a story over costs a hundredth of that."""


def threads_for(parameters: int) -> int:
    """Torch's threads for models of so many parameters."""
    return 1 if parameters <= SMALL else torch.get_num_threads()


class Busy(Exception):
    """The queue is full."""


class Lane:
    """A bounded queue before a bounded number of stories at once. A place in it is taken before anything is answered,
    and left when all is answered, or nobody listens any more."""

    def __init__(self, at_once: int, most: int) -> None:
        self.most, self.taken = most, 0
        self._turns = asyncio.Semaphore(at_once)

    def place(self) -> AbstractContextManager[None]:
        """What leaves the place in the end; to be entered whatever happens. Raises Busy where all are taken."""
        if self.taken >= self.most:
            raise Busy
        self.taken += 1
        return self._left_in_the_end()

    @contextmanager
    def _left_in_the_end(self) -> Iterator[None]:
        try:
            yield
        finally:
            self.taken -= 1

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Waits until it is one of those at once, first come, first served."""
        async with self._turns:
            yield


class StreamedInPlace(StreamingResponse):
    """An answer that leaves its place in the queue when it is whole, and when nobody listens any more, or takes nothing
    for `PATIENCE_SECONDS`."""

    def __init__(
        self, lines: AsyncGenerator[str, None], place: AbstractContextManager[object], media_type: str
    ) -> None:
        super().__init__(lines, media_type=media_type)
        self._lines, self._place = lines, place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def patient(message: Message) -> None:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await send(message)

        with self._place:
            async with aclosing(self._lines):  # its turn too: left open, it would end with Python's next collection
                await super().__call__(scope, receive, patient)


class Teller:
    """The thread that makes the tokens, on `threads` of torch's."""

    def __init__(self, threads: int) -> None:
        self._thread = ThreadPoolExecutor(1, "stories", torch.set_num_threads, (threads,))

    async def told(self, story: Story) -> AsyncGenerator[list[Told], None]:
        """The story in pieces, as they come. Raises what making it raises."""
        loop = asyncio.get_running_loop()
        while True:
            told, ended = await loop.run_in_executor(self._thread, _slice, story)
            if told:
                yield told
            if ended:
                return

    def close(self) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)


def _slice(story: Story) -> tuple[list[Told], bool]:
    """What is told in a slice of time, one token at least, and whether the story has come to its end."""
    told: list[Told] = []
    until = time.monotonic() + SLICE_SECONDS
    with torch.inference_mode():
        for each in story:
            told.append(each)
            if time.monotonic() >= until:
                return told, False
    return told, True
