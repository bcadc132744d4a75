"""What completions are held against, where the stories are at hand."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from fabula.coherence.measures.copying import copied_groups, copied_places, copied_shares
from fabula.data.dataset import Dataset
from fabula.record.text.words import words
from fabula.score.copies import longest_copies

COUNTED_STORIES = 10_000
"""Training stories whose words are counted: a share of 1 % is known to within 0.2 points."""

MARKED = 16
"""Tokens in a row, some twelve words: any two stories have eight in common."""


@dataclass(frozen=True)
class TrainingStories:
    """The training stories of prepared data."""

    data: Dataset

    @cached_property
    def shares(self) -> dict[str, float]:
        """Word in lower case -> share of the counted stories that hold it."""
        split = self.data.split("train")
        chosen = split.story_hashes.argsort(kind="stable")[:COUNTED_STORIES]
        held_by: Counter[str] = Counter()
        for index in chosen:
            held_by.update(set(words(self.data.tokenizer.decode(split.story(int(index))))))
        return {word: count / max(1, len(chosen)) for word, count in held_by.items()}

    def copied(self, texts: Sequence[str]) -> list[dict[str, float | None]]:
        """Of each text, in tokens of the data: the longest run that stands in a training story, and the share of
        groups of eight that do."""
        ids = self._ids(texts)
        corpus = self.data.split("train").tokens
        return [
            {"copied_run": float(run), "copied_groups": share}
            for run, share in zip(longest_copies(ids, corpus), copied_shares(ids, corpus), strict=True)
        ]

    def copied_places(self, texts: Sequence[str]) -> list[list[list[int]]]:
        """Of each text, where it stands word for word in the training stories for MARKED tokens or more: the places of
        the first letter and of the one behind the last."""
        ids = self._ids(texts)
        groups = copied_groups(ids, self.data.split("train").tokens)
        decode = self.data.tokenizer.decode
        return [
            [[len(decode(own[:start])), len(decode(own[:stop]))] for start, stop in copied_places(found, MARKED)]
            for own, found in zip(ids, groups, strict=True)
        ]

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        return [self.data.tokenizer.encode(text).tolist() for text in texts]
