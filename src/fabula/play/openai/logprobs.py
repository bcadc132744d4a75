"""Log-probabilities of tokens in the form of OpenAI's completions."""

import math
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from fabula.data.tokenizers.tokenizer import Tokenizer
from fabula.play.story import Candidate, Told, bytes_of, text_of


@dataclass
class Logprobs:
    """Tokens, each with its own log-probability and that of the likeliest, and where in the text it begins."""

    tokenizer: Tokenizer
    tokens: list[str] = field(default_factory=list)
    token_logprobs: list[float | None] = field(default_factory=list)
    top_logprobs: list[dict[str, float] | None] = field(default_factory=list)
    text_offset: list[int] = field(default_factory=list)

    def add(self, told: Told, offset: int) -> None:
        self._add(told.token, told.log_probability, told.alternatives, offset)

    def add_prompt(self, token: int, known: tuple[float, tuple[Candidate, ...]] | None, offset: int) -> None:
        """A token of the prompt; `known`: its log-probability, and the likeliest that could have stood there."""
        own, best = known or (None, ())
        self._add(token, own, best, offset)

    def _add(self, token: int, log_probability: float | None, best: Iterable[Candidate], offset: int) -> None:
        self.tokens.append(named(self.tokenizer, token))
        self.token_logprobs.append(log_probability)
        top = {named(self.tokenizer, each.token): each.log_probability for each in best}
        self.top_logprobs.append(None if log_probability is None else top)
        self.text_offset.append(offset)

    def taken(self, end: float = math.inf) -> dict[str, Any]:
        """Those that begin before `end`, as an object of OpenAI's; they are taken out."""
        number = bisect_left(self.text_offset, end)
        lists = {name: getattr(self, name) for name in ("tokens", "token_logprobs", "top_logprobs", "text_offset")}
        said = {name: values[:number] for name, values in lists.items()}
        for values in lists.values():
            del values[:number]
        return said


def named(tokenizer: Tokenizer, token: int) -> str:
    """A token's text; where it is no whole characters, its bytes, as OpenAI writes them."""
    text = text_of(tokenizer, token)
    return text if text is not None else "bytes:" + "".join(f"\\x{byte:02x}" for byte in bytes_of(tokenizer, token))
