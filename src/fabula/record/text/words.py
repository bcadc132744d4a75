"""What a word is, in the fields of samples.jsonl and in the rules that read them."""

import re

WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
"""Letters of any script, apostrophes within: `don't` is one word, `three-year-old` three."""
TOKEN = re.compile(rf"{WORD.pattern}|[.!?\"“”,;:\n]")
"""Words, and the marks that end sentences, set off speech or part what stands in a row."""
SENTENCE_ENDS = '.!?:\n"“”'
"""Marks after which a capital letter says nothing."""


def words(text: str) -> list[str]:
    """The words of a text in lower case."""
    return [word.lower() for word in WORD.findall(text)]


def without_possessive(word: str) -> str:
    """`Lily's` as `Lily`."""
    return word[:-2] if word.endswith(("'s", "’s")) else word


def words_with_starts(tokens: list[str]) -> list[tuple[int, str, bool]]:
    """The words among TOKEN's matches: index, word without possessive, whether a sentence or a speech begins with
    it."""
    found, start = [], True
    for index, token in enumerate(tokens):
        if token[0].isalpha():
            found.append((index, without_possessive(token), start))
            start = False
        elif token in SENTENCE_ENDS:
            start = True
    return found
