"""`fabula generate`: text from a run's model."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fabula.model.decoder import Decoder
    from fabula.model.sampling import Sampling
    from fabula.recipe.schema import Recipe
    from fabula.text.tokenizers import Tokenizer


def generate(
    run: Annotated[Path, typer.Argument(help="The folder of a run.")],
    prompt: Annotated[
        str | None, typer.Option(help='How the text begins; "" for a story from nothing. Without it: a prompt loop.')
    ] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="Stop after so many, if the story has not ended.")] = 300,
    temperature: Annotated[float, typer.Option(help="0 takes the likeliest token each time.")] = 0.8,
    top_k: Annotated[int, typer.Option(help="Choose among the K likeliest tokens; 0: all.")] = 0,
    top_p: Annotated[float, typer.Option(help="Choose among the likeliest tokens that have this probability.")] = 0.95,
    min_p: Annotated[float, typer.Option(help="Leave out tokens below this share of the likeliest one's.")] = 0.0,
    repetition_penalty: Annotated[float, typer.Option(help="Above 1: tokens seen before become less likely.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same text.")] = 0,
    step: Annotated[int | None, typer.Option(help="The checkpoint of this step; default: the latest.")] = None,
    best: Annotated[bool, typer.Option("--best", help="The checkpoint with the lowest validation loss.")] = False,
) -> None:
    """Let a trained model continue a prompt. The text appears as it is chosen and ends where the story does.

    Beyond the model's context the text goes on, each token seeing at least the last half of the context.
    """
    import shlex
    import sys

    from fabula.errors import InputError
    from fabula.exchange.homes import has_home
    from fabula.model.between import find_native
    from fabula.model.load import best_step, load_model, move_to_gpu
    from fabula.model.sampling import Sampling

    sampling = Sampling(temperature, top_k, top_p, min_p, repetition_penalty)
    if best and step is not None:
        raise InputError("give --step or --best, not both")
    model, recipe, tokenizer = load_model(run, best_step(run) if best else step)
    move_to_gpu(model)
    native = find_native(model, 1)
    print(f"[decoding {'' if native.library else 'not compiled: '}{native.reason}]", file=sys.stderr)
    speaker = _Speaker(model, recipe, tokenizer, sampling, max_tokens, seed)
    if prompt is not None:
        speaker.say(prompt)
    else:
        print("Write how a story begins; an empty line for one from nothing; Ctrl-D to leave.", file=sys.stderr)
        for line in _prompts():
            try:
                speaker.say(line)
            except InputError as error:  # a prompt too long is no reason to leave the loop
                print(f"fabula: {error}", file=sys.stderr)
            speaker.seed += 1
    quoted, folder = shlex.quote(str(run)), shlex.quote(str(Path("exported") / run.resolve().name))
    leaves = has_home(recipe.model)
    following = f"export {quoted} --to hf --out {folder}" if leaves else f"report {quoted} --out report.html"
    print(f"\nNext: fabula {following}", file=sys.stderr)


def _prompts() -> "Iterator[str]":
    """Lines of stdin until it ends."""
    import sys

    while True:
        print("> ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            return
        yield line.rstrip("\n")


class _Speaker:
    def __init__(
        self,
        model: "Decoder",
        recipe: "Recipe",
        tokenizer: "Tokenizer",
        sampling: "Sampling",
        max_tokens: int,
        seed: int,
    ) -> None:
        self.model, self.recipe, self.tokenizer = model, recipe, tokenizer
        self.sampling, self.max_tokens, self.seed = sampling, max_tokens, seed

    def say(self, prompt: str) -> None:
        """Print the prompt and its completion to stdout; how it ended, to stderr."""
        import dataclasses
        import sys

        from fabula.model.generate import check_prompts, complete
        from fabula.model.streaming import CharacterStream

        # A token brings its own leading space: a space before it would be one that the model never saw there.
        prompt = prompt.rstrip(" ")
        tokens = self.tokenizer.encode(prompt).tolist()
        if self.recipe.batch.end_of_text or not tokens:
            tokens = [self.tokenizer.eot, *tokens]
        check_prompts(self.model, [tokens])

        def write(text: str) -> None:
            print(text, end="", flush=True)

        write(prompt)
        stream = CharacterStream(self.tokenizer, write)
        completion = complete(
            self.model,
            [tokens],
            num_tokens=self.max_tokens,
            eot=self.tokenizer.eot,
            seed=self.seed,
            on_token=lambda _, token: stream.token(token),
            **dataclasses.asdict(self.sampling),
        )[0]
        stream.end()
        print(flush=True)
        ended = "the story ended" if len(completion) < self.max_tokens else f"cut at --max-tokens {self.max_tokens}"
        context = self.model.shape.context
        beyond = f"; beyond the context of {context} tokens each saw the last {context // 2} at least"
        print(
            f"[{len(completion)} tokens, {ended}{beyond if len(tokens) + len(completion) > context else ''}]",
            file=sys.stderr,
        )
