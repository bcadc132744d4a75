"""What the page asks for: stories to the letter as `fabula generate` tells them, with what else could have come."""

import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.cli.test_generate import command
from tests.play.models import STEPS, page_of, routes_of, write_runs
from tests.serve.visits import running

from fabula.data.dataset import open_dataset
from fabula.data.tokenizers.bpe import byte_level_json
from fabula.errors import InputError
from fabula.exchange.html.offering import offer
from fabula.exchange.html.payload import payload_of
from fabula.model.decoder import Decoder
from fabula.model.initialization import initialization_seed, initialize
from fabula.model.load import load_trusted
from fabula.play.server.app import make_app
from fabula.play.shelf import Asked, Shelf
from fabula.play.training_stories import training_stories_of

EOT = 256


@pytest.fixture(scope="module")
def url(shelf: Shelf) -> Iterator[str]:
    with page_of(shelf) as url:
        yield url


def send(url: str, path: str, body: Any, headers: dict[str, str] | None = None) -> http.client.HTTPResponse:
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection.request("POST", path, sent, headers or {"Content-Type": "application/json"})
    return connection.getresponse()


def story(url: str, **asked: Any) -> list[dict[str, Any]]:
    answer = send(url, "/stories", {"model": "0", **asked})
    assert answer.status == 200, answer.read()
    return [json.loads(line) for line in answer.read().splitlines()]


def ids_of(events: list[dict[str, Any]]) -> list[int]:
    return [each["id"] for each in events if each["kind"] == "token"]


def text_of(events: list[dict[str, Any]]) -> str:
    return "".join(each.get("text", "") for each in events)


RULES: dict[str, tuple[dict[str, float], tuple[str, ...]]] = {
    "usual": ({}, ()),
    "greedy": ({"temperature": 0.0}, ("--temperature", "0")),
    "few": ({"topK": 7, "minP": 0.05, "topP": 1.0}, ("--top-k", "7", "--min-p", "0.05", "--top-p", "1")),
    "earlier": ({"step": 10}, ("--step", "10")),
}


@pytest.mark.parametrize(("prompt", "rules"), [*(("Once ", each) for each in RULES), ("", "usual"), ("café", "usual")])
def test_the_same_seed_tells_what_generate_tells(url: str, asked: list[Asked], prompt: str, rules: str) -> None:
    extra, flags = RULES[rules]
    events = story(url, text=prompt, maxTokens=40, seed=3, **extra)
    out, _ = command(asked[0].run, "--prompt", prompt, "--max-tokens", "40", "--seed", "3", *flags)
    assert prompt.rstrip(" ") + text_of(events) + "\n" == out


def test_characters_are_whole_and_none_is_lost(url: str, shelf: Shelf) -> None:
    """Random bytes: most are halves of characters, or can never become one."""
    broken = 0
    for seed in range(5):
        events = story(url, text="Once", maxTokens=60, seed=seed, temperature=1.5)
        assert text_of(events) == shelf.models[0].tokenizer.decode(ids_of(events))
        broken += sum(each["text"] == "" for each in events if each["kind"] == "token")
        halves = [each for event in events for each in event.get("alternatives", []) if each["text"] is None]
        assert all(each["id"] >= 128 for each in halves)
    assert broken, "some tokens waited for the rest of their character"


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 59), st.integers(0, 5))
def test_a_story_goes_on_as_if_it_had_not_been_cut(url: str, cut: int, seed: int) -> None:
    """Across the end of the context (24 tokens), and in the middle of a character."""
    whole = story(url, text="Once", maxTokens=60, seed=seed, topP=1.0)
    first = story(url, text="Once", maxTokens=cut, seed=seed, topP=1.0)
    told = ids_of(first)
    assert told == ids_of(whole)[:cut]
    if len(told) < cut:
        return
    ids = [*first[0]["ids"], *told]
    then = story(url, ids=ids, told=len(told), drawn=len(told), maxTokens=60 - cut, seed=seed, topP=1.0)
    assert then[0]["ids"] == ids
    assert told + ids_of(then) == ids_of(whole)
    pieces = [each["text"] for each in first if each["kind"] == "token"]
    assert "".join(pieces) + text_of(then) == text_of(whole)


