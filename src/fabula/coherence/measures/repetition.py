"""Whether a text says the same again, and whether several texts say the same."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from fabula.coherence.measures.sentences import sentences_of
from fabula.record.text.english import loops, repeated_share
from fabula.record.text.words import words

GRAM = 4
DISTINCT_WORDS = 100
"""Words of which the distinct pairs are counted: a longer text repeats more, whatever it says."""
MOST_WORDS = 50
"""A text is compared with others as far as its first words: whoever says more has more in common."""


def repeated_groups(said: Sequence[str]) -> float | None:
    """Of the groups of four words, the share that had come before."""
    return repeated_share(list(said), GRAM) if len(said) >= GRAM else None


def repeated_sentences(text: str) -> float | None:
    """Of the sentences of three words or more, the share that had come before, word for word."""
    said = [" ".join(each) for each in map(words, sentences_of(text)) if len(each) >= 3]
    return 1.0 - len(set(said)) / len(said) if said else None


def looped_words(said: Sequence[str]) -> float | None:
    """The most words that are one stretch said again and again in a row, as a share of the text."""
    if not said:
        return None
    longest = max((len(stretch) * times for stretch, times in loops(list(said)) if times > 1), default=0)
    return min(1.0, longest / len(said))


def distinct_pairs(said: Sequence[str]) -> float | None:
    """Of the pairs of neighbours among the first 100 words, the share that is there once each (distinct-2, Li et al.
    2016); None for a shorter text."""
    pairs = list(pairwise(said[:DISTINCT_WORDS]))
    return len(set(pairs)) / len(pairs) if len(said) >= DISTINCT_WORDS else None


def shared_groups(texts: Sequence[Sequence[str]], owners: Sequence[int]) -> list[float | None]:
    """For each text, which share of the groups of four among its first 50 words another owner's text has too.

    Texts of one owner (a prompt) have their beginning in common and are not compared. What depends on how many
    others there are is only comparable between sets of one size.
    """
    groups = [set(zip(*(said[shift:MOST_WORDS] for shift in range(GRAM)), strict=False)) for said in texts]
    held_by: Counter[tuple[str, ...]] = Counter()
    of_owner: dict[int, set[tuple[str, ...]]] = {}
    for own, owner in zip(groups, owners, strict=True):
        of_owner.setdefault(owner, set()).update(own)
    for own in of_owner.values():
        held_by.update(own)
    return [sum(held_by[each] > 1 for each in own) / len(own) if own else None for own in groups]
