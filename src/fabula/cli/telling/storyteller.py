"""One story after another from one model, each with a seed of its own."""

import dataclasses
import sys

from fabula.cli.screen.signals import interrupt_between
from fabula.cli.screen.terminal import tell, width_of
from fabula.cli.screen.words import WordStream
from fabula.data.tokenizers.tokenizer import Tokenizer
from fabula.model.decode.generate import check_prompts, complete
from fabula.model.decode.prompts import prompt_tokens
from fabula.model.decode.sampling import Sampling
from fabula.model.decode.streaming import CharacterStream
from fabula.model.decoder import Decoder
from fabula.model.own import OwnModel
from fabula.recipe.schema import Recipe
from fabula.record.wording import plural


class Storyteller:
    """Tells stories to stdout, and to stderr how each ended. `sampling`, `max_tokens` and `seed` may be set between."""

    def __init__(
        self,
        model: Decoder | OwnModel,
        recipe: Recipe,
        tokenizer: Tokenizer,
        sampling: Sampling,
        max_tokens: int,
        seed: int,
    ) -> None:
        self.model, self.recipe, self.tokenizer = model, recipe, tokenizer
        self.sampling, self.max_tokens = sampling, max_tokens
        self.seed = seed
        """Of the next story; each one told moves it on by one."""

    def tell(self, prompt: str, count: int) -> None:
        """Print `count` stories that begin with `prompt`, an empty line between them, each as it is chosen.

        One after the other and not as a batch, so that each is exactly what its seed gives alone. Raises InputError
        for a prompt that is too long, and at Ctrl-C KeyboardInterrupt, with the line ended.
        """
        prompt = prompt.rstrip(" ")
        tokens = prompt_tokens(self.tokenizer, prompt, self.recipe.batch.end_of_text)
        check_prompts(self.model, [tokens])
        for place in range(count):
            if place:
                print(flush=True)
            seed, self.seed = self.seed, self.seed + 1
            self._tell_one(prompt, tokens, seed)

    def _tell_one(self, prompt: str, tokens: list[int], seed: int) -> None:
        def write(text: str) -> None:
            print(text, end="", flush=True)

        # Only a terminal has an edge; a file gets the text as it is.
        words = WordStream(write, lambda: width_of(sys.stdout) or 80) if sys.stdout.isatty() else None
        show = words.text if words else write
        end_line = words.end if words else lambda: write("\n")
        stream = CharacterStream(self.tokenizer, show)
        try:
            show(prompt)
            with interrupt_between() as stop_here:

                def show_token(_: int, token: int) -> None:
                    stream.token(token)
                    stop_here()

                completion = complete(
                    self.model,
                    [tokens],
                    num_tokens=self.max_tokens,
                    eot=self.tokenizer.eot,
                    seed=seed,
                    on_token=show_token,
                    **dataclasses.asdict(self.sampling),
                )[0]
        except KeyboardInterrupt:
            end_line()
            tell(f"[stopped; seed {seed}]", stderr=True)
            raise
        stream.end()
        end_line()
        ended = "the story ended" if len(completion) < self.max_tokens else f"cut at --max-tokens {self.max_tokens}"
        context = self.model.shape.context
        beyond = f"; beyond the context of {context} tokens each saw the last {context // 2} at least"
        tell(
            f"[seed {seed}: {plural(len(completion), 'token')}, {ended}"
            f"{beyond if len(tokens) + len(completion) > context else ''}]",
            stderr=True,
        )
