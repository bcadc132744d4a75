"""What the page asks: which models there are, and a story in pieces, one JSON object a line."""

import asyncio
import json
import math
from collections.abc import AsyncGenerator
from contextlib import ExitStack, aclosing
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from fabula.errors import InputError
from fabula.model.decode.sampling import Sampling
from fabula.model.decoder import Decoder
from fabula.model.own import OwnModel
from fabula.play.asking import asked_object
from fabula.play.shelf import Shelf, Shown
from fabula.play.story import Candidate, Story, Told, Wish, beginning, known_tokens, text_of
from fabula.play.turns import Busy, Lane, StreamedInPlace, Teller

MOST_TOKENS = 4_096
"""Of a story at once; what is longer goes on with `ids`."""
MOST_ALTERNATIVES = 50
MORE_CHECKPOINTS = (
    "A run keeps its last two and its best one; trained with --set checkpoint.every=100 --set checkpoint.keep=0 it "
    "keeps one in 100 steps. Step 0 is made again from the seed."
)
BUSY = "too many stories are asked for at once; try again in a moment"


class Asked(BaseModel):
    """The names are those of the page's script (page/engine.md)."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: str
    step: int | None = None
    text: str = ""
    ids: list[int] | None = None
    told: int = Field(0, ge=0)
    drawn: int = Field(0, ge=0, le=1_000_000)
    maxTokens: int = Field(300, ge=1, le=MOST_TOKENS)
    temperature: float = 0.8
    topP: float = 0.95
    topK: int = 0
    minP: float = 0.0
    seed: int = Field(0, ge=0, le=2**53)
    alternatives: int = Field(8, ge=0, le=MOST_ALTERNATIVES)


class PageApi:
    def __init__(self, shelf: Shelf, teller: Teller) -> None:
        self.shelf, self.teller = shelf, teller
        # 16 stories: four pages of four; those of a page that was closed leave at once.
        self.lane = Lane(at_once=16, most=64)

    async def models(self, request: Request) -> Response:
        models = self.shelf.models
        prompts = dict.fromkeys(prompt for each in models for prompt in each.recipe.evaluation.prompts)
        return JSONResponse(
            {
                "features": {
                    "checkpoints": True,
                    "copied": any(each.training is not None for each in models),
                    "api": True,
                },
                "models": [_described(each, self.shelf.one_tokenizer) for each in models],
                "prompts": list(prompts)[:6],
            }
        )

    async def story(self, request: Request) -> Response:
        try:
            with ExitStack() as held:
                held.enter_context(self.lane.place())  # before anything is read, so that what is kept is bounded
                asked = _read(await asked_object(request))
                shown = self.shelf.model(asked.model)
                if shown is None:
                    raise InputError("this model is not open any more; load the page again")
                weights = await asyncio.to_thread(
                    self.shelf.weights, shown, shown.step if asked.step is None else asked.step
                )
                wish = await asyncio.to_thread(_wish, asked, shown, weights.model)
                lines = self._lines(shown, Story(weights, shown.tokenizer, wish), asked, wish)
                return StreamedInPlace(lines, held.pop_all(), "application/x-ndjson")
        except InputError as error:
            return JSONResponse({"message": str(error)}, 400)
        except Busy:
            return JSONResponse({"message": BUSY}, 429, {"Retry-After": "2"})

    async def _lines(self, shown: Shown, story: Story, asked: Asked, wish: Wish) -> AsyncGenerator[str, None]:
        ids = asked.ids or list(wish.prompt)
        yield _line({"kind": "start", "ids": ids})
        told = ids[max(0, len(ids) - asked.told) :] if asked.told else []
        end: dict[str, Any] = {"reason": "length"}
        try:
            async with self.lane.turn(), aclosing(self.teller.told(story)) as stream:
                async for pieces in stream:
                    told += [each.token for each in pieces if not each.ended]
                    yield "".join(
                        _line({"kind": "token", "id": each.token, "text": each.text, **_chances(shown, each)})
                        for each in pieces
                        if not each.ended
                    )
                    if pieces[-1].ended:
                        end = {"reason": "story", **_chances(shown, pieces[-1])}
        except InputError as error:
            yield _line({"kind": "error", "message": str(error)})
            return
        known = await asyncio.to_thread(_copied, shown, told)
        yield _line({"kind": "end", "text": story.rest(), **end, **known})


def _wish(asked: Asked, shown: Shown, model: Decoder | OwnModel) -> Wish:
    if asked.ids is None:
        prompt = beginning(asked.text, model, shown.recipe, shown.tokenizer)
    else:
        prompt = known_tokens(asked.ids, model.vocabulary, model.shape.context)
    sampling = Sampling(asked.temperature, asked.topK, asked.topP, asked.minP)
    return Wish(prompt, sampling, asked.seed, asked.maxTokens, asked.alternatives, asked.drawn, asked.told)


def _copied(shown: Shown, told: list[int]) -> dict[str, Any]:
    """What stands in the training stories, and how much of it is usual; null where they are not on this machine."""
    if shown.training is None:
        return {"copied": None, "usual": None}
    return {"copied": shown.training.copied(told), "usual": shown.training.usual}


def _read(tree: dict[str, Any]) -> Asked:
    try:
        return Asked.model_validate(tree)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InputError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def _line(value: dict[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False) + "\n"


def _chances(shown: Shown, told: Told) -> dict[str, Any]:
    return {
        "probability": math.exp(told.log_probability),
        "alternatives": [_alternative(shown, each) for each in told.alternatives],
    }


def _alternative(shown: Shown, candidate: Candidate) -> dict[str, Any]:
    end = candidate.token == shown.tokenizer.eot
    text = "" if end else text_of(shown.tokenizer, candidate.token)
    said = {"id": candidate.token, "text": text, "probability": math.exp(candidate.log_probability)}
    return {**said, "end": True} if end else said


def _described(shown: Shown, one_tokenizer: bool) -> dict[str, Any]:
    checkpoints = shown.checkpoints
    losses = shown.losses if one_tokenizer else {}
    return {
        "id": shown.id,
        "name": shown.name,
        "parameters": shown.parameters,
        "context": shown.recipe.model.context,
        "vocabulary": shown.vocabulary,
        "step": shown.step,
        "steps": shown.recipe.steps,
        "checkpoints": checkpoints,
        "loss": losses.get(shown.step),
        "losses": {str(step): loss for step, loss in losses.items() if step in checkpoints},
        "copied": shown.training is not None,
        "card": _card(shown, checkpoints),
    }


def _card(shown: Shown, checkpoints: list[int]) -> list[tuple[str, str]]:
    """What there is to know of a model, as its run says it."""
    info, model = shown.info, shown.recipe.model
    data = info.get("data") or {}
    own = shown.recipe.own.model
    shape = f"a model of its maker's own ({own})" if own else f"{model.layers} layers, width {model.width}"
    said = {
        "recipe": info.get("recipe") or shown.recipe.name,
        "folder": str(shown.run),
        "stories": data.get("source"),
        "tokenizer": f"{data.get('tokenizer') or shown.tokenizer.name}, {shown.vocabulary:,} tokens",
        "shape": f"{shape}, context {model.context:,} tokens",
        "status": info.get("status"),
        "seed": info.get("seed"),
        "checkpoints": f"{', '.join(f'{step:,}' for step in checkpoints)}. {MORE_CHECKPOINTS}",
        "copied words": None if shown.training else "not known: the training stories are not on this machine",
    }
    return [(name, str(value)) for name, value in said.items() if value is not None]
