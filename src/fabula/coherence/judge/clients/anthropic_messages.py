"""Anthropic's messages: the answer comes as the input of a tool that the model must call."""

from typing import Any

import anthropic

from fabula.coherence.judge.asking import Reply
from fabula.coherence.judge.clients.replies import (
    LONGEST_ANSWER,
    read,
    reply_of_status,
    tokens_of,
    typed,
)
from fabula.coherence.judge.told import Question
from fabula.coherence.judge.which import Judge


class AnthropicMessages:
    """A judge behind Anthropic's messages. Retries are ours (asking.py), so the client makes none."""

    def __init__(self, judge: Judge, timeout: float) -> None:
        self.judge = judge
        self._client = anthropic.AsyncAnthropic(api_key=judge.key, base_url=judge.url, timeout=timeout, max_retries=0)

    async def ask(self, question: Question) -> Reply:
        try:
            return await self._asked(question)
        except anthropic.APITimeoutError:
            return Reply(failure="late")
        except anthropic.APIConnectionError:
            return Reply(failure="connection")
        except anthropic.APIStatusError as error:
            return reply_of_status(self.judge, error.status_code, error.response.headers, str(error))
        except (anthropic.AnthropicError, ValueError):
            return Reply(failure="malformed")

    async def _asked(self, question: Question) -> Reply:
        message = await self._client.messages.create(
            model=self.judge.model,
            max_tokens=LONGEST_ANSWER,
            system=question.system,
            messages=[{"role": "user", "content": question.user}],
            tools=[{"name": question.kind, "description": "Hand in your answer.", "input_schema": question.schema}],
            tool_choice={"type": "tool", "name": question.kind},
        )
        return _reply(question, message)


def _reply(question: Question, message: object) -> Reply:
    """The client builds what it gets without checking it: nothing of it is trusted here."""
    fields: dict[str, Any] = message.model_dump(warnings=False) if hasattr(message, "model_dump") else {}
    content = fields.get("content")
    blocks = [each for each in content if isinstance(each, dict)] if isinstance(content, list) else []
    called = next((each for each in blocks if each.get("type") == "tool_use"), None)
    stopped = fields.get("stop_reason")
    if called is not None and stopped != "refusal":
        reply = typed(question, called.get("input"))
    else:
        text = "".join(each["text"] for each in blocks if isinstance(each.get("text"), str))
        reply = read(question, text, stopped == "refusal", stopped == "max_tokens")
    return tokens_of(reply, fields.get("usage"), "input_tokens", "output_tokens")
