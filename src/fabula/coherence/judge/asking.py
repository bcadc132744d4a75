"""Asks many questions of one judge, whatever its server does: retries, rate limits, time-outs, and when to stop.

Nothing that a server says or leaves out ends an evaluation. Each question comes back with an answer or with one word
that says why there is none.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from fabula.coherence.judge.rubric import Answer
from fabula.coherence.judge.told import Question

Failure = Literal["limited", "server", "late", "connection", "malformed", "refused", "rejected", "not asked"]
"""Why a question has no answer; study/judging/words.py has the words."""
AGAIN: frozenset[Failure] = frozenset(("limited", "server", "late", "connection", "malformed"))
"""What another try may mend."""
UNREACHED: frozenset[Failure] = frozenset(("limited", "server", "late", "connection", "rejected"))
"""What, time after time, says that the server is there for no question."""


@dataclass(frozen=True)
class Settings:
    """How patient a session is."""

    timeout: float = 60.0
    """Seconds for one try, from the request to the last byte."""
    tries: int = 4
    at_once: int = 4
    """Requests under way together."""
    first_wait: float = 1.0
    """Seconds before the second try; doubled for each one after it. A server that says when to come again is heard."""
    longest_wait: float = 60.0
    """Who asks for more is not waited for: its questions stay open, and the next session asks them again."""
    give_up: int = 6
    """Questions in a row that no server answered, after which the rest is not asked."""
    most_dollars: float | None = None


class Rejected(Exception):
    """The server will accept no request of this session: a wrong key, a model that is not there."""


@dataclass(frozen=True)
class Reply:
    """One try. `wait`: seconds after which the server wants to be asked again."""

    answer: Answer | None = None
    failure: Failure | None = None
    status: int | None = None
    wait: float | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    tries: int = 1
    said: str = ""
    """What the server said of its failure, for the user's eyes: it is written nowhere."""


class Client(Protocol):
    """A judge behind a server. Raises Rejected where no other question would fare better."""

    async def ask(self, question: Question) -> Reply: ...


class Budget:
    """What was spent so far; it is over where the next question might cost more than is left."""

    def __init__(self, most: float | None, cost_of: Callable[[int, int], float | None]) -> None:
        self.most, self.cost_of, self.spent, self._asked, self._under_way = most, cost_of, 0.0, 0, 0

    @property
    def open(self) -> bool:
        """As long as all that is under way and one more, at the mean price so far, fit in."""
        mean = self.spent / self._asked if self._asked else 0.0
        return self.most is None or self.spent + mean * (self._under_way + 1) <= self.most

    def begin(self) -> None:
        self._under_way += 1

    def end(self, reply: Reply) -> None:
        self._under_way -= 1
        self._asked += 1
        self.spent += self.cost_of(reply.tokens_in, reply.tokens_out) or 0.0


Sleep = Callable[[float], Awaitable[None]]
Answered = Callable[[Question, Reply], None]


class _Asking:
    """One session's state: who waits until when, and how many in a row failed."""

    def __init__(self, client: Client, settings: Settings, budget: Budget, sleep: Sleep) -> None:
        self.client, self.settings, self.budget, self.sleep = client, settings, budget, sleep
        self.in_a_row = 0
        self.pausing = 0
        self.rejected: Rejected | None = None
        self.go_on = asyncio.Event()
        self.go_on.set()

    @property
    def over(self) -> bool:
        return self.rejected is not None or self.in_a_row >= self.settings.give_up or not self.budget.open

    async def ask(self, question: Question) -> Reply:
        """With as many tries as it takes and may take."""
        spent = Reply(tries=0)
        for attempt in range(self.settings.tries):
            await self.go_on.wait()
            if self.over:
                return replace(spent, failure=spent.failure or "not asked")
            reply = await self._once(question)
            spent = replace(
                reply,
                tries=spent.tries + 1,
                tokens_in=spent.tokens_in + reply.tokens_in,
                tokens_out=spent.tokens_out + reply.tokens_out,
            )
            if reply.failure not in UNREACHED:
                self.in_a_row = 0
            if reply.failure not in AGAIN or attempt + 1 == self.settings.tries:
                break
            if not await self._pause(reply, attempt):
                break
        if spent.failure in UNREACHED:
            self.in_a_row += 1
        return spent

    async def _once(self, question: Question) -> Reply:
        self.budget.begin()
        reply = Reply(failure="connection")
        try:
            async with asyncio.timeout(self.settings.timeout):
                reply = await self.client.ask(question)
        except TimeoutError:
            reply = Reply(failure="late")
        finally:
            self.budget.end(reply)
        return reply

    async def _pause(self, reply: Reply, attempt: int) -> bool:
        """Whether there is another try. Where the server has too many requests, nobody begins one meanwhile."""
        if reply.failure == "malformed":  # the server is well, and the next answer is another one
            return True
        wait = self.settings.first_wait * 2.0**attempt if reply.wait is None else reply.wait
        if wait > self.settings.longest_wait:
            return False
        if reply.failure != "limited":
            await self.sleep(wait)
            return True
        self.pausing += 1
        self.go_on.clear()
        try:
            await self.sleep(wait)
        finally:
            self.pausing -= 1
            if not self.pausing:
                self.go_on.set()
        return True


async def ask_all(
    questions: Sequence[Question],
    client: Client,
    settings: Settings,
    budget: Budget,
    answered: Answered,
    sleep: Sleep = asyncio.sleep,
) -> None:
    """Ask every question; `answered` hears of each as it comes. Raises Rejected once, after all others have come back,
    where the server accepts nothing."""
    asking = _Asking(client, settings, budget, sleep)
    waiting = iter(questions)

    async def work() -> None:
        for question in waiting:
            try:
                reply = await asking.ask(question)
            except Rejected as error:
                asking.rejected = error
                reply = Reply(failure="rejected", tries=1)
            answered(question, reply)

    async with asyncio.TaskGroup() as group:
        for _ in range(min(settings.at_once, len(questions))):
            group.create_task(work())
    if asking.rejected is not None:
        raise asking.rejected
