"""`gpt2-compact`: the part of GPT-2's vocabulary that the stories to train on use.

Rows of the head that never occur cost time in every step and learn nothing. Kept are the tokens that occur in the
training split, whatever is merged on the way to them, the 256 bytes and end-of-text, in GPT-2's order. So:

- any text can be encoded, byte by byte if need be, and comes back as it was;
- a text whose GPT-2 tokens are all kept is encoded into exactly those. For no merge crosses the border of a final
  token, so the merges inside it are those of the token alone, and all of them are kept; and a smaller vocabulary
  offers no pair that GPT-2's lacks, so that the lowest rank is the same pair at each step.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fabula.data.prepare.passes import Passes
from fabula.data.prepare.splits import Plan
from fabula.data.prepare.tasks import Selection
from fabula.data.stories.chunks import Chunk
from fabula.data.tokenizers.bpe import byte_tokens, derive_merges
from fabula.data.tokenizers.gpt2 import gpt2_tokenizer
from fabula.data.tokenizers.tokenizer import COMPACT, ByteLevelTokenizer


@dataclass(frozen=True)
class UsedTokens:
    """The GPT-2 ids that occur in a split's stories, each once."""

    selection: Selection

    def __call__(self, chunk: Chunk) -> npt.NDArray[np.uint32]:
        return np.unique(gpt2_tokenizer().encode_flat(self.selection.of(chunk).texts)[0])


def compact_tokenizer(plan: Plan, passes: Passes) -> ByteLevelTokenizer:
    """The tokenizer for the plan's training split. Raises InputError where GPT-2's vocabulary cannot be had."""
    ranks = gpt2_tokenizer().ranks
    part = plan.splits["train"]
    place = passes.journal.at("used")
    used: set[int] = set(place.state.get("ids", ()))
    number = place.chunks
    chunks = [] if place.done else passes.over("tokens in use", UsedTokens(part.selection), part.source, place.chunks)
    for number, ids in enumerate(chunks, start=place.chunks + 1):
        used.update(ids.tolist())
        passes.journal.note("used", number, lambda: {"ids": sorted(used)})
    passes.journal.note("used", number, lambda: {"ids": sorted(used)}, done=True)
    if not used:
        raise plan.nothing_left()
    kept = compact_ranks(ranks, used)
    return ByteLevelTokenizer(COMPACT, kept, eot=len(kept))


def compact_ranks(ranks: dict[bytes, int], used: set[int]) -> dict[bytes, int]:
    """The tokens of `ranks` with an id in `used`, what they are merged from, and all bytes, renumbered in order."""
    merges = derive_merges(ranks)
    assert merges is not None, "every token of a trained vocabulary is reached by merging"
    kept = {token for token, rank in ranks.items() if rank in used}
    for left, right in reversed(merges):  # a token's parts have lower ranks, so one pass down finds all ancestors
        if left + right in kept:
            kept |= {left, right}
    kept |= set(byte_tokens())
    return {token: number for number, token in enumerate(sorted(kept, key=ranks.__getitem__))}
