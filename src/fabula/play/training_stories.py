"""The stories that a model was trained on, where they still lie on this machine: what of a story was copied."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy.typing as npt

from fabula.data.dataset import open_dataset
from fabula.data.tokenizers.tokenizer import Tokenizer
from fabula.errors import InputError
from fabula.score.copies import copied_stretches
from fabula.score.known_stories import usual_stories


@dataclass(frozen=True)
class TrainingStories:
    tokens: npt.NDArray[Any]
    """End to end, memory-mapped."""
    unseen: tuple[npt.NDArray[Any], ...]
    """Validation stories without their first tokens, as what is usual (fabula.score.known_stories)."""

    @cached_property
    def usual(self) -> float | None:
        """The share of the unseen stories' tokens that stands in the training stories: people repeat each other too."""
        copied = sum(end - first for own in copied_stretches(self.unseen, self.tokens) for first, end in own)
        total = sum(map(len, self.unseen))
        return copied / total if total else None

    def copied(self, told: npt.ArrayLike) -> list[tuple[int, int]]:
        """Ranges of `told` that stand in the training stories as they are."""
        return copied_stretches([told], self.tokens)[0]


def training_stories_of(info: dict[str, Any], tokenizer: Tokenizer) -> TrainingStories | None:
    """Those of the run whose run.json is `info`; None where they are gone, or are others by now."""
    data = info.get("data") or {}  # its types are those of fabula.record.content.shape
    if not data.get("path") or not data.get("tokenizer"):
        return None
    try:
        dataset = open_dataset(Path(data["path"]), data["tokenizer"])
        same = dataset.tokenizer.hash == tokenizer.hash
        same = same and dataset.manifest.splits["train"].text_hash == (data.get("text_hashes") or {}).get("train")
        if not same:
            return None
        return TrainingStories(dataset.split("train").tokens, usual_stories(dataset))
    except (InputError, OSError):
        return None
