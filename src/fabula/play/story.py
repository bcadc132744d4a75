"""One story, token by token, with what else could have come."""

import codecs
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fabula.data.tokenizers.tokenizer import Tokenizer
from fabula.errors import InputError
from fabula.model.decode.generate import Prepared, check_prompts, choices, window_of
from fabula.model.decode.prompts import prompt_tokens
from fabula.model.decode.sampling import Sampling
from fabula.model.decoder import Decoder
from fabula.model.own import OwnModel
from fabula.recipe.schema import Recipe


@dataclass(frozen=True)
class Wish:
    """A story that is asked for."""

    prompt: Sequence[int]
    """Its tokens, at most a context."""
    sampling: Sampling
    seed: int
    num_tokens: int
    alternatives: int = 0
    drawn: int = 0
    """Random numbers of the seed that are used already."""
    told: int = 0
    """How many of the last tokens of `prompt` a model told, whose last character the story may complete."""


@dataclass(frozen=True)
class Candidate:
    token: int
    log_probability: float


@dataclass(frozen=True)
class Told:
    """A token that was chosen."""

    token: int
    ended: bool
    """It is end-of-text, the last of its story."""
    text: str
    """What can be read now: bytes that are half a character wait for the rest."""
    log_probability: float
    """By the model alone, before any rule of sampling."""
    alternatives: tuple[Candidate, ...]
    """The likeliest tokens, likeliest first."""


def beginning(text: str, model: Decoder | OwnModel, recipe: Recipe, tokenizer: Tokenizer) -> list[int]:
    """The tokens that `fabula generate` begins with for this text. Raises InputError for more than a context."""
    tokens = prompt_tokens(tokenizer, text, recipe.batch.end_of_text)
    check_prompts(model, [tokens])
    return tokens


def known_tokens(tokens: Sequence[int], vocabulary: int, context: int) -> list[int]:
    """Tokens that go on, cut as `complete` would have them. Raises InputError for none, and for unknown ones."""
    if not tokens or not all(0 <= token < vocabulary for token in tokens):
        raise InputError(f"the prompt's tokens must be ids from 0 to {vocabulary - 1:,}, and at least one")
    return window_of(tokens, context)


class Story:
    """An iterator over what is told, to be run under `torch.inference_mode()`.

    Raises InputError for a prompt that does not fit, and for logits that are not finite.
    """

    def __init__(self, weights: Prepared, tokenizer: Tokenizer, wish: Wish) -> None:
        self._choices = choices(
            weights, wish.prompt, num_tokens=wish.num_tokens, eot=tokenizer.eot, sampling=wish.sampling, seed=wish.seed,
            drawn=wish.drawn,
        )  # fmt: skip
        self._tokenizer, self._alternatives = tokenizer, wish.alternatives
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        before = [bytes_of(tokenizer, token) for token in wish.prompt[max(0, len(wish.prompt) - wish.told) :]]
        self._decoder.decode(b"".join(before))

    def __iter__(self) -> "Story":
        return self

    def __next__(self) -> Told:
        choice = next(self._choices)
        ended = choice.token == self._tokenizer.eot
        text = "" if ended else self._decoder.decode(bytes_of(self._tokenizer, choice.token))
        return Told(choice.token, ended, text, *_candidates(choice.logits_V, choice.token, self._alternatives))

    def rest(self) -> str:
        """The half character that still waits, once no token follows."""
        return self._decoder.decode(b"", final=True)


def _candidates(logits_V: Tensor, token: int, number: int) -> tuple[float, tuple[Candidate, ...]]:
    log_p_V = torch.log_softmax(logits_V, -1)
    best = log_p_V.topk(min(number, len(log_p_V)))
    pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return float(log_p_V[token]), tuple(Candidate(each, value) for each, value in pairs)


def prompt_log_probabilities(
    model: Decoder | OwnModel, tokens: Sequence[int], number: int
) -> list[tuple[float, tuple[Candidate, ...]]]:
    """Of each token after the first: its log-probability, and the `number` likeliest that could have stood there.

    Raises InputError for logits that are not finite.
    """
    with torch.inference_mode():
        ids_T = torch.tensor(tokens, device=model.device)
        log_p_TV = torch.log_softmax(model(ids_T[None, :-1])[0].float(), -1)
        own_T = log_p_TV.gather(-1, ids_T[1:, None])[:, 0]
        if not bool(own_T.isfinite().all()):  # one that is not finite makes its whole row so
            raise InputError("the model's logits are not finite, so nothing is probable; choose another checkpoint")
        best_TK = log_p_TV.topk(min(number, log_p_TV.shape[-1]))
    rows = zip(own_T.tolist(), best_TK.indices.tolist(), best_TK.values.tolist(), strict=True)
    return [(own, tuple(map(Candidate, likeliest, values))) for own, likeliest, values in rows]


def bytes_of(tokenizer: Tokenizer, token: int) -> bytes:
    """Nothing for an id that the tokenizer lacks: an embedding may have more rows than there are tokens."""
    try:
        return tokenizer.decode_bytes([token])
    except KeyError:
        return b""


def text_of(tokenizer: Tokenizer, token: int) -> str | None:
    """A token by itself; None where its bytes are no whole characters."""
    try:
        return bytes_of(tokenizer, token).decode("utf-8")
    except UnicodeDecodeError:
        return None
