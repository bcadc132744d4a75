"""A request of `/v1/completions`, read strictly: what we do not do is refused, not passed over."""

import secrets
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fabula.model.decode.sampling import NoSampling, Sampling
from fabula.play.openai.errors import Refused
from fabula.play.shelf import Shelf, Shown

MOST_TOKENS = 4_096
MOST_STORIES = 64
"""Of one request: prompts times n. They are told one after the other."""
MOST_LOGPROBS = 20
MOST_STOPS = 4

Stop = Annotated[str, Field(min_length=1, max_length=200)]


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    include_usage: bool = False


class _Body(BaseModel):
    """OpenAI's fields, and those of its relatives (vLLM, llama.cpp) that we have: top_k, min_p, repetition_penalty."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: str
    prompt: str | list[str] | list[int] | list[list[int]] = ""
    max_tokens: int = Field(16, ge=0, le=MOST_TOKENS)
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    n: int = Field(1, ge=1, le=MOST_STORIES)
    best_of: int = 1
    stream: bool = False
    stream_options: _Options = _Options()
    logprobs: int | None = Field(None, ge=0, le=MOST_LOGPROBS)
    echo: bool = False
    stop: Stop | list[Stop] = Field(default_factory=list)
    seed: int | None = Field(None, ge=0, le=2**63)
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: dict[str, float] = {}
    suffix: str = ""
    user: str = ""


@dataclass(frozen=True)
class Request:
    """What is asked, all of which is done."""

    called: str
    """The model, as it was named."""
    shown: Shown
    step: int
    prompts: tuple[str | tuple[int, ...], ...]
    n: int
    num_tokens: int
    sampling: Sampling
    seed: int
    stops: tuple[str, ...]
    logprobs: int | None
    echo: bool
    stream: bool
    usage: bool


def read_request(tree: dict[str, Any], shelf: Shelf) -> Request:
    """Raises Refused, with the field that is wrong."""
    try:  # null is what was not said, as clients send it
        body = _Body.model_validate({name: value for name, value in tree.items() if value is not None})
    except ValidationError as error:
        raise _refused(error) from None
    _refuse_what_we_lack(body)
    shown, step = _model(body.model, shelf)
    prompts = _prompts(body.prompt)
    if len(prompts) * body.n > MOST_STORIES:
        raise Refused(400, f"{len(prompts)} prompts with n = {body.n} are more than {MOST_STORIES} at once", "n")
    stops = [body.stop] if isinstance(body.stop, str) else body.stop
    if len(stops) > MOST_STOPS:
        raise Refused(400, f"{len(stops)} stop sequences are more than {MOST_STOPS}", "stop")
    if body.max_tokens == 0 and not body.echo:
        raise Refused(400, "max_tokens is 0, so there is nothing to tell; that has a use with echo alone", "max_tokens")
    try:
        sampling = Sampling(body.temperature, body.top_k, body.top_p, body.min_p, body.repetition_penalty)
    except NoSampling as error:
        raise Refused(400, str(error), error.field) from None
    return Request(
        called=body.model,
        shown=shown,
        step=step,
        prompts=prompts,
        n=body.n,
        num_tokens=body.max_tokens,
        sampling=sampling,
        seed=secrets.randbelow(2**32) if body.seed is None else body.seed,
        stops=tuple(stops),
        logprobs=body.logprobs,
        echo=body.echo,
        stream=body.stream,
        usage=body.stream_options.include_usage,
    )


def _refused(error: ValidationError) -> Refused:
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][0])
    if first["type"] == "extra_forbidden":
        return Refused(400, f"fabula does not know the field {name}; leave it out", name, "unknown_parameter")
    if name == "prompt":
        return Refused(400, "prompt is a text, a list of texts, a list of token ids, or a list of such lists", name)
    return Refused(400, f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}", name)


def _refuse_what_we_lack(body: _Body) -> None:
    for name, lacks in (
        ("presence_penalty", body.presence_penalty != 0),
        ("frequency_penalty", body.frequency_penalty != 0),
        ("logit_bias", bool(body.logit_bias)),
        ("suffix", body.suffix != ""),
        ("best_of", body.best_of not in (1, body.n)),
    ):
        if lacks:
            near = "; repetition_penalty is there" if "penalty" in name else ""
            raise Refused(400, f"fabula has no {name}{near}; leave it out", name, "unsupported_parameter")


def _model(called: str, shelf: Shelf) -> tuple[Shown, int]:
    """A model by its name, or by name@step for one of its checkpoints."""
    for shown in shelf.models:
        if called == shown.name:
            return shown, shown.step
        for step in shown.checkpoints:
            if called == f"{shown.name}@{step}":
                return shown, step
    names = ", ".join(shown.name for shown in shelf.models)
    raise Refused(404, f"there is no model {called!r} here; there is {names}", "model", "model_not_found")


def _prompts(given: str | list[str] | list[int] | list[list[int]]) -> tuple[str | tuple[int, ...], ...]:
    if isinstance(given, str):
        return (given,)
    if given and all(isinstance(each, int) for each in given):
        return (tuple(int(each) for each in given if isinstance(each, int)),)
    prompts = tuple(each if isinstance(each, str) else tuple(each) for each in given if not isinstance(each, int))
    if not prompts:
        raise Refused(400, "prompt is an empty list; give a text, which may be empty", "prompt")
    return prompts
