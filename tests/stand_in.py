"""A byte-level BPE that takes the place of GPT-2's: its vocabulary lies on no machine that has never fetched it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
import tiktoken

from fabula.data.prepare.bpe_training import train_ranks
from fabula.data.tokenizers import gpt2
from fabula.data.tokenizers.bpe import EOT_TEXT, GPT2_PATTERN, derive_merges
from fabula.data.tokenizers.tokenizer import ByteLevelTokenizer
from fabula.grammar import stories

WRITTEN = Path(__file__).parent / "stories"
NUM_TOKENS = 2000


def written_stories() -> list[str]:
    """The stories of tests/stories."""
    files = [WRITTEN / name for name in ("train.jsonl", "validation.jsonl")]
    return [json.loads(line)["text"] for file in files for line in file.read_text(encoding="utf-8").splitlines()]


@cache
def trained_encoding() -> tiktoken.Encoding:
    texts = [*written_stories(), *(story.text for story in stories(0, 0, 400))]
    ranks = train_ranks(texts, NUM_TOKENS - 1)
    return tiktoken.Encoding(
        "gpt2", pat_str=GPT2_PATTERN, mergeable_ranks=ranks, special_tokens={EOT_TEXT: NUM_TOKENS - 1}
    )


@contextmanager
def gpt2_of(home: str) -> Iterator[ByteLevelTokenizer]:
    """What fabula takes for GPT-2's tokenizer: in "real" itself; in "own", until the end of the context, a stand-in.

    There tiktoken gives the trained encoding when it is asked for "gpt2", and needs no file for it.
    """
    if home == "real":
        yield gpt2.gpt2_tokenizer()
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(tiktoken.registry.ENCODINGS, "gpt2", trained_encoding())
        patch.setattr(gpt2, "is_cached", lambda: True)
        patch.setattr(gpt2, "gpt2_merges", lambda: derive_merges(trained_encoding()._mergeable_ranks))
        patch.setattr(gpt2, "GPT2_HASH", None)
        gpt2.gpt2_tokenizer.cache_clear()
        try:
            yield gpt2.gpt2_tokenizer()
        finally:
            gpt2.gpt2_tokenizer.cache_clear()
