"""The models for other programs: OpenAI's own client is the judge of the form."""

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest
import torch
from tests.cli.test_generate import command
from tests.play.models import page_of, routes_of
from tests.serve.visits import running

from fabula.play import turns
from fabula.play.openai.text import Until
from fabula.play.server.app import make_app
from fabula.play.shelf import Asked, Shelf

EOT = 256


@pytest.fixture(scope="module")
def url(shelf: Shelf) -> Iterator[str]:
    with page_of(shelf) as url:
        yield url


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}v1", api_key="none", max_retries=0) as client:
        yield client


def test_models_and_their_checkpoints_are_listed(client: openai.OpenAI) -> None:
    names = ["one", "one@0", "one@10", "one@20", "two", "two@0", "two@10", "two@20"]
    assert [each.id for each in client.models.list()] == names


def test_a_completion_is_what_generate_tells(client: openai.OpenAI, asked: list[Asked]) -> None:
    rules = {"max_tokens": 30, "temperature": 0.8, "top_p": 0.95, "n": 3, "seed": 4}
    said = client.completions.create(model="one@10", prompt=["Once", "A dog "], **rules)  # type: ignore[call-overload]
    assert said.object == "text_completion" and said.model == "one@10"
    assert [each.index for each in said.choices] == list(range(6))
    flags = ("--prompt", "Once", "--max-tokens", "30", "--seed", "4", "--count", "3", "--step", "10")
    assert "\n\n".join(f"Once{each.text}" for each in said.choices[:3]) + "\n" == command(asked[0].run, *flags)[0]
    assert said.usage.prompt_tokens == 5 + 6 and 0 < said.usage.completion_tokens <= 180
    assert {each.finish_reason for each in said.choices} <= {"stop", "length"}


def test_a_stream_says_the_same_in_pieces(client: openai.OpenAI) -> None:
    rules: dict[str, Any] = {"model": "two", "prompt": "Once", "max_tokens": 60, "seed": 2, "n": 2, "logprobs": 2}
    whole = client.completions.create(**rules)
    pieces = list(client.completions.create(**rules, stream=True, stream_options={"include_usage": True}))
    assert pieces[-1].choices == [] and pieces[-1].usage == whole.usage
    for choice in whole.choices:
        own = [each for piece in pieces for each in piece.choices if each.index == choice.index]
        assert "".join(each.text for each in own) == choice.text
        assert [each.finish_reason for each in own if each.finish_reason] == [choice.finish_reason]
        tokens = [token for each in own if each.logprobs for token in each.logprobs.tokens]
        assert tokens == choice.logprobs.tokens


def test_logprobs_are_those_of_the_model_and_echo_scores_a_text(client: openai.OpenAI, shelf: Shelf) -> None:
    """As evaluation harnesses ask: nothing is told, and each token of the text has its log-probability."""
    text = "Once café"
    said = client.completions.create(model="one", prompt=text, max_tokens=0, echo=True, logprobs=3).choices[0]
    ids = [EOT, *text.encode()]
    with torch.no_grad():
        log_p_TV = shelf.weights(shelf.models[0], 20).model(torch.tensor([ids]))[0].log_softmax(-1)
    expected = [float(log_p_TV[place, token]) for place, token in enumerate(ids[1:])]
    assert said.text == text and said.finish_reason == "length"
    assert said.logprobs.token_logprobs == pytest.approx(expected, abs=1e-4)
    assert said.logprobs.tokens[-2:] == ["bytes:\\xc3", "bytes:\\xa9"]
    assert all(len(each) == 3 for each in said.logprobs.top_logprobs)
    assert said.logprobs.text_offset[:4] == [0, 1, 2, 3]
    ids_alone = client.completions.create(model="one", prompt=[79, 110], max_tokens=3, echo=True, logprobs=0, seed=0)
    assert ids_alone.choices[0].text.startswith("On")
    assert ids_alone.choices[0].logprobs.token_logprobs[0] is None, "what follows nothing has no probability"
    assert len(ids_alone.choices[0].logprobs.tokens) == 5


def test_a_story_ends_before_a_stop_sequence(client: openai.OpenAI) -> None:
    rules: dict[str, Any] = {"model": "one", "prompt": "Once", "max_tokens": 80, "seed": 1}
    text = client.completions.create(**rules).choices[0].text
    stop = text[20:23]
    for stops in (stop, ["never there", stop]):
        cut = client.completions.create(**rules, stop=stops, logprobs=0).choices[0]
        assert cut.text == text[: text.index(stop)] and cut.finish_reason == "stop"
        streamed = list(client.completions.create(**rules, stop=stops, stream=True))
        assert "".join(each.choices[0].text for each in streamed) == cut.text


