"""Log-probabilities of tokens in the form of OpenAI's completions."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

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

    def add_prompt(self, token: int, known: tuple[float, Tensor] | None, number: int, offset: int) -> None:
        """A token of the prompt; `known`: its log-probability, and those of all that could have stood there."""
        if known is None:
            self._add(token, None, (), offset)
            return
        best = torch.topk(known[1], min(number, len(known[1])))
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        self._add(token, known[0], [Candidate(each, value) for each, value in pairs], offset)

    def _add(self, token: int, log_probability: float | None, best: Iterable[Candidate], offset: int) -> None:
        self.tokens.append(named(self.tokenizer, token))
        self.token_logprobs.append(log_probability)
        top = {named(self.tokenizer, each.token): each.log_probability for each in best}
        self.top_logprobs.append(None if log_probability is None else top)
        self.text_offset.append(offset)

    def as_object(self) -> dict[str, Any]:
        names = ("tokens", "token_logprobs", "top_logprobs", "text_offset")
        return {name: getattr(self, name) for name in names}


def named(tokenizer: Tokenizer, token: int) -> str:
    """A token's text; where it is no whole characters, its bytes, as OpenAI writes them."""
    text = text_of(tokenizer, token)
    return text if text is not None else "bytes:" + "".join(f"\\x{byte:02x}" for byte in bytes_of(tokenizer, token))
