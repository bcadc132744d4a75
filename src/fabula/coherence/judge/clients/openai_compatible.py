"""OpenAI's own server, and every other that speaks its chat completions: llama.cpp, Ollama, vLLM, gateways."""

from typing import Any

import openai

from fabula.coherence.judge.asking import Reply
from fabula.coherence.judge.clients.replies import (
    LONGEST_ANSWER,
    read,
    reply_of_status,
    tokens_of,
)
from fabula.coherence.judge.told import Question
from fabula.coherence.judge.which import Judge

FORM_UNKNOWN = ("response_format", "json_schema", "json_object", "grammar", "structured")
"""What a server speaks of that cannot constrain its output as it was asked to."""


def _forms(question: Question) -> list[dict[str, Any]]:
    """How to ask for constrained output: as OpenAI has it; as it was before there were schemas, which llama-cpp-python
    (0.3) and some gateways kept; and not at all, where the words must do."""
    named = {"name": question.kind, "strict": True, "schema": question.schema}
    return [
        {"response_format": {"type": "json_schema", "json_schema": named}},
        {"response_format": {"type": "json_object", "schema": question.schema}},
        {},
    ]


class OpenAICompatible:
    """A judge behind chat completions. Retries are ours (asking.py), so the client makes none."""

    def __init__(self, judge: Judge, timeout: float) -> None:
        self.judge = judge
        self._client = openai.AsyncOpenAI(api_key=judge.key, base_url=judge.url, timeout=timeout, max_retries=0)
        self._form = 0
        # The newer name is refused by older servers, the older one by OpenAI's newer models.
        self._limit = "max_completion_tokens" if judge.url is None else "max_tokens"

    async def ask(self, question: Question) -> Reply:
        form = self._form
        try:
            return await self._asked(question, form)
        except openai.APITimeoutError:
            return Reply(failure="late")
        except openai.APIConnectionError:
            return Reply(failure="connection")
        except openai.APIStatusError as error:
            # With any status: llama-cpp-python says 500 to a form that it does not know.
            if form + 1 < len(_forms(question)) and _form_unknown(error):
                self._form = max(self._form, form + 1)
                return await self.ask(question)
            return reply_of_status(self.judge, error.status_code, error.response.headers, str(error))
        except (openai.OpenAIError, ValueError):  # a body that is no JSON, or none of what it should be
            return Reply(failure="malformed")

    async def _asked(self, question: Question, form: int) -> Reply:
        fields: dict[str, Any] = {
            "model": self.judge.model,
            "messages": [{"role": "system", "content": question.system}, {"role": "user", "content": question.user}],
            self._limit: LONGEST_ANSWER,
        }
        fields |= _forms(question)[form]
        return _reply(question, await self._client.chat.completions.create(**fields))


def _reply(question: Question, completion: object) -> Reply:
    """The client builds what it gets without checking it: nothing of it is trusted here."""
    fields = completion.model_dump(warnings=False) if hasattr(completion, "model_dump") else {}
    choices = fields.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    said = choice.get("message")
    message = said if isinstance(said, dict) else {}
    refused = bool(message.get("refusal")) or choice.get("finish_reason") == "content_filter"
    reply = read(question, message.get("content"), refused, choice.get("finish_reason") == "length")
    return tokens_of(reply, fields.get("usage"), "prompt_tokens", "completion_tokens")


def _form_unknown(error: openai.APIStatusError) -> bool:
    return any(each in str(error).lower() for each in FORM_UNKNOWN)
