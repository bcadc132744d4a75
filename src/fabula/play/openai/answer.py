"""The stories of one request, one after the other, as pieces of an answer."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from fabula.errors import InputError
from fabula.model.decode.generate import check_prompts
from fabula.model.decode.weights import DecodingWeights
from fabula.play.openai.errors import Refused
from fabula.play.openai.logprobs import Logprobs
from fabula.play.openai.request import Request
from fabula.play.openai.text import Until
from fabula.play.story import Story, Wish, beginning, prompt_log_probabilities
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


def read_prompts(request: Request, weights: DecodingWeights) -> list[Prompt]:
    """Raises Refused for what is longer than the context."""
    shown = request.shown
    prompts = []
    for given in request.prompts:
        try:
            if isinstance(given, str):
                tokens = beginning(given, weights.model, shown.recipe, shown.tokenizer)
                begun = 1 if tokens[0] == shown.tokenizer.eot else 0
                prompts.append(Prompt(given, tokens, begun, len(given) - len(given.rstrip(" "))))
            else:
                tokens = list(given)
                if not all(0 <= token < shown.tokenizer.vocabulary for token in tokens):
                    raise Refused(400, f"token ids are from 0 to {shown.tokenizer.vocabulary - 1:,}", "prompt")
                check_prompts(weights.model, [tokens])
                prompts.append(Prompt(shown.tokenizer.decode(tokens), tokens, 0, 0))
        except InputError as error:
            raise Refused(400, str(error), "prompt", "context_length_exceeded") from None
    return prompts


async def answered(
    request: Request,
    prompts: list[Prompt],
    weights: DecodingWeights,
    teller: Teller,
    gone: Callable[[], Awaitable[bool]],
) -> AsyncIterator[Piece]:
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
                async for piece in _told(request, prompt, weights, teller, index, request.seed + number, length):
                    yield piece
                    if await gone():
                        return


async def _told(
    request: Request, prompt: Prompt, weights: DecodingWeights, teller: Teller, index: int, seed: int, offset: int
) -> AsyncIterator[Piece]:
    tokenizer = request.shown.tokenizer
    wish = Wish(prompt.tokens, request.sampling, seed, request.num_tokens, request.logprobs or 0)
    story, text = Story(weights, tokenizer, wish), Until(request.stops, prompt.spaces)
    finish = "length"
    stream = teller.told(story)
    try:
        async for slice_ in stream:
            said, number = "", 0
            logprobs = Logprobs(tokenizer) if request.logprobs is not None else None
            for told in slice_:
                number += 1
                if told.ended:
                    finish = "stop"
                    break
                if logprobs is not None:
                    logprobs.add(told, offset + len(said))
                said += text.piece(told.text)
                if text.stopped:
                    finish = "stop"
                    break
            yield Piece(index, said, logprobs.as_object() if logprobs else None, None, number)
            offset += len(said)
            if text.stopped:
                break
    finally:
        await stream.aclose()
    rest = "" if text.stopped else text.piece(story.rest()) + text.rest()
    yield Piece(index, rest, None, "stop" if text.stopped else finish, 0)


def _of_prompt(request: Request, prompt: Prompt, weights: DecodingWeights, number: int) -> dict[str, Any]:
    """Log-probabilities of the prompt's own tokens; the very first one follows nothing and has none."""
    tokenizer = request.shown.tokenizer
    known = [None, *prompt_log_probabilities(weights.model, prompt.tokens)] if len(prompt.tokens) > 1 else [None]
    logprobs = Logprobs(tokenizer)
    for place in range(prompt.begun, len(prompt.tokens)):
        before = tokenizer.decode(prompt.tokens[prompt.begun : place])
        logprobs.add_prompt(prompt.tokens[place], known[place], number, len(before))
    return logprobs.as_object()
