"""`fabula evaluate --judge` as a user meets it: costs, resumption, two runs, and a key that is written nowhere."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from tests.coherence.judge.server import Said, serving, well
from tests.model.runs import write_run
from tests.model.shapes import GPT
from typer.testing import CliRunner

from fabula.cli.commands.evaluate import evaluate
from fabula.coherence.judge.controls import control_questions
from fabula.coherence.judge.told import Told
from fabula.coherence.judge.which import judge_of
from fabula.errors import InputError
from fabula.recipe.schema import Recipe
from fabula.record.sessions.judgements import read_judgements
from fabula.study.judging.sessions import sessions_of

KEY = "sk-this-is-a-secret-0123456789"
TRUE = [
    Told("0", "0", "Tom", " ran. He fell. It hurt. He wept."),
    Told("1", "1", "Ana", " sat. A cat came. It hid. So?"),
]
NUM_TRUE = len(TRUE)
"""Too few to say whether the judge can be believed, and quickly asked about."""


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("FABULA_JUDGE_KEY", raising=False)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    tree = {"name": "x", "steps": 10, "model": GPT.model_dump(), "schedule": {"peak": 1e-3}}
    for name in ("run", "other"):
        write_run(tmp_path / name, Recipe.from_tree(tree), steps=(10, 20))
    lines = [{"prompt": each.beginning, "continuation": each.continuation} for each in TRUE]
    (tmp_path / "mine.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return tmp_path / "run"


def command(run: Path, *arguments: object) -> tuple[dict[str, Any], str]:
    """The document, and what was said beside it; an InputError is raised as it is."""
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(evaluate)
    given = [run, "--prompts", run.parent / "mine.jsonl", "--samples", 1, "--tokens", 50, "--json", *arguments]
    result = CliRunner().invoke(app, list(map(str, given)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout), result.stderr


NUM_CONTROLS = len(control_questions(TRUE))
NUM_QUESTIONS = NUM_TRUE + NUM_CONTROLS + NUM_TRUE + NUM_TRUE
"""A completion a prompt, the controls, and completions and true stories once more."""


@pytest.mark.long
def test_a_session_is_recorded_and_asked_once(run: Path) -> None:
    with serving(lambda _, body: well(body)) as server:
        options = ("--judge", "openai:some", "--judge-url", server.url)
        document, said = command(run, *options)
        judged = document["judged"]
        assert judged["asked"] == judged["answered"] == NUM_QUESTIONS == len(server.requests)
        assert f"{NUM_QUESTIONS} requests, about" in said and "no price is known for this model" in said
        assert judged["marks"]["overall"]["mean"] == 6.5 and judged["marks"]["overall"]["prompts"] == NUM_TRUE
        assert judged["verdict"] == "not checked" and "whether it can be believed will not be known" in said
        again, said = command(run, *options)
        assert len(server.requests) == NUM_QUESTIONS and "nothing is sent" in said
        assert again["judged"]["marks"] == judged["marks"] and again["judged"]["session"] != judged["session"]
        (run / "judgements.jsonl").unlink()  # another run on the same stories, or the same one on another day
        command(run, *options)
        assert len(server.requests) == NUM_QUESTIONS
        command(run, "--judge", "openai:another", "--judge-url", server.url)
        assert len(server.requests) == 2 * NUM_QUESTIONS
    assert [each.judge for each in sessions_of(read_judgements(run))] == ["openai:some", "openai:another"]


@pytest.mark.long
def test_what_failed_is_counted_and_asked_again(run: Path) -> None:
    with serving(lambda number, body: Said(b"<html>", 200) if number % 2 else well(body)) as server:
        options = ("--judge", "openai:some", "--judge-url", server.url, "--judge-requests", 1)
        document, _ = command(run, *options)
        assert document["judged"]["answered"] == NUM_QUESTIONS and not document["judged"]["unanswered"]
        assert len(server.requests) == 2 * NUM_QUESTIONS - 1  # every second try failed
    with serving(lambda *_: Said({}, 500, {"retry-after": "7200"})) as server:
        document, _ = command(run, "--judge", "openai:third", "--judge-url", server.url, "--judge-requests", 1)
        judged = document["judged"]
        assert judged["unanswered"] == {"server": 6, "not asked": NUM_QUESTIONS - 6} and judged["ended"] == "no server"
        assert judged["verdict"] == "not checked" and len(document["completions"]) == 2 * NUM_TRUE
    kinds = Counter(line["kind"] for line in read_judgements(run))
    assert kinds == {"session": 2, "end": 2, "marks": 2 * (NUM_QUESTIONS - 2 * NUM_TRUE), "pair": 4 * NUM_TRUE}


@pytest.mark.long
def test_costs_are_known_and_held_before_anything_is_sent(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(lambda _, body: well(body)) as server:
        options = ("--judge", "openai:some", "--judge-url", server.url)
        with pytest.raises(InputError, match=r"no price is known.*--judge-price"):
            command(run, *options, "--max-cost", 5)
        with pytest.raises(InputError, match=r"about \$\d+\.\d\d \(as given\).*above --max-cost 0.01"):
            command(run, *options, "--max-cost", 0.01, "--judge-price", "3/15")
        assert not server.requests
        document, _ = command(run, *options, "--max-cost", 5, "--judge-price", "3/15")
        assert document["judged"]["dollars"] == pytest.approx(len(server.requests) * (700 * 3 + 50 * 15) / 1e6)
        # 100 times what the estimate took an answer to cost: it stops before the limit is passed.
        options = ("--judge", "openai:dear", *options[2:], "--judge-price", "0/5000", "--max-cost", 20)
        document, _ = command(run, *options, "--judge-requests", 1)
        judged = document["judged"]
        assert (judged["ended"], judged["answered"]) == ("whole", NUM_QUESTIONS)
    thinks = json.loads(json.dumps(well({"messages": []}).body))
    thinks["usage"]["completion_tokens"] = 1900
    with serving(lambda *_: Said(thinks)) as server:
        options = ("--judge", "openai:thinks", "--judge-url", server.url, *options[4:])
        document, _ = command(run, *options, "--judge-requests", 1)
        assert document["judged"]["ended"] == "over budget" and document["judged"]["dollars"] <= 20
        assert document["judged"]["unanswered"]["not asked"] > 10


def test_two_runs_are_compared_in_both_orders(run: Path) -> None:
    with serving(lambda _, body: well(body)) as server:
        options = ("--judge", "openai:some", "--judge-url", server.url)
        with pytest.raises(InputError, match="it has no completions; make some first"):
            command(run, *options, "--against", run.parent / "other")
        command(run.parent / "other")
        document, _ = command(run, *options, "--against", run.parent / "other")
    against = document["judged"]["against"]
    assert (against["better"], against["worse"], against["pairs"]) == (0, 0, NUM_TRUE)
    assert against["points"]["mean"] == 0.0 and document["judged"]["position"]["turned"] == 2 * NUM_TRUE


def test_the_key_is_written_nowhere(run: Path) -> None:
    """Not even where the server puts it into each answer, or into what it says of an error."""
    marks = {"reason": f"key {KEY}!", "grammar": 5, "creativity": 5, "consistency": 5, "plot": 5, "age_group": "4-5"}

    def rule(number: int, body: dict[str, Any]) -> Said:
        if number % 4 == 3:
            return Said({"error": {"message": f"Incorrect API key {KEY} or {KEY[4:16]}"}}, 500, {"retry-after": "0"})
        answer = {"reason": f"{KEY[:9]}{KEY[9:]}", "better": "first"} if "second cont" in json.dumps(body) else marks
        content = {"choices": [{"message": {"content": json.dumps(answer)}, "finish_reason": "stop"}]}
        return Said(content)

    with serving(rule) as server:
        url = server.url.replace("http://", "http://me:hidden-word@")
        document, said = command(run, "--judge", "openai:some", "--judge-url", f"{url}/v1?token=hidden-word")
        assert server.headers[0]["authorization"]
    files = [path for path in run.parent.rglob("*") if path.is_file()]
    assert any("cache" in str(path) for path in files)
    everything = b"".join(path.read_bytes() for path in files).decode(errors="replace") + said + json.dumps(document)
    for secret in (KEY, KEY[4:16], "hidden-word"):
        assert secret not in everything
    assert "[key]" in everything


def test_a_wrong_key_is_one_clear_line_and_the_completions_are_kept(run: Path) -> None:
    with (
        serving(lambda *_: Said({"error": {"message": f"bad key {KEY}"}}, 401)) as server,
        pytest.raises(
            InputError, match=r"refuses the key in .*OPENAI_API_KEY \(401\); the completions are kept"
        ) as said,
    ):
        command(run, "--judge", "openai:some", "--judge-url", server.url)
    assert KEY not in str(said.value)
    assert b'"kind": "completion"' in (run / "evaluations.jsonl").read_bytes()
    assert read_judgements(run)[-1]["ended"] == "rejected"


def test_a_line_that_was_cut_off_goes(run: Path) -> None:
    with serving(lambda _, body: well(body)) as server:
        options = ("--judge", "openai:some", "--judge-url", server.url)
        command(run, *options)
        path = run / "judgements.jsonl"
        path.write_bytes(path.read_bytes()[:-40])
        command(run, *options)
    assert [each.ended for each in sessions_of(read_judgements(run))] == ["", "whole"]


WRONG = {
    ("--judge", "gpt-4"): "it is no PROVIDER:MODEL",
    ("--judge", "opnai:gpt"): 'did you mean "openai"',
    ("--judge", "openai:"): "it is no PROVIDER:MODEL",
    ("--judge", "anthropic:claude"): "set ANTHROPIC_API_KEY in the environment",
    ("--judge", "openai:m", "--judge-url", "localhost:8080"): "--judge-url is no address of a server",
    ("--judge", "openai:m", "--judge-url", "http://"): "--judge-url is no address of a server",
    ("--judge", "openai:m", "--judge-url", "http://a:99999999"): "--judge-url is no address of a server",
    ("--judge", "openai:m", "--judge-price", "cheap"): "--judge-price cheap is no price",
    ("--judge", "openai:m", "--judge-price", "1/nan"): "is no price",
    ("--judge-url", "http://a/v1"): "--judge-url is for a judge; name one",
    ("--max-cost", "1"): "--max-cost is for a judge",
    ("--against", "x"): "--against is for a judge",
}


@pytest.mark.parametrize("options", WRONG)
def test_what_is_wrong_is_said_before_anything_is_made(run: Path, options: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match=WRONG[options]):
        command(run, *options)
    assert not (run / "judgements.jsonl").exists() and not (run / "evaluations.jsonl").exists()


@pytest.mark.parametrize(
    ("provider", "given", "taken"),
    [
        ("openai", "http://localhost:8080", "http://localhost:8080/v1"),
        ("openai", "http://localhost:8080/", "http://localhost:8080/v1"),
        ("openai", "http://localhost:8080/v1/chat/completions", "http://localhost:8080/v1"),
        ("openai", "https://gate.example/api/v3/", "https://gate.example/api/v3"),
        ("anthropic", "http://localhost:8080/v1", "http://localhost:8080"),
        ("anthropic", "https://gate.example/anthropic/v1/messages", "https://gate.example/anthropic"),
    ],
)
def test_an_address_is_taken_as_people_write_it(provider: str, given: str, taken: str) -> None:
    assert judge_of(f"{provider}:m", given).url == taken


def test_a_key_of_its_own_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    assert judge_of("openai:ft:model:x", "http://a").key == KEY
    monkeypatch.setenv("FABULA_JUDGE_KEY", "own-key-12345")
    judge = judge_of("openai:ft:model:x", "http://a")
    assert (judge.key, judge.model) == ("own-key-12345", "ft:model:x") and "own-key" not in repr(judge)
    assert judge.without_key("own-key-12345 and wn-key-12 of own-key") == "[key] and [key] of own-key"
