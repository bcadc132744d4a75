"""A turn is given back at once, however an answer ends, and not when Python next collects what is left over."""

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request

from fabula.play import turns
from fabula.play.openai import routes
from fabula.play.openai.request import MOST_LOGPROBS
from fabula.play.openai.routes import AT_ONCE, MOST, OpenAiApi
from fabula.play.server.page_api import PageApi
from fabula.play.shelf import Shelf
from fabula.play.turns import Lane, StreamedInPlace, Teller
from fabula.score.copies import LEAST
from fabula.score.known_stories import NUM_USUAL

SCOPE = {"type": "http", "asgi": {"spec_version": "2.4"}, "method": "POST", "path": "/", "query_string": b"",
         "headers": [(b"content-type", b"application/json")]}  # fmt: skip


async def takes_nothing(message: Any) -> None:
    if message.get("body"):
        await asyncio.sleep(3600)


async def has_gone(message: Any) -> None:
    if message.get("body"):
        raise OSError("closed")


async def silent() -> Any:
    await asyncio.sleep(3600)


ENDS = pytest.mark.parametrize("send", [takes_nothing, has_gone])


@ENDS
def test_whoever_takes_nothing_or_goes_gives_back_the_turn(send: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "PATIENCE_SECONDS", 0.05)

    async def answer() -> None:
        lane = Lane(1, 2)

        async def lines() -> AsyncGenerator[str, None]:
            async with lane.turn():
                while True:
                    yield "a line"

        kept = lines()  # as a traceback would keep it
        response = StreamedInPlace(kept, lane.place(), "text/plain")
        with pytest.raises(ClientDisconnect):
            await response(SCOPE, silent, send)
        async with asyncio.timeout(5), lane.turn():
            assert lane.taken == 0 and kept.ag_frame is None

    asyncio.run(answer())


@ENDS
@pytest.mark.parametrize("kind", [OpenAiApi, PageApi])
def test_all_that_an_answer_had_begun_is_ended(
    kind: type, send: Any, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "PATIENCE_SECONDS", 0.05)
    begun: list[AsyncGenerator[Any, None]] = []

    def kept(make: Any) -> Any:
        return lambda *arguments: begun.append(make(*arguments)) or begun[-1]

    monkeypatch.setattr(Teller, "told", kept(Teller.told))
    monkeypatch.setattr(routes, "answered", kept(routes.answered))
    story = {"model": "one", "prompt": "a", "max_tokens": 4096, "stream": True}
    body = story if kind is OpenAiApi else {"model": "0", "text": "a", "maxTokens": 4096}

    async def asked() -> Any:
        return {"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}

    async def late(message: Any) -> None:
        """The first piece is taken, so that a story has begun."""
        if b"token" in message.get("body", b"") or b"text_completion" in message.get("body", b""):
            await send(message)

    async def answer() -> None:
        teller = Teller(1)
        api = kind(shelf, teller)
        response = await (api.completions if kind is OpenAiApi else api.story)(Request(SCOPE, asked))
        assert api.lane.taken == 1
        with pytest.raises(ClientDisconnect):
            await response(SCOPE, silent, late)
        assert api.lane.taken == 0 and begun and all(each.ag_frame is None for each in begun)
        teller.close()

    asyncio.run(answer())


def test_the_guide_has_the_numbers_of_the_program(repo: Path) -> None:
    guide = " ".join((repo / "docs" / "play.md").read_text(encoding="utf-8").split())
    for said in (
        f"{AT_ONCE} requests are told at once and {MOST - AT_ONCE} more wait",
        f"`logprobs` ({MOST_LOGPROBS} at most)",
        f"in stretches of {LEAST} tokens or more",
        f"that of {NUM_USUAL} unseen stories",
    ):
        assert said in guide
