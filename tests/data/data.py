"""Small prepared data without a preparation: stories given as token lists."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from fabula.data.dataset import Split

EOT = 0


def split_of(stories: list[list[int]], gpt2_lengths: list[int] | None = None) -> Split:
    """Token ids from 1 on; 0 is end-of-text. Each token stands for one byte."""
    lengths = np.array([len(story) for story in stories], np.int64)
    return Split(
        name="train",
        tokens=np.array([token for story in stories for token in story], np.uint16),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        num_bytes=lengths,
        story_hashes=np.array([hash(tuple(story)) % 2**64 for story in stories], np.uint64),
        gpt2_lengths=None if gpt2_lengths is None else np.array(gpt2_lengths, np.int32),
        text_hash="none",
    )


def data_of(stories: list[list[int]], seed: int = 5) -> Any:
    """What BatchSource needs of Dataset."""
    split = split_of(stories)
    return SimpleNamespace(split=lambda name: split, seed=seed, tokenizer=SimpleNamespace(eot=EOT))
