"""`fabula.load`: a trained model for logits, stories and the score of a text."""

import dataclasses
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from fabula.api.paths import Where, path_of
from fabula.data.tokenizers.tokenizer import Tokenizer
from fabula.errors import InputError
from fabula.model.decode.generate import complete
from fabula.model.decode.prompts import prompt_tokens
from fabula.model.decode.sampling import Sampling
from fabula.model.decoder import Decoder
from fabula.model.load import best_step, load_trusted, move_to_gpu
from fabula.model.own import OwnModel
from fabula.recipe.schema import Recipe

log = logging.getLogger("fabula")


@dataclass(frozen=True)
class TextScore:
    """How likely a text is to a model, from end-of-text to end-of-text."""

    tokens: tuple[int, ...]
    """What was scored: the text's tokens and the end-of-text behind them."""
    nats: npt.NDArray[np.float64]
    """-log p of each of them, given those before."""
    text_bytes: int

    @property
    def loss(self) -> float:
        """Nats per token."""
        return float(self.nats.mean())

    @property
    def bits_per_byte(self) -> float:
        return float(self.nats.sum()) / math.log(2) / max(1, self.text_bytes)


class Model:
    """A trained model with its recipe and tokenizer; `module` is the torch module itself."""

    def __init__(self, module: Decoder | OwnModel, recipe: Recipe, tokenizer: Tokenizer) -> None:
        self.module, self.recipe, self.tokenizer = module, recipe, tokenizer

    def tokens(self, text: str) -> list[int]:
        """As the model saw its stories: with an end-of-text before them, where its recipe has it so."""
        return prompt_tokens(self.tokenizer, text, self.recipe.batch.end_of_text)

    def logits(self, text: str | Sequence[int]) -> npt.NDArray[np.float32]:
        """(tokens, vocabulary): what the model expects behind each token of `text`, which begins with an end-of-text
        where the model's stories did; or behind each of the tokens that are given.

        Raises InputError for more tokens than the context holds.
        """
        tokens = self.tokens(text) if isinstance(text, str) else list(text)
        context = self.recipe.model.context
        if not 0 < len(tokens) <= context:
            raise InputError(f"logits of {len(tokens):,} tokens; give 1 to {context:,}, which is the context")
        with torch.inference_mode():
            logits_BTV = self.module(torch.tensor([tokens], device=self.module.device))
        return np.asarray(logits_BTV[0].float().cpu().numpy())

    def generate(
        self,
        prompt: str = "",
        *,
        max_tokens: int = 300,
        temperature: float = 0.8,
        top_k: int = 0,
        top_p: float = 0.95,
        min_p: float = 0.0,
        repetition_penalty: float = 1.0,
        seed: int = 0,
    ) -> str:
        """The story that begins with `prompt`: exactly what `fabula generate` tells with these options. "" begins one
        from nothing.

        Raises InputError for a prompt that does not fit into the context.
        """
        prompt = prompt.rstrip(" ")  # a token brings its own space before it
        sampling = Sampling(temperature, top_k, top_p, min_p, repetition_penalty)
        (told,) = complete(
            self.module, [self.tokens(prompt)], num_tokens=max_tokens, eot=self.tokenizer.eot, seed=seed,
            **dataclasses.asdict(sampling),
        )  # fmt: skip
        return prompt + self.tokenizer.decode(told)

    def score(self, text: str) -> TextScore:
        """How likely `text` is, as a story with an end-of-text before and behind it. A text beyond the context is read
        in windows, as the validation stream is: each token is scored once."""
        eot, context = self.tokenizer.eot, self.recipe.model.context
        stream = [eot, *self.tokenizer.encode(text).tolist(), eot]
        device = self.module.device
        nats = []
        with torch.inference_mode():
            for start in range(0, len(stream) - 1, context):
                window = torch.tensor([stream[start : start + context + 1]], device=device)
                logits_TV = self.module(window[:, :-1])[0].double()
                nats.append(torch.nn.functional.cross_entropy(logits_TV, window[0, 1:], reduction="none").cpu().numpy())
        return TextScore(tuple(stream[1:]), np.concatenate(nats), len(text.encode()))


def load(run: Where, *, step: int | None = None, best: bool = False, trust: bool = False) -> Model:
    """The model of a run folder: of its latest checkpoint, that of `step`, or the `best` by its validation loss. On a
    GPU where there is one. `trust`: a model of the maker's own is loaded too, by running the code that its recipe
    names.

    Raises InputError for a folder without a checkpoint, or a damaged one.
    """
    if best and step is not None:
        raise InputError("give step or best, not both")
    folder = path_of(run)
    module, recipe, tokenizer = load_trusted(folder, best_step(folder) if best else step, trust, log.warning)
    move_to_gpu(module)
    return Model(module, recipe, tokenizer)
