"""What completions are held against, where the stories are at hand."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from fabula.coherence.measures.copying import copied_shares
from fabula.data.dataset import Dataset
from fabula.record.words import words
from fabula.score.copies import longest_copies

COUNTED_STORIES = 10_000
"""Training stories whose words are counted: a share of 1 % is known to within 0.2 points."""


@dataclass(frozen=True)
class KnownStories:
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
        ids = [self.data.tokenizer.encode(text).tolist() for text in texts]
        corpus = self.data.split("train").tokens
        return [
            {"copied_run": float(run), "copied_groups": share}
            for run, share in zip(longest_copies(ids, corpus), copied_shares(ids, corpus), strict=True)
        ]
