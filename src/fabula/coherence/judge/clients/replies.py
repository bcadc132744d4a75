"""From what a server sent to a typed answer. Servers that cannot constrain their output wrap it in words."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from fabula.coherence.judge.asking import Failure, Rejected, Reply
from fabula.coherence.judge.told import Question
from fabula.coherence.judge.which import KEY_VARIABLES, OWN_VARIABLE, Judge
from fabula.record.content.parsing import json_value
from fabula.record.content.shape import count_or_zero
from fabula.record.wording import inert

LONGEST_REPLY = 20_000
"""Characters; an answer has some hundred."""
LONGEST_ANSWER = 2000
"""Tokens that a judge may write: an answer has about a hundred, and some models think first."""
LONGEST_WHY = 200
"""Characters of what a server says that the user is shown."""


def last_object(text: str) -> dict[str, Any] | None:
    """The last whole JSON object in a text, whatever stands around it: a judge that thinks aloud answers at the end."""
    decoder, found, place = json.JSONDecoder(), None, 0
    while (place := text.find("{", place)) >= 0:
        try:
            value, end = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            place += 1
            continue
        if isinstance(value, dict):
            found = value
        place = end
    return found


def typed(question: Question, value: object) -> Reply:
    """An object as the answer to `question`, or malformed."""
    try:
        return Reply(answer=question.expects.model_validate(value))
    except ValidationError:
        return Reply(failure="malformed")


def read(question: Question, text: object, refused: bool, cut: bool) -> Reply:
    """The text of a reply. One without any object is a refusal where the judge finished what it wanted to say."""
    if refused:
        return Reply(failure="refused")
    if not isinstance(text, str) or not text.strip() or len(text) > LONGEST_REPLY:
        return Reply(failure="malformed")
    found = last_object(text)
    if found is not None:
        return typed(question, json_value(json.dumps(found)))
    failure: Failure = "malformed" if cut or "{" in text or not _declines(text) else "refused"
    return Reply(failure=failure)


DECLINING = (
    "i can't", "i cannot", "i can not", "i'm sorry", "i am sorry", "i won't", "i will not", "unable to", "sorry,"
)  # fmt: skip


def _declines(text: str) -> bool:
    start = text.strip().lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")[:200]
    return any(each in start for each in DECLINING)


def seconds_of(retry_after: str | None) -> float | None:
    """The header `retry-after` where it is a number of seconds; a date (RFC 9110, 10.2.3) is not waited for exactly."""
    try:
        seconds = float(retry_after or "")
    except ValueError:
        return None
    return seconds if 0.0 <= seconds < 1e6 else None


def reply_of_status(judge: Judge, status: int, headers: Mapping[str, str], said: str) -> Reply:
    """A reply that is no success as one of the failures: 429 (and 529, Anthropic's "overloaded") ask to come later.

    Raises Rejected where no other request would fare better.
    """
    why = inert(judge.without_key(" ".join(said.split())))[:LONGEST_WHY]
    if status in (401, 403):
        variables = f"{OWN_VARIABLE} or {KEY_VARIABLES[judge.provider]}"
        raise Rejected(f"its server refuses the key in {variables} ({status})")
    if status == 402:
        raise Rejected(f"its server wants to be paid first ({why})")
    if status in (404, 405):
        where = judge.shown_url or "the provider's server"
        raise Rejected(f"{where} does not know this model, or this way to ask ({why})")
    failure: Failure = "rejected"
    if status in (429, 529):
        failure = "limited"
    elif status == 408:
        failure = "late"
    elif status >= 500 or status in (409, 425):
        failure = "server"
    return Reply(failure=failure, status=status, wait=seconds_of(headers.get("retry-after")), said=why)


def tokens_of(reply: Reply, usage: object, name_in: str, name_out: str) -> Reply:
    """With what the server says that it cost."""
    if not isinstance(usage, dict):
        return reply
    return replace(reply, tokens_in=count_or_zero(usage.get(name_in)), tokens_out=count_or_zero(usage.get(name_out)))
