"""Real clients against a server that misbehaves: every question gets an answer or a word, and nothing waits long."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.coherence.judge.server import CHOICE, MARKS, Rule, Said, chat, messages, serving, well

from fabula.coherence.judge.asking import Budget, Rejected, Reply, Settings, ask_all
from fabula.coherence.judge.clients import client_of
from fabula.coherence.judge.rubric import Marks, Preference
from fabula.coherence.judge.told import Question, Told
from fabula.coherence.judge.which import judge_of

KEY = "sk-this-is-a-secret-0123456789"
PROVIDERS = ("openai", "anthropic")
PATIENT = Settings(timeout=30.0, tries=3, at_once=4, first_wait=0.5, longest_wait=30.0)
"""Long time-outs, for a busy machine; nothing here comes near one that is not meant to."""


def asks(number: int) -> Question:
    return Question("completion", Told(f"s/{number}/0", f"s/{number}", "Once", f"a fox number {number}, it ran."))


QUESTIONS = [asks(number) for number in range(8)]


def number_in(body: dict[str, Any]) -> int:
    """Which of the questions a request is."""
    found = re.search(r"fox number (\d+),", json.dumps(body["messages"]))
    assert found is not None
    return int(found[1])


class Asked:
    """What came of the questions, and how long was waited in the mind's eye."""

    def __init__(self, provider: str, rule: Rule, questions: list[Question], settings: Settings = PATIENT) -> None:
        self.questions, self.replies = questions, dict[str, Reply]()
        self.waited: list[float] = []
        self.rejected = ""

        async def sleep(seconds: float) -> None:
            self.waited.append(seconds)
            await asyncio.sleep(0)

        def answered(question: Question, reply: Reply) -> None:
            self.replies[question.story.name] = reply

        with serving(rule) as server:
            judge = judge_of(f"{provider}:some-model", server.url)

            async def ask() -> None:
                budget = Budget(settings.most_dollars, lambda sent, written: (sent + written) / 1000)
                client = client_of(judge, settings.timeout)
                await ask_all(questions, client, settings, budget, answered, sleep)

            try:
                asyncio.run(ask())
            except Rejected as error:
                self.rejected = str(error)
        self.requests, self.headers = server.requests, server.headers

    @property
    def failures(self) -> list[str | None]:
        """In the order of the questions."""
        return [self.replies[question.story.name].failure for question in self.questions]


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(name, KEY)


@pytest.mark.long
@pytest.mark.parametrize("provider", PROVIDERS)
def test_marks_and_pairs_come_typed(provider: str) -> None:
    pair = Question("against", Told("a/0/0", "a/0", "Once", "one."), Told("b/0/0", "a/0", "Once", "two."))
    asked = Asked(provider, lambda _, body: well(body), [QUESTIONS[0], pair], replace(PATIENT, at_once=1))
    assert asked.replies["s/0/0"].answer == Marks(**MARKS)
    assert asked.replies["a/0/0"].answer == Preference(**CHOICE)
    assert (asked.replies["s/0/0"].tokens_in, asked.replies["s/0/0"].tokens_out) == (700, 50)
    sent = json.dumps(asked.requests)
    assert "a fox number 0, it ran." in sent and "s/0/0" not in sent and KEY not in sent
    assert KEY in asked.headers[0].get("authorization", "") + asked.headers[0].get("x-api-key", "")
    schema = (
        asked.requests[0]["response_format"]["json_schema"]["schema"]
        if provider == "openai"
        else asked.requests[0]["tools"][0]["input_schema"]
    )
    assert set(schema["required"]) == set(MARKS)


def first(num: int, bad: Said) -> Rule:
    return lambda number, body: bad if number < num else well(body)


