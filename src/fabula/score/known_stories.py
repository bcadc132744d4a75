"""What completions are held against: the training stories, and validation stories as what is usual.

The reading wing judges completions without tokenizer or stories, so each line of samples.jsonl says by itself what
only the data can tell: how much of it was copied, which of its words are names, how common the prompt's words are.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fabula.data.dataset import Dataset, Split
from fabula.record.text.words import TOKEN, words, words_with_starts
from fabula.score.copies import longest_copies

NUM_STORIES = 2_000
"""Training stories whose words are counted: a share of 10 % is known to within 1.3 points."""
NUM_USUAL = 20
"""Validation stories that show how long a copied stretch is usual."""
LEAD = 12
"""Tokens of a validation story that are left to its prompt: everybody begins with "Once upon a time"."""
NAME_SEEN = 2
NAME_IN_LOWER_CASE = 0.05
"""A word is a name when it stands within sentences with a capital letter, and hardly ever without one."""


@dataclass(frozen=True)
class KnownStories:
    """Training and validation stories, as far as completions are compared with them."""

    tokens: npt.NDArray[Any]
    """The training split, end to end."""
    usual: tuple[npt.NDArray[Any], ...]
    """Validation stories without their first tokens."""
    word_shares: dict[str, float]
    """Word in lower case -> share of the counted training stories that hold it."""
    names: frozenset[str]

    def fields(
        self, prompts: Sequence[str], completions: Sequence[Sequence[int]], texts: Sequence[str]
    ) -> list[dict[str, Any]]:
        """The fields of samples.jsonl for completions, given as token ids and as text."""
        longest = max(map(len, completions), default=0)
        usual = [story[:longest] for story in self.usual]
        copied = longest_copies([*completions, *usual], self.tokens)
        usual_copied = max(copied[len(completions) :], default=0)
        return [
            {
                "tokens": len(ids),
                "copied_tokens": number,
                "validation_copied_tokens": usual_copied,
                "prompt_words": {word: self.word_shares.get(word, 0.0) for word in dict.fromkeys(words(prompt))},
                "names": sorted({word for _, word, _ in words_with_starts(TOKEN.findall(prompt + text))} & self.names),
            }
            for prompt, ids, text, number in zip(
                prompts, completions, texts, copied, strict=False
            )  # of `copied` the first ones
        ]


def know_stories(data: Dataset) -> KnownStories:
    """Read what is needed of `data`: some thousand stories, once a training."""
    train = data.split("train")
    texts = [data.tokenizer.decode(train.story(index)) for index in _first_by_hash(train, NUM_STORIES)]
    in_stories: Counter[str] = Counter()
    for text in texts:
        in_stories.update(set(words(text)))
    return KnownStories(
        tokens=train.tokens,
        usual=usual_stories(data),
        word_shares={word: round(count / max(1, len(texts)), 4) for word, count in in_stories.items()},
        names=names_in(texts),
    )


def usual_stories(data: Dataset) -> tuple[npt.NDArray[Any], ...]:
    """Some validation stories without their first tokens: what of them was copied is usual."""
    validation = data.split("validation")
    return tuple(validation.story(index)[LEAD:] for index in _first_by_hash(validation, NUM_USUAL))


def names_in(texts: Sequence[str]) -> frozenset[str]:
    """The words that are names, by how they are written within sentences."""
    capital: Counter[str] = Counter()
    lower: Counter[str] = Counter()
    for text in texts:
        for _, word, start in words_with_starts(TOKEN.findall(text)):
            if word[0].islower():
                lower[word] += 1
            elif not start and word[1:].islower():
                capital[word] += 1
    return frozenset(
        word
        for word, count in capital.items()
        if count >= NAME_SEEN and lower[word.lower()] <= NAME_IN_LOWER_CASE * count and word.isalpha()
    )


def _first_by_hash(split: Split, number: int) -> npt.NDArray[np.int64]:
    """Stories chosen by their texts alone, the same whatever the tokenizer."""
    return np.argsort(split.story_hashes, kind="stable")[:number]
