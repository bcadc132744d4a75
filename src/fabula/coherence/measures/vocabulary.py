"""Which words a text is made of: broken ones, long ones, rare ones."""

import re
from collections.abc import Mapping, Sequence

from fabula.coherence.measures.sentences import sentences_of
from fabula.record.text.words import words

RARE = 0.01
"""A word that fewer than one story in a hundred holds is rare."""
BROKEN = re.compile(
    r"[^\W\d_]+\d\w*|\d+(?!(?:st|nd|rd|th|s|am|pm|cm|km|kg|m)\b)[^\W\d_]+|(.)\1\1\1|\ufffd|[a-z][A-Z]|^[b-hj-np-zB-HJ-NP-Z]$"
)
"""Letters and digits in one word, a letter four times in a row, half a character, a capital within a word, a consonant
alone: no word list is needed to see that these are no words."""
PIECE = re.compile(r"[\w\ufffd]+(?:['’]\w+)*")
FAMILY = re.compile(r"^(Mc|Mac|O['’])[A-Z]")


def broken_words(text: str) -> float | None:
    """The share of words that are none by their letters alone."""
    pieces = PIECE.findall(text)
    broken = [each for each in pieces if not each.isdigit() and BROKEN.search(each) and not FAMILY.match(each)]
    return len(broken) / len(pieces) if pieces else None


def unknown_words(said: Sequence[str], shares: Mapping[str, float]) -> float | None:
    """The share of words that no training story holds. `shares`: word -> share of the stories that hold it."""
    return sum(word not in shares for word in said) / len(said) if said else None


def rare_words(said: Sequence[str], shares: Mapping[str, float]) -> float | None:
    """The share of different words that fewer than one training story in a hundred holds."""
    different = set(said)
    return sum(shares.get(word, 0.0) < RARE for word in different) / len(different) if different else None


def word_letters(said: Sequence[str]) -> float | None:
    """Mean letters of a word."""
    return sum(map(len, said)) / len(said) if said else None


def sentence_words(text: str) -> float | None:
    """Mean words of a sentence."""
    lengths = [len(words(each)) for each in sentences_of(text)]
    lengths = [length for length in lengths if length]
    return sum(lengths) / len(lengths) if lengths else None