@pytest.mark.parametrize(("prompt", "echo"), [("Once", False), ("Once", True), ("A dog  ", False), ("A ", True)])
@pytest.mark.parametrize("stream", [False, True])
def test_each_token_is_told_with_its_place_in_the_text_and_none_of_a_stop(
    client: openai.OpenAI, prompt: str, echo: bool, stream: bool
) -> None:
    def told(**rules: Any) -> tuple[str, list[str], list[int]]:
        rules |= {"model": "one", "prompt": prompt, "max_tokens": 60, "seed": 1, "logprobs": 1, "echo": echo}
        said = client.completions.create(**rules, stream=stream)
        choices = [each.choices[0] for each in said] if stream else said.choices
        known = [each.logprobs for each in choices if each.logprobs]
        places = [place for each in known for place in each.text_offset]
        return "".join(each.text for each in choices), [token for each in known for token in each.tokens], places

    text, tokens, places = told()
    alone = [(token, place) for token, place in zip(tokens, places, strict=True) if len(token) == 1]
    begun = len(prompt) if echo else 0
    # A half character that turns out to be none comes with the token behind it.
    assert len(alone) > 20 and all(token in text[place : place + 4] for token, place in alone)
    for first in (begun, begun + 10, begun + 25):
        stop = text[first : first + 4]
        cut, fewer, at = told(stop=[stop, stop + "never"])
        end = text.index(stop)
        assert cut == text[:end] and "never" not in cut
        number = len(fewer)
        assert (fewer, at) == (tokens[:number], places[:number])
        assert number == sum(place < end for place in places)


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_stops_are_found_across_pieces_and_nothing_else_is_held_back(size: int) -> None:
    text = "a na nab nabla END"
    for stops, spaces, expected in (
        (["nabla"], 0, "a na nab "), (["bla", "nab"], 0, "a na "), (["nabl!"], 0, text), ([], 0, text),
        (["a"], 0, ""), (["END"], 0, "a na nab nabla "),
    ):  # fmt: skip
        until, said = Until(stops, spaces), ""
        for start in range(0, len(text), size):
            if not until.stopped:
                said += until.piece(text[start : start + size])
        said += "" if until.stopped else until.rest()
        assert said == expected
        assert until.stopped == (expected != text)
    spaced = Until([], 2)
    assert "".join(map(spaced.piece, ["", " ", "  a", " b"])) == " a b"


