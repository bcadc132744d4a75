"""How a story begins for a model."""

from fabula.data.tokenizers.tokenizer import Tokenizer


def prompt_tokens(tokenizer: Tokenizer, prompt: str, end_of_text: bool) -> list[int]:
    """The tokens of `prompt`, with an end-of-text before them where stories had it so, or where there is nothing else.

    A token brings its own leading space: a space at the prompt's end would be one that the model never saw there.
    """
    tokens: list[int] = tokenizer.encode(prompt.rstrip(" ")).tolist()
    return [tokenizer.eot, *tokens] if end_of_text or not tokens else tokens