TRANSIENT: dict[str, Said] = {
    "500": Said({"error": {"message": "oh"}}, 500),
    "502 with a page": Said(b"<html>bad gateway</html>", 502, {"content-type": "text/html"}),
    "529": Said({"type": "error", "error": {"type": "overloaded_error", "message": "later"}}, 529),
    "429": Said({"error": {"message": "slow down"}}, 429, {"retry-after": "7"}),
    "429 with a date": Said({}, 429, {"retry-after": "Fri, 27 Nov 2026 12:00:00 GMT"}),
    "cut": Said({"long": "x" * 500}, cut=True),
    "no JSON": Said(b"{not json", 200),
    "empty": Said(b"", 200),
    "a page": Said(b"<html>hello</html>", 200, {"content-type": "text/html"}),
    "a list": Said([1, 2, 3]),
    "null": Said(None),
    "nothing of it": Said({}),
    "nonsense in it": Said({"choices": [None], "content": [None], "usage": 7}),
}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_one_failure_is_mended_by_another_try(provider: str) -> None:
    seen: Counter[int] = Counter()
    bad = list(TRANSIENT.values())

    def rule(_: int, body: dict[str, Any]) -> Said:
        seen[number_in(body)] += 1
        return bad[number_in(body)] if seen[number_in(body)] == 1 else well(body)

    asked = Asked(provider, rule, [asks(number) for number in range(len(bad))])
    replies = [asked.replies[f"s/{number}/0"] for number in range(len(bad))]
    assert [(reply.answer, reply.tries) for reply in replies] == [(Marks(**MARKS), 2)] * len(bad)
    assert set(asked.waited) == {0.5, 7.0}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_never_answers_is_counted(provider: str) -> None:
    bad = {"500": "server", "429 with a date": "limited", "cut": "connection", "no JSON": "malformed"}
    bad |= dict.fromkeys(("a list", "nothing of it", "nonsense in it"), "malformed")
    names = list(bad)
    settings = replace(PATIENT, tries=2, give_up=99)
    asked = Asked(
        provider, lambda _, body: TRANSIENT[names[number_in(body)]], [asks(n) for n in range(len(bad))], settings
    )
    assert asked.failures == list(bad.values())
    assert all(reply.tries == 2 for reply in asked.replies.values()) and len(asked.requests) == 2 * len(bad)


def test_silence_is_not_waited_for() -> None:
    """The second try comes through, or a later one where the machine is slow. The waiting is ours, whichever client."""
    provider = "openai"
    settings = replace(PATIENT, timeout=0.5, tries=20, give_up=99)
    asked = Asked(provider, first(1, Said(silent=True)), QUESTIONS[:1], settings)
    assert asked.failures == [None] and asked.replies["s/0/0"].tries >= 2
    asked = Asked(provider, lambda *_: Said(silent=True), QUESTIONS[:2], replace(settings, timeout=0.1, tries=2))
    assert asked.failures == ["late", "late"]


def answers(value: Any) -> Callable[[dict[str, Any]], Said]:
    def said(body: dict[str, Any]) -> Said:
        if "tools" in body:
            return messages({"type": "tool_use", "id": "t", "name": "marks", "input": value})
        return chat(json.dumps(value))

    return said


def says(text: str, stop: str = "stop") -> Callable[[dict[str, Any]], Said]:
    def said(body: dict[str, Any]) -> Said:
        if "tools" in body:
            return messages({"type": "text", "text": text}, stop={"length": "max_tokens"}.get(stop, "end_turn"))
        return chat(text, stop)

    return said


WRONG = [
    {**MARKS, "grammar": 11},
    {**MARKS, "grammar": 0},
    {**MARKS, "plot": "great"},
    {**MARKS, "plot": True},
    {**MARKS, "plot": None},
    {**MARKS, "plot": 7.5},
    {**MARKS, "plot": [7]},
    {**MARKS, "age_group": "adults"},
    {name: value for name, value in MARKS.items() if name != "consistency"},
    {"score": 8},
    [MARKS],
    "10",
    7,
]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_wrong_schema_is_malformed(provider: str) -> None:
    asked = Asked(provider, lambda _, body: answers(WRONG[number_in(body)])(body), [asks(n) for n in range(len(WRONG))])
    expected: list[str | None] = ["malformed"] * len(WRONG)
    if provider == "openai":  # a list of one answer, from a server that does not constrain: the answer is in it
        expected[WRONG.index([MARKS])] = None
    assert asked.failures == expected


WORDS = {
    f"Here you are:\n```json\n{json.dumps(MARKS)}\n```\nBye!": None,
    json.dumps(MARKS, indent=4): None,
    f'<think>maybe {{8}} or {{"plot": 3}}?</think> {json.dumps(MARKS)}': None,
    "I'm sorry, but I can't help with that.": "refused",
    "I cannot mark stories about foxes.": "refused",
    "I\N{RIGHT SINGLE QUOTATION MARK}m sorry, no.": "refused",
    "Grammar 7, plot 5.": "malformed",
    json.dumps(MARKS)[:-20]: "malformed",
    "   ": "malformed",
    "{" * 5000: "malformed",
}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_words_around_an_answer_and_in_its_place(provider: str) -> None:
    texts = list(WORDS)
    asked = Asked(provider, lambda _, body: says(texts[number_in(body)])(body), [asks(n) for n in range(len(texts))])
    assert asked.failures == list(WORDS.values())
    tries = [asked.replies[f"s/{number}/0"].tries for number in range(len(texts))]
    assert tries == [3 if failure == "malformed" else 1 for failure in WORDS.values()]


