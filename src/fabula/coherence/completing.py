"""Completions of a prompt set, several a prompt, each of which can be made again from its prompt set and its seed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fabula.coherence.prompts.sets import Prompt
from fabula.data.tokenizers.tokenizer import Tokenizer
from fabula.model.decode.generate import complete
from fabula.model.decode.sampling import Sampling
from fabula.model.decoder import Decoder
from fabula.model.own import OwnModel
from fabula.recipe.schema import Recipe

EVALUATION_STREAM = 0x6A756467  # "judg": apart from the streams of initialisation, order and samples.jsonl


@dataclass(frozen=True)
class Completion:
    """How a story went on after the prompt `number` of its set."""

    number: int
    seed: int | None
    """None for what a human wrote."""
    text: str
    tokens: int
    ended: bool
    """It came to its end, and was not cut off after so many tokens."""

    @property
    def human(self) -> bool:
        return self.seed is None


@dataclass(frozen=True)
class Settings:
    """How completions are drawn."""

    samples: int = 5
    """Of each prompt, with the seeds `seed`, `seed` + 1, ..."""
    tokens: int = 200
    temperature: float = 0.8
    top_p: float = 0.95
    seed: int = 0

    @property
    def seeds(self) -> range:
        return range(self.seed, self.seed + self.samples)


def completions_of(
    model: Decoder | OwnModel,
    recipe: Recipe,
    tokenizer: Tokenizer,
    prompts: Sequence[Prompt],
    settings: Settings,
    told: Callable[[int], None] = lambda _: None,
) -> list[Completion]:
    """For each prompt its completions, by their seeds, and what the human wrote, where that is known.

    The prompts of a set are a batch, and each seed is a call of its own: a completion depends on the model, the
    settings, its prompt, its place in the set and its seed, and on nothing else. `told` hears of each batch how many
    completions it had. A prompt longer than the context is seen as far as its last half-context, as `complete` goes on
    where a row has filled the context.
    """
    rows = [_ids(tokenizer, prompt.text, recipe, model.shape.context) for prompt in prompts]
    sampling = Sampling(settings.temperature, top_p=settings.top_p)
    found: list[list[Completion]] = [[] for _ in prompts]
    for seed in settings.seeds:
        outputs = complete(
            model,
            rows,
            num_tokens=settings.tokens,
            eot=tokenizer.eot,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            seed=int(np.random.SeedSequence([EVALUATION_STREAM, seed]).generate_state(1, np.uint64)[0] >> 1),
        )
        for number, ids in enumerate(outputs):
            text = tokenizer.decode(ids)
            found[number].append(Completion(number, seed, text, len(ids), len(ids) < settings.tokens))
        told(len(rows))
    for number, prompt in enumerate(prompts):
        if prompt.continuation is not None:
            found[number].append(human(tokenizer, prompt.continuation, number, settings.tokens))
    return [each for of_prompt in found for each in of_prompt]


def _ids(tokenizer: Tokenizer, text: str, recipe: Recipe, context: int) -> list[int]:
    # A token brings its own leading space: a space before it would be one that the model never saw there.
    ids: list[int] = tokenizer.encode(text.rstrip(" ")).tolist()
    if recipe.batch.end_of_text or not ids:
        ids = [tokenizer.eot, *ids]
    return ids if len(ids) <= context else ids[-max(1, context // 2) :]


def human(tokenizer: Tokenizer, continuation: str, number: int, most: int) -> Completion:
    """The true continuation, cut where a model's would have been."""
    ids = tokenizer.encode(continuation)
    text = continuation if len(ids) < most else tokenizer.decode(ids[:most].tolist())
    return Completion(number, None, text, min(len(ids), most), len(ids) < most)
