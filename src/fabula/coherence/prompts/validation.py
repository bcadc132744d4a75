"""Where a validation story is cut: its beginning is the prompt, the rest what a human wrote."""

import re

SHORTEST_REST = 60
"""Words that must be left to the continuation."""
LONGEST_BEGINNING = 60
"""Words: some 80 tokens, with which a context of 128 still has room."""
SENTENCE = re.compile(r"[^.!?]*[.!?]+[\"”’']*\s*")


def beginning_of(story: str, number: int) -> tuple[str, str] | None:
    """The first two to four sentences of a story and the rest; every third time the last of them is cut in its middle.

    None where the story is too short for that.
    """
    sentences = [each.group() for each in SENTENCE.finditer(story)]
    begun = "".join(sentences[: 2 + number % 3])
    if number % 3 == 2:
        last = sentences[1 + number % 3] if len(sentences) > 1 + number % 3 else ""
        half = last.split(" ")[: max(2, len(last.split(" ")) // 2)]
        begun = begun[: len(begun) - len(last)] + " ".join(half)
    begun = begun.rstrip()
    rest = story[len(begun) :]
    if len(begun.split()) > LONGEST_BEGINNING or len(rest.split()) < SHORTEST_REST or not begun:
        return None
    return begun, rest
