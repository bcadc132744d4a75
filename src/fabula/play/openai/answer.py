"""The stories of one request, one after the other, as pieces of an answer."""

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from fabula.errors import InputError
from fabula.model.decode.generate import Prepared, check_prompts
from fabula.model.decode.prompts import prompt_tokens
from fabula.play.openai.errors import Refused
from fabula.play.openai.logprobs import Logprobs
from fabula.play.openai.request import Request
from fabula.play.openai.text import Until
from fabula.play.story import Story, Wish, prompt_log_probabilities
from fabula.play.turns import Teller


@dataclass(frozen=True)
class Prompt:
    """A prompt as the model sees it."""

    text: str
    tokens: list[int]
    begun: int
    """Tokens before the text: end-of-text, where a story begins with it."""
    spaces: int
    """At the end of the text, which the model does not see: a token brings its own."""


@dataclass(frozen=True)
class Piece:
    """A part of choice `index`; `finish` on its last one."""

    index: int
    text: str
    logprobs: dict[str, Any] | None
    finish: str | None
    tokens: int


def read_prompts(request: Request, weights: Prepared) -> list[Prompt]:
    """Raises Refused for what is longer than the context, and for ids that no token has."""
    shown = request.shown
    prompts = []
    for given in request.prompts:
        if isinstance(given, str):
            tokens = prompt_tokens(shown.tokenizer, given, shown.recipe.batch.end_of_text)
            begun = 1 if tokens[0] == shown.tokenizer.eot else 0
            prompt = Prompt(given, tokens, begun, len(given) - len(given.rstrip(" ")))
        elif all(0 <= token < shown.tokenizer.vocabulary for token in given):
            prompt = Prompt(shown.tokenizer.decode(list(given)), list(given), 0, 0)
        else:
            raise Refused(400, f"token ids are from 0 to {shown.tokenizer.vocabulary - 1:,}", "prompt")
        try:
            check_prompts(weights.model, [prompt.tokens])
        except InputError as error:
            code = "context_length_exceeded" if prompt.tokens else None
            raise Refused(400, str(error), "prompt", code) from None
        prompts.append(prompt)
    return prompts


async def answered(
    request: Request,
    prompts: list[Prompt],
    weights: Prepared,
    teller: Teller,
    gone: Callable[[], Awaitable[bool]],
) -> AsyncGenerator[Piece, None]:
    """Raises InputError for logits that are not finite. Ends early where nobody listens any more (`gone`)."""
    for place, prompt in enumerate(prompts):
        for number in range(request.n):
            index = place * request.n + number
            length = 0
            if request.echo:
                logprobs = None
                if request.logprobs is not None:
                    logprobs = await asyncio.to_thread(_of_prompt, request, prompt, weights, request.logprobs)
                finish = "length" if request.num_tokens == 0 else None
                yield Piece(index, prompt.text, logprobs, finish, 0)
                length = len(prompt.text)
            if request.num_tokens:
                told = _told(request, prompt, weights, teller, index, request.seed + number, length)
                async with aclosing(told) as pieces:
                    async for piece in pieces:
                        yield piece
                        if await gone():
                            return


async def _told(
    request: Request, prompt: Prompt, weights: Prepared, teller: Teller, index: int, seed: int, begun: int
) -> AsyncGenerator[Piece, None]:
    """`begun`: characters of the answer before the story. A token is told of once its text is said: of a stop sequence
    there is none."""
    tokenizer = request.shown.tokenizer
    wish = Wish(prompt.tokens, request.sampling, seed, request.num_tokens, request.logprobs or 0)
    story, text, logprobs = Story(weights, tokenizer, wish), Until(request.stops, prompt.spaces), Logprobs(tokenizer)
    finish, end = "length", begun

    def piece(said: str, tokens: int, finish: str | None, known_to: float) -> Piece:
        return Piece(index, said, None if request.logprobs is None else logprobs.taken(known_to), finish, tokens)

    async with aclosing(teller.told(story)) as stream:
        async for slice_ in stream:
            said, number = "", 0
            for told in slice_:
                number += 1
                if told.ended:
                    finish = "stop"
                    break
                logprobs.add(told, begun + text.length)
                said += text.piece(told.text)
                if text.stopped:
                    break
            end += len(said)
            yield piece(said, number, None, end)
            if text.stopped:
                break
    rest = "" if text.stopped else text.piece(story.rest()) + text.rest()
    yield piece(rest, 0, "stop" if text.stopped else finish, end + len(rest) if text.stopped else math.inf)


def _of_prompt(request: Request, prompt: Prompt, weights: Prepared, number: int) -> dict[str, Any]:
    """Log-probabilities of the prompt's own tokens; the very first one follows nothing and has none."""
    tokenizer = request.shown.tokenizer
    scored = prompt_log_probabilities(weights.model, prompt.tokens, number) if len(prompt.tokens) > 1 else []
    known, logprobs = [None, *scored], Logprobs(tokenizer)
    for place in range(prompt.begun, len(prompt.tokens)):
        before = tokenizer.decode(prompt.tokens[prompt.begun : place])
        logprobs.add_prompt(prompt.tokens[place], known[place], len(before))
    return logprobs.taken()