REFUSED: dict[str, tuple[dict[str, Any], type[openai.APIStatusError], str | None, str]] = {
    "no such model": ({"model": "three"}, openai.NotFoundError, "model", "there is one, two"),
    "no such step": ({"model": "one@11"}, openai.NotFoundError, "model", "one@11"),
    "long": ({"prompt": "word " * 40}, openai.BadRequestError, "prompt", "shorten it"),
    "ids": ({"prompt": [999]}, openai.BadRequestError, "prompt", "from 0 to 256"),
    "an empty list of ids": ({"prompt": [[65], []]}, openai.BadRequestError, "prompt", "no tokens"),
    "empty list": ({"prompt": []}, openai.BadRequestError, "prompt", "empty list"),
    "prompt of a kind": ({"prompt": 7}, openai.BadRequestError, "prompt", "a text, a list of texts"),
    "penalty": ({"presence_penalty": 0.5}, openai.BadRequestError, "presence_penalty", "repetition_penalty is there"),
    "bias": ({"logit_bias": {"5": 1}}, openai.BadRequestError, "logit_bias", "leave it out"),
    "suffix": ({"suffix": "end"}, openai.BadRequestError, "suffix", "leave it out"),
    "best of": ({"best_of": 3}, openai.BadRequestError, "best_of", "leave it out"),
    "too many": ({"n": 65}, openai.BadRequestError, "n", "64"),
    "too many in all": ({"n": 40, "prompt": ["a", "b"]}, openai.BadRequestError, "n", "more than 64"),
    "tokens": ({"max_tokens": 10**6}, openai.BadRequestError, "max_tokens", "4096"),
    "nothing": ({"max_tokens": 0}, openai.BadRequestError, "max_tokens", "echo"),
    "rule": ({"top_p": 0}, openai.BadRequestError, "top_p", "top-p 0"),
    "cold": ({"temperature": -1}, openai.BadRequestError, "temperature", "temperature -1"),
    "stops": ({"stop": list("abcde")}, openai.BadRequestError, "stop", "more than 4"),
    "unknown": ({"extra_body": {"mirostat": 2}}, openai.BadRequestError, "mirostat", "does not know"),
    "logprobs": ({"logprobs": 21}, openai.BadRequestError, "logprobs", "20"),
    "seed": ({"seed": -1}, openai.BadRequestError, "seed", "0"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_done_is_refused_in_openais_form(client: openai.OpenAI, name: str) -> None:
    extra, kind, param, sentence = REFUSED[name]
    with pytest.raises(kind) as refused:
        client.completions.create(**{"model": "one", "prompt": "a", "max_tokens": 1, **extra})
    assert refused.value.param == param
    assert (refused.value.code == "context_length_exceeded") == (name == "long")
    assert sentence in refused.value.message


def test_relatives_fields_and_null_are_understood(client: openai.OpenAI) -> None:
    rules = {"top_k": 5, "min_p": 0.1, "repetition_penalty": 1.2, "stop": None, "logprobs": None, "user": "me"}
    said = client.completions.create(model="one", prompt="a", max_tokens=5, seed=0, extra_body=rules)
    assert said.usage and said.usage.completion_tokens <= 5


def test_there_is_no_chat(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="/v1/completions and /v1/models alone"):
        client.chat.completions.create(model="one", messages=[])


def test_beyond_the_queue_is_said_at_once_and_all_others_are_answered(shelf: Shelf) -> None:
    apps: list[Any] = []

    def make(address: Any) -> Any:
        apps.append(make_app(shelf, address))
        return apps[-1]

    async def many(url: str, number: int) -> list[Any]:
        async with openai.AsyncOpenAI(base_url=f"{url}v1", api_key="none", max_retries=0) as client:
            asked = [client.completions.create(model="one", prompt="a", max_tokens=20, seed=1) for _ in range(number)]
            return await asyncio.gather(*asked, return_exceptions=True)

    with running(make) as address:
        lane = routes_of(apps[0])["/v1/completions"].lane
        lane.most = 12
        answers = asyncio.run(many(address.url, 30))
        told = [each for each in answers if not isinstance(each, Exception)]
        busy = [each for each in answers if isinstance(each, openai.RateLimitError)]
        assert len(told) + len(busy) == 30 and len(told) >= 12 and busy
        assert len({each.choices[0].text for each in told}) == 1, "whatever else is told, a seed gives its story"
        assert all(each.response.headers["retry-after"] == "5" and "try again" in each.message for each in busy)
        assert lane.taken == 0
        assert not any(isinstance(each, Exception) for each in asyncio.run(many(address.url, 3)))


def test_a_stream_that_is_left_ends_the_story(shelf: Shelf) -> None:
    apps: list[Any] = []

    def make(address: Any) -> Any:
        apps.append(make_app(shelf, address))
        return apps[-1]

    async def leave(url: str, lane: Any) -> None:
        async with openai.AsyncOpenAI(base_url=f"{url}v1", api_key="none", max_retries=0) as client:
            rules: dict[str, Any] = {"model": "one", "prompt": "a", "max_tokens": 4096, "n": 64}
            stream = await client.completions.create(**rules, stream=True)
            waiting = asyncio.create_task(client.completions.create(**rules))
            await anext(aiter(stream))
            while lane.taken < 2:
                await asyncio.sleep(0.01)
            await stream.close()
            waiting.cancel()
            async with asyncio.timeout(60):
                while lane.taken:
                    await asyncio.sleep(0.01)

    with running(make) as address:
        asyncio.run(leave(address.url, routes_of(apps[0])["/v1/completions"].lane))


def test_logits_that_are_not_finite_are_said(shelf: Shelf, client: openai.OpenAI) -> None:
    model = shelf.weights(shelf.models[1], 10).model
    with torch.no_grad():
        kept = model.embedding.weight.clone()
        model.embedding.weight.fill_(float("nan"))
    try:
        for rules in ({}, {"echo": True, "logprobs": 2}, {"echo": True, "logprobs": 0, "max_tokens": 0}):
            asked: dict[str, Any] = {"model": "two@10", "prompt": "a b", "max_tokens": 2, **rules}
            with pytest.raises(openai.InternalServerError, match=r"not finite.* choose another checkpoint"):
                client.completions.create(**asked)
            with pytest.raises(openai.APIError, match=r"not finite.* choose another checkpoint"):
                list(client.completions.create(**asked, stream=True))
    finally:
        with torch.no_grad():
            model.embedding.weight.copy_(kept)
    assert json.loads(client.completions.with_raw_response.create(model="two@10", prompt="a", max_tokens=2).text)


@pytest.mark.slow
def test_who_takes_nothing_loses_the_turn(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "PATIENCE_SECONDS", 0.5)
    apps: list[Any] = []

    def make(address: Any) -> Any:
        apps.append(make_app(shelf, address))
        return apps[-1]

    body = json.dumps({"model": "one", "n": 64, "max_tokens": 4096, "logprobs": 20, "stream": True})
    head = "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json"
    with running(make) as address, socket.socket() as deaf:
        lane = routes_of(apps[0])["/v1/completions"].lane
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", address.port))
        deaf.sendall(f"{head}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        for taken in (1, 0):
            until = time.monotonic() + 240
            while lane.taken != taken and time.monotonic() < until:
                time.sleep(0.05)
            assert lane.taken == taken


@pytest.mark.slow
def test_two_hundred_at_once(shelf: Shelf) -> None:
    async def many(url: str) -> list[Any]:
        async with openai.AsyncOpenAI(base_url=f"{url}v1", api_key="none", max_retries=0, timeout=300) as client:
            asked = [
                client.completions.create(model="one", prompt="a", max_tokens=100, seed=seed % 7) for seed in range(200)
            ]
            return await asyncio.gather(*asked)

    with page_of(shelf) as url:
        answers = asyncio.run(many(url))
    stories = {seed: {answers[each].choices[0].text for each in range(seed, 200, 7)} for seed in range(7)}
    assert all(len(texts) == 1 for texts in stories.values())
