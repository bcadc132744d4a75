"""`/v1/models` and `/v1/completions`."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import ExitStack, aclosing
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response

from fabula.errors import InputError
from fabula.play.asking import asked_object
from fabula.play.openai.answer import Piece, answered, read_prompts
from fabula.play.openai.errors import Refused, error_object, refusal
from fabula.play.openai.request import Request, read_request
from fabula.play.shelf import Shelf
from fabula.play.turns import Busy, Lane, StreamedInPlace, Teller

AT_ONCE, MOST = 8, 256
"""Stories told at once, which bounds the caches; requests that are answered or wait, each of which keeps a prompt."""


class OpenAiApi:
    def __init__(self, shelf: Shelf, teller: Teller) -> None:
        self.shelf, self.teller = shelf, teller
        self.lane = Lane(AT_ONCE, MOST)
        self._since = int(time.time())

    async def models(self, request: HttpRequest) -> Response:
        names = [
            name
            for shown in self.shelf.models
            for name in (shown.name, *(f"{shown.name}@{step}" for step in shown.checkpoints))
        ]
        return JSONResponse({"object": "list", "data": [self._model(name) for name in names]})

    async def unknown(self, request: HttpRequest) -> Response:
        message = f"there is no {request.url.path} here; a model of stories has /v1/completions and /v1/models alone"
        return refusal(Refused(404, message, code="unknown_url"))

    async def completions(self, request: HttpRequest) -> Response:
        try:
            with ExitStack() as held:
                held.enter_context(self.lane.place())  # before anything is read, so that what is kept is bounded
                return await self._answer(request, held)
        except Refused as refused:
            return refusal(refused)
        except InputError as error:
            return refusal(Refused(400, str(error)))
        except Busy:
            message = f"{MOST} requests are being answered or wait already; try again later"
            return refusal(Refused(429, message, code="rate_limit_exceeded"), retry_after=5)

    async def _answer(self, request: HttpRequest, held: ExitStack) -> Response:
        asked = read_request(await asked_object(request), self.shelf)
        weights = await asyncio.to_thread(self.shelf.weights, asked.shown, asked.step)
        prompts = await asyncio.to_thread(read_prompts, asked, weights)
        num_prompt = sum(len(prompt.tokens) for prompt in prompts)
        # A stream is ended by its response, which listens; whatever else waits for a client asks for it.
        gone = _never if asked.stream else request.is_disconnected
        pieces = self._in_turn(answered(asked, prompts, weights, self.teller, gone))
        frame = {
            "id": f"cmpl-{secrets.token_hex(12)}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": asked.called,
        }
        if asked.stream:
            return StreamedInPlace(_events(asked, pieces, frame, num_prompt), held.pop_all(), "text/event-stream")
        try:
            return await _whole(pieces, frame, num_prompt)
        except InputError as error:
            return refusal(Refused(500, str(error)))

    async def _in_turn(self, pieces: AsyncGenerator[Piece, None]) -> AsyncGenerator[Piece, None]:
        async with self.lane.turn(), aclosing(pieces):
            async for piece in pieces:
                yield piece

    def _model(self, name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": self._since, "owned_by": "fabula"}


async def _never() -> bool:
    return False


async def _whole(pieces: AsyncGenerator[Piece, None], frame: dict[str, Any], num_prompt: int) -> Response:
    choices: dict[int, dict[str, Any]] = {}
    num_told = 0
    async for piece in pieces:  # to its end, or to what it raises
        num_told += piece.tokens
        choice = choices.setdefault(piece.index, {"text": "", **_choice(piece, "")})
        choice["text"] += piece.text
        choice["finish_reason"] = piece.finish
        if piece.logprobs is not None and choice["logprobs"] is not piece.logprobs:
            choice["logprobs"] = _joined(choice["logprobs"], piece.logprobs)
    return JSONResponse({**frame, "choices": list(choices.values()), "usage": _usage(num_prompt, num_told)})


async def _events(
    asked: Request, pieces: AsyncGenerator[Piece, None], frame: dict[str, Any], num_prompt: int
) -> AsyncGenerator[str, None]:
    num_told = 0
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                num_told += piece.tokens
                if piece.text or piece.finish or (piece.logprobs and piece.logprobs["tokens"]):
                    yield _event({**frame, "choices": [_choice(piece, piece.text)]})
    except InputError as error:  # the answer has begun, so its status is said
        yield _event(error_object(Refused(500, str(error))))
        return
    if asked.usage:
        yield _event({**frame, "choices": [], "usage": _usage(num_prompt, num_told)})
    yield "data: [DONE]\n\n"


def _event(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, separators=(',', ':'), allow_nan=False)}\n\n"


def _choice(piece: Piece, text: str) -> dict[str, Any]:
    return {"index": piece.index, "text": text, "logprobs": piece.logprobs, "finish_reason": piece.finish}


def _joined(first: dict[str, Any] | None, then: dict[str, Any]) -> dict[str, Any]:
    return then if first is None else {name: first[name] + values for name, values in then.items()}


def _usage(num_prompt: int, num_told: int) -> dict[str, int]:
    return {"prompt_tokens": num_prompt, "completion_tokens": num_told, "total_tokens": num_prompt + num_told}