def test_a_refusal_is_not_asked_again() -> None:
    for bad in (chat(None, refusal="I will not."), chat("", "content_filter")):
        asked = Asked("openai", lambda *_, bad=bad: bad, QUESTIONS[:1])  # type: ignore[misc]
        assert asked.failures == ["refused"] and len(asked.requests) == 1
    asked = Asked("anthropic", lambda *_: messages(stop="refusal"), QUESTIONS[:1])
    assert asked.failures == ["refused"] and len(asked.requests) == 1


def test_a_server_that_cannot_constrain_is_asked_in_words() -> None:
    def rule(_: int, body: dict[str, Any]) -> Said:
        if "response_format" in body:
            said = {"error": {"message": "unknown field: response_format"}}
            return Said(said, (400, 422, 500)[number_in(body) % 3])
        return well(body)

    asked = Asked("openai", rule, QUESTIONS[:6])
    assert asked.failures == [None] * 6
    assert sum("response_format" in body for body in asked.requests) <= 2 * PATIENT.at_once


def test_an_older_form_of_constraint_is_tried_first() -> None:
    """As llama-cpp-python 0.3 knows it, which answers 500 to any other."""

    def rule(_: int, body: dict[str, Any]) -> Said:
        if body.get("response_format", {}).get("type") != "json_object":
            return Said({"error": {"message": "body, response_format, type: should be 'text' or 'json_object'"}}, 500)
        assert set(body["response_format"]["schema"]["required"]) == set(MARKS)
        return well(body)

    asked = Asked("openai", rule, QUESTIONS[:6])
    assert asked.failures == [None] * 6 and len(asked.requests) <= 6 + PATIENT.at_once


@pytest.mark.parametrize(("provider", "status"), [("openai", 401), ("openai", 404), ("anthropic", 403)])
def test_a_server_that_accepts_nothing_is_asked_once_and_quotes_no_key(provider: str, status: int) -> None:
    bad = Said({"error": {"message": f"model or key {KEY} ({KEY[:12]}...) is wrong"}}, status)
    asked = Asked(provider, lambda *_: bad, QUESTIONS)
    assert asked.rejected and len(asked.requests) <= PATIENT.at_once
    assert KEY not in asked.rejected and KEY[:8] not in asked.rejected
    assert {"rejected", "not asked"} >= set(asked.failures) and len(asked.failures) == len(QUESTIONS)


def test_a_dead_server_is_given_up() -> None:
    settings = replace(PATIENT, tries=2, at_once=1, give_up=3)
    asked = Asked("openai", lambda *_: TRANSIENT["500"], QUESTIONS, settings)
    assert asked.failures == ["server"] * 3 + ["not asked"] * 5
    assert len(asked.requests) == 6


def test_a_server_that_fails_now_and_then_is_not() -> None:
    def rule(number: int, body: dict[str, Any]) -> Said:
        return well(body) if number % 3 == 2 else TRANSIENT["500"]

    settings = replace(PATIENT, tries=1, at_once=1, give_up=3)
    asked = Asked("openai", rule, QUESTIONS, settings)
    assert asked.failures.count(None) == 2 and "not asked" not in asked.failures


def test_everybody_waits_when_there_are_too_many_requests() -> None:
    asked = Asked("openai", first(4, TRANSIENT["429"]), QUESTIONS, replace(PATIENT, tries=6))
    assert asked.failures == [None] * 8 and set(asked.waited) == {7.0} and len(asked.waited) <= 4


def test_who_asks_for_an_hour_is_not_waited_for() -> None:
    hour = Said({}, 429, {"retry-after": "3600"})
    asked = Asked("openai", first(2, hour), QUESTIONS[:4])
    assert asked.failures.count("limited") == 2 and asked.failures.count(None) == 2 and not asked.waited


def test_the_limit_of_cost_ends_the_asking() -> None:
    """Each answer costs 0.75: with 2 dollars there is room for two, and one more might not fit."""
    settings = replace(PATIENT, at_once=1, most_dollars=2.0)
    asked = Asked("openai", lambda _, body: well(body), QUESTIONS, settings)
    assert asked.failures == [None] * 2 + ["not asked"] * 6 and len(asked.requests) == 2


def test_no_more_are_under_way_than_allowed() -> None:
    under_way, most = 0, 0

    class Slow:
        async def ask(self, question: Question) -> Reply:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.001)
            under_way -= 1
            return Reply(answer=Marks(**MARKS))

    settings = Settings(at_once=3)
    asyncio.run(ask_all(QUESTIONS, Slow(), settings, Budget(None, lambda *_: None), lambda *_: None))
    assert most == 3
