"""Completing prompts: caches, sampling, and what happens at the end of the context.

Shapes: B rows, V vocabulary.

A row that has filled the context goes on: its last half-context of tokens is read afresh from position 0 and the text
continues, so each token is chosen from at least the last half and at most a whole context. That holds for learned
positions, which end with the context, and for RoPE, whose larger angles the model never saw in training.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fabula.errors import InputError
from fabula.model.decode.one_token import CachedDecoder
from fabula.model.decode.plain import PlainDecoder, PlainWeights
from fabula.model.decode.sampling import Sampling, choose, penalized
from fabula.model.decode.weights import DecodingWeights
from fabula.model.decoder import Decoder
from fabula.model.own import OwnModel, evaluating
from fabula.record.wording import plural

Prepared = DecodingWeights | PlainWeights
OnToken = Callable[[int, int], None]
"""Called with the number of the prompt and the token, the moment it is chosen; not with the closing EOT."""


def complete(
    model: Decoder | OwnModel,
    prompts: Sequence[Sequence[int]],
    *,
    num_tokens: int,
    eot: int,
    temperature: float,
    top_k: int = 0,
    top_p: float = 1.0,
    min_p: float = 0.0,
    repetition_penalty: float = 1.0,
    seed: int,
    on_token: OnToken | None = None,
) -> list[list[int]]:
    """The new tokens of each prompt: up to `num_tokens`, without the prompt and without the EOT that ended them.

    A completion shorter than `num_tokens` ended with EOT. Prompts are taken as they are: whoever wants a story from
    its beginning puts EOT first. The same seed gives the same tokens, each prompt by itself (its place in the list
    counts, its neighbours do not), and asking for more tokens gives the same ones first.
    Raises InputError for an empty prompt, one longer than the context, or logits that are not finite.
    """
    sampling = Sampling(temperature, top_k, top_p, min_p, repetition_penalty)
    check_prompts(model, prompts)
    if num_tokens < 1 or not prompts:
        return [[] for _ in prompts]
    batch = _Batch(prepared(model, len(prompts)), prompts, num_tokens, eot, sampling, seed, on_token)
    with evaluating(model), torch.inference_mode():
        for _ in batch.choices():
            pass
    return batch.completions


def prepared(model: Decoder | OwnModel, num_rows: int) -> Prepared:
    """The weights of `model` as they are now, for batches of about `num_rows` rows."""
    return PlainWeights(model) if isinstance(model, OwnModel) else DecodingWeights(model, num_rows)


@dataclass(frozen=True)
class Choice:
    """A token as it was chosen, EOT too, and what it was chosen from."""

    token: int
    logits_V: Tensor
    """The model's own, before any rule of sampling."""


def choices(
    weights: Prepared, prompt: Sequence[int], *, num_tokens: int, eot: int, sampling: Sampling, seed: int,
    drawn: int = 0,
) -> Iterator[Choice]:  # fmt: skip
    """What `complete` tells after `prompt`, one token at a time, for whoever shows more than the text, or stops early.

    `weights` are of a model in evaluation, prepared for one row. `drawn`: tokens that `seed` has chosen already, where
    a story goes on. To be run under `torch.inference_mode()`. Raises InputError as `complete` does.
    """
    check_prompts(weights.model, [prompt])
    batch = _Batch(weights, [prompt], num_tokens, eot, sampling, seed)
    batch.draw(0 if sampling.greedy else drawn)
    for tokens, logits_BV in batch.choices():
        yield Choice(tokens[0], logits_BV[0])


