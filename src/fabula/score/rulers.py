"""Which text is scored by which rule: the rulers, and the hashes that say whether two numbers may be ranked.

Protocols: `stream` is the packed stream without permutation, every target scored once; `story` is a padded row a story.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from fabula.data.batches import Batch, story_rows, stream_windows
from fabula.data.dataset import Dataset, Split, TextCounts, hashed_subset, text_counts

Protocol = Literal["stream", "story"]
COMMON_CONTEXT = 128
"""Tiers of different context are ranked at this one."""

SUBSET_BYTES = 80_000  # about 20,000 GPT-2 tokens
TRAIN_SAMPLE_BYTES = 40_000  # a gap to the validation loss shows at half its size, at half the cost


@dataclass(frozen=True)
class Ruler:
    """One way to score a split: its stories (None: all), the protocol and the context."""

    split: Split
    protocol: Protocol
    context: int
    indices: npt.NDArray[np.int64] | None = None

    @property
    def hash(self) -> str:
        """Hash of text, rule and evaluation context. Numbers of different hashes are never ranked."""
        chosen = slice(None) if self.indices is None else self.indices
        text = hashlib.sha256(np.ascontiguousarray(self.split.story_hashes[chosen]).tobytes()).hexdigest()
        rule = ["fabula-ruler-1", self.protocol, self.context, text]
        return hashlib.sha256(json.dumps(rule).encode()).hexdigest()[:16]

    @property
    def counts(self) -> TextCounts:
        return text_counts(self.split, self.indices)

    @property
    def story_targets(self) -> npt.NDArray[np.int64]:
        """Targets of each story in the order in which `batches` brings them, end-of-text included, and in a row of
        its own cut to the context."""
        whole = self.split.lengths[slice(None) if self.indices is None else self.indices] + 1
        return whole if self.protocol == "stream" else np.minimum(whole, self.context)

    def batches(self, rows: int, eot: int) -> list[Batch]:
        make = stream_windows if self.protocol == "stream" else story_rows
        return list(make(self.split, self.indices, context=self.context, rows=rows, eot=eot))


@dataclass(frozen=True)
class Rulers:
    """All rulers of one run. `train_sample` shows the gap to the training stories."""

    stream: Ruler
    story: Ruler
    stream_subset: Ruler
    stream_at_128: Ruler
    story_at_128: Ruler
    train_sample: Ruler

    @property
    def hashes(self) -> dict[str, str]:
        return {name: getattr(self, name).hash for name in self.__dataclass_fields__}


def make_rulers(data: Dataset, context: int, split: Literal["validation", "tune"] = "validation") -> Rulers:
    """The rulers of a run whose model has `context` positions. A shorter context than 128 is scored at its own."""
    held_out, train = data.split(split), data.split("train")
    subset = hashed_subset(held_out, SUBSET_BYTES)
    common = min(COMMON_CONTEXT, context)
    return Rulers(
        stream=Ruler(held_out, "stream", context),
        story=Ruler(held_out, "story", context),
        stream_subset=Ruler(held_out, "stream", context, subset),
        stream_at_128=Ruler(held_out, "stream", common),
        story_at_128=Ruler(held_out, "story", common),
        train_sample=Ruler(train, "stream", context, hashed_subset(train, TRAIN_SAMPLE_BYTES)),
    )