def test_what_else_could_have_come(url: str, shelf: Shelf) -> None:
    events = story(url, text="Once", maxTokens=8, seed=1, alternatives=50)
    model = shelf.weights(shelf.models[0], 20).model
    ids = list(events[0]["ids"])
    assert ids[0] == EOT
    for event in events[1:-1]:
        with torch.no_grad():
            p_V = model(torch.tensor([ids]))[0, -1].softmax(-1)
        assert event["probability"] == pytest.approx(float(p_V[event["id"]]), rel=1e-3)
        best = [each["probability"] for each in event["alternatives"]]
        assert best == sorted(best, reverse=True) and len(best) == 50
        assert best[0] == pytest.approx(float(p_V.max()), rel=1e-3)
        ids.append(event["id"])
    ends = [each for event in events for each in event.get("alternatives", []) if each["id"] == EOT]
    assert all(each["end"] and each["text"] == "" for each in ends)


def test_a_story_that_ends_says_so(url: str) -> None:
    """257 tokens of about the same probability: some seed ends soon."""
    ended = [story(url, text="a", maxTokens=400, seed=seed, topP=1.0, temperature=1.0) for seed in range(3)]
    last = [events[-1] for events in ended if events[-1]["reason"] == "story"]
    assert last
    assert all(0 < each["probability"] < 1 and each["alternatives"] for each in last)
    assert all(EOT not in ids_of(events) for events in ended)


def test_step_0_is_as_the_training_began(shelf: Shelf) -> None:
    shown = shelf.models[0]
    assert shown.checkpoints == [0, 10, 20]
    model = Decoder(shown.recipe.model, 257)
    initialize(model, shown.recipe.initialization, initialization_seed(5))
    first = shelf.weights(shown, 0).model.state_dict()
    assert all(torch.equal(first[name], tensor) for name, tensor in model.state_dict().items())