def window_of(tokens: Sequence[int], context: int) -> list[int]:
    """The tokens that `complete` has before it once a text has become `tokens`: all, or some of the last ones."""
    half = max(1, context // 2)
    over = len(tokens) - context - 1
    return list(tokens) if over < 0 else list(tokens[-(half + over % (context + 1 - half)) :])


def check_prompts(model: Decoder | OwnModel, prompts: Sequence[Sequence[int]]) -> None:
    """Raise InputError unless every prompt has from one token to as many as the context holds."""
    for prompt in prompts:
        if not prompt:
            raise InputError("a prompt has no tokens; begin with end-of-text to get a story from its beginning")
        if len(prompt) > model.shape.context:
            raise InputError(
                f"the prompt has {plural(len(prompt), 'token')}, but the model's context is {model.shape.context:,}; "
                "shorten it"
            )


class _Batch:
    """One call of `complete`."""

    def __init__(
        self,
        weights: Prepared,
        prompts: Sequence[Sequence[int]],
        num_tokens: int,
        eot: int,
        sampling: Sampling,
        seed: int,
        on_token: OnToken | None = None,
    ) -> None:
        self.num_tokens, self.eot, self.sampling, self.on_token = num_tokens, eot, sampling, on_token
        self.weights, model = weights, weights.model
        self.device = model.device
        self.context = model.shape.context
        self.windows = [list(map(int, prompt)) for prompt in prompts]  # ids of NumPy, too
        """What each row's model sees."""
        self.completions: list[list[int]] = [[] for _ in prompts]
        self.active = list(range(len(prompts)))
        self.generators = [_generator(seed, row) for row in self.active]
        self.seen_BV: Tensor | None = None
        if sampling.repetition_penalty != 1.0:
            self.seen_BV = torch.zeros((len(prompts), model.vocabulary), dtype=torch.bool, device=self.device)
            for row, prompt in enumerate(prompts):
                self.seen_BV[row, torch.tensor(prompt, device=self.device)] = True

    def draw(self, number: int) -> None:
        """Leave out the next `number` random numbers of each row."""
        for generator in self.generators:
            for _ in range(number):  # one by one, as they are drawn otherwise
                torch.rand(1, generator=generator)

    def choices(self) -> Iterator[tuple[list[int], Tensor]]:
        """The tokens of the rows that still go on, and the logits (B, V) that they were chosen from."""
        decoder, logits_BV = self._start()
        while True:
            tokens_B = self._choose(logits_BV)
            chosen = tokens_B.tolist()
            places = self._take(chosen)
            yield chosen, logits_BV
            if not places:
                return
            full = [row for row in self.active if len(self.windows[row]) > self.context]
            for row in full:
                self.windows[row] = self.windows[row][-max(1, self.context // 2) :]
            # The longest row may have ended: its caches are as full as if it had not. Half of a context of three is the
            # token that is to be read next: there is nothing to refill.
            if decoder.length == decoder.capacity or (full and (len(full) == len(self.active) or self.context < 4)):
                decoder, logits_BV = self._start()
                continue
            if len(places) < len(tokens_B):
                decoder.select(places)
                tokens_B = tokens_B[places]
            if full:
                decoder.refill([self.active.index(row) for row in full], [self.windows[row][:-1] for row in full])
            logits_BV = decoder.step(tokens_B)

    def _start(self) -> tuple[CachedDecoder | PlainDecoder, Tensor]:
        """Read every row that goes on. A row alone needs no more slots than the context; beside others it begins again
        behind what it had, and all of them only when as many slots as two contexts are full."""
        rows = [self.windows[row] for row in self.active]
        if isinstance(self.weights, PlainWeights):
            plain = PlainDecoder(self.weights)
            return plain, plain.prefill(rows)
        wanted = max(len(self.windows[row]) + self.num_tokens - len(self.completions[row]) for row in self.active)
        decoder = CachedDecoder(self.weights, len(rows), min(wanted, self.context * min(2, len(rows))))
        return decoder, decoder.prefill(rows)

    def _choose(self, logits_BV: Tensor) -> Tensor:
        if self.seen_BV is not None:
            logits_BV = penalized(logits_BV, self.seen_BV[self.active], self.sampling.repetition_penalty)
        uniform_B = None
        if not self.sampling.greedy:
            uniform_B = torch.cat([torch.rand(1, generator=self.generators[row]) for row in self.active])
            uniform_B = uniform_B.to(self.device)
        return choose(logits_BV, self.sampling, uniform_B)

    def _take(self, chosen: list[int]) -> list[int]:
        """Append the chosen tokens; the places in the batch of the rows that go on."""
        places = []
        for place, (row, token) in enumerate(zip(self.active, chosen, strict=True)):
            if token == self.eot:
                continue
            self.completions[row].append(token)
            self.windows[row].append(token)
            if self.seen_BV is not None:
                self.seen_BV[row, token] = True
            if self.on_token is not None:
                self.on_token(row, token)
            if len(self.completions[row]) < self.num_tokens:
                places.append(place)
        self.active = [self.active[place] for place in places]
        return places


def _generator(seed: int, row: int) -> torch.Generator:
    """A stream of its own for each row. torch's generator reads 32 bits of its seed, so the two are mixed first."""
    mixed = np.random.SeedSequence([seed % 2**64, row]).generate_state(1)[0]
    return torch.Generator().manual_seed(int(mixed))