WRONG = {
    "long": ({"text": "word " * 60}, "shorten it"),
    "step": ({"step": 11}, "no checkpoint at step 11; choose one of: 10, 20"),
    "model": ({"model": "7"}, "load the page again"),
    "id": ({"ids": [257]}, "from 0 to 256"),
    "no id": ({"ids": []}, "at least one"),
    "rule": ({"topP": 0}, "top-p 0"),
    "nan": (b'{"model": "0", "temperature": NaN}', "temperature"),
    "type": ({"seed": "x"}, "seed: "),
    "field": ({"stop": "x"}, "stop: "),
    "tokens": ({"maxTokens": 1_000_000}, "maxTokens: "),
    "no json": (b"{", "not valid JSON"),
    "list": ([], "no JSON object"),
    "deep": (b"[" * 100_000, "not valid JSON"),
    "large": ({"text": "x" * 300_000}, "larger than"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_one_sentence(url: str, name: str) -> None:
    body, sentence = WRONG[name]
    answer = send(url, "/stories", {"model": "0", **body} if isinstance(body, dict) else body)
    said = json.loads(answer.read())["message"]
    assert answer.status == 400 and sentence in said and "\n" not in said


def test_a_form_of_another_page_is_refused(url: str) -> None:
    answer = send(url, "/stories", b'{"model": "0"}', {"Content-Type": "text/plain"})
    assert answer.status == 400 and b"Content-Type" in answer.read()
    own = {"Content-Type": "application/json"}
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        assert send(url, "/stories", b'{"model": "0"}', {**own, **headers}).status == 403


def test_beyond_this_machine_the_token_is_asked_for(shelf: Shelf) -> None:
    with page_of(shelf, token="secret") as url:
        own = {"Content-Type": "application/json"}
        body = {"model": "0", "maxTokens": 1}
        assert send(url, "/stories", body).status == 401
        assert send(url, "/stories", body, {**own, "Authorization": "Bearer secret"}).status == 200


def test_a_story_ends_when_nobody_listens_and_beyond_the_queue_is_busy(shelf: Shelf) -> None:
    apps: list[Any] = []

    def make(address: Any) -> Any:
        apps.append(make_app(shelf, address))
        return apps[-1]

    with running(make) as address:
        lane = routes_of(apps[0])["/stories"].lane
        lane.most = 3
        readers = [send(address.url, "/stories", {"model": "0", "maxTokens": 4096, "topP": 1.0}) for _ in range(3)]
        assert all(reader.readline() for reader in readers) and lane.taken == 3
        busy = send(address.url, "/stories", {"model": "0"})
        assert (
            busy.status == 429 and busy.getheader("Retry-After") and "try again" in json.loads(busy.read())["message"]
        )
        for reader in readers:
            reader.close()
        until = time.monotonic() + 30
        while lane.taken and time.monotonic() < until:
            time.sleep(0.01)
        assert lane.taken == 0


def test_what_was_copied_is_known_where_the_stories_are(grammar_folder: Any) -> None:
    data = open_dataset(grammar_folder)
    info = {"data": {"path": str(grammar_folder), "tokenizer": data.tokenizer.name,
                     "text_hashes": {"train": data.manifest.splits["train"].text_hash}}}  # fmt: skip
    stories = training_stories_of(info, data.tokenizer)
    assert stories is not None and 0 < (stories.usual or 0) < 1
    told = [*data.split("train").story(0)[:12].tolist(), 511, 511]
    assert stories.copied(told) == [(0, 12)]
    for wrong in ({**info["data"], "text_hashes": {"train": "x"}}, {**info["data"], "path": "/nowhere"}, {}, None):
        assert training_stories_of({"data": wrong}, data.tokenizer) is None


def test_models_that_cannot_be_shown(asked: list[Asked], tmp_path: Any) -> None:
    with pytest.raises(InputError, match="one to 4"):
        Shelf([asked[0]] * 5)
    with pytest.raises(InputError, match="no checkpoint at step 7"):
        Shelf([Asked("x", asked[0].run, 7)])


def test_a_checkpoint_that_comes_while_another_is_read_is_not_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is still in training."""
    (asked,) = write_runs(tmp_path, ("growing",))
    last = asked.run / "checkpoints" / f"step-{STEPS[-1]:08d}"
    last.rename(tmp_path / "later")

    def slowly(*given: Any) -> Any:
        read = load_trusted(*given)
        if not last.exists():
            (tmp_path / "later").rename(last)
        return read

    monkeypatch.setattr("fabula.play.shelf.load_trusted", slowly)
    (shown,) = Shelf([asked]).models
    assert shown.step == STEPS[0] and shown.checkpoints[-1] == STEPS[-1]


def test_losses_are_by_one_ruler_and_left_out_where_tokens_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole split is scored at the ends alone, and a loss by the token means nothing beside one of other tokens."""
    runs = write_runs(tmp_path, ("one", "two"))
    evals = [
        {"kind": "eval", "step": 0, "val_loss_subset": 5.5, "val_loss": 5.5},
        {"kind": "eval", "step": 20, "val_loss_subset": 2.5, "val_loss": 2.0},
    ]
    for each in runs:
        (each.run / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in evals))

    def losses(shelf: Shelf) -> list[Any]:
        with page_of(shelf) as url, urlopen(f"{url}models") as answer:
            return [(each["loss"], each["losses"]) for each in json.load(answer)["models"]]

    assert losses(Shelf(runs)) == [(2.5, {"0": 5.5, "20": 2.5})] * 2
    other = byte_level_json({bytes([byte]): 255 - byte for byte in range(256)}, 256)
    (runs[1].run / "tokenizer.json").write_text(other)
    assert losses(Shelf(runs)) == [(None, {})] * 2
    assert losses(Shelf(runs[1:])) == [(2.5, {"0": 5.5, "20": 2.5})]
    monkeypatch.setattr("fabula.exchange.html.payload.as_text", lambda content: content.decode("latin-1"))
    offered = [offer(each.run, each.name) for each in runs]
    indexes = [json.loads(payload_of(models).data["packed-index"]) for models in (offered[:1], offered)]
    assert [[each["shown"]["loss"] for each in index["models"]] for index in indexes] == [[2.5], [None, None]]
