"""GPT-2's vocabulary by way of tiktoken, without a long wait where there is neither network nor cache.

Read from its list of merges alone: `tiktoken.get_encoding` reads a second file to check the first, and takes three
times as long, half a second of each preparation.
"""

import hashlib
import os
import tempfile
from functools import cache
from itertools import chain
from pathlib import Path

from fabula.data.network import answers
from fabula.data.tokenizers.bpe import byte_tokens, to_characters
from fabula.data.tokenizers.tokenizer import GPT2_HASH, ByteLevelTokenizer
from fabula.errors import InputError

# Its address decides its name in tiktoken's cache (tiktoken/load.py); the hash is the one that tiktoken expects.
MERGES = "https://openaipublic.blob.core.windows.net/gpt-2/encodings/main/vocab.bpe"
MERGES_SHA256 = "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5"


def cache_folder() -> Path | None:
    """Where tiktoken keeps its files: the rule of tiktoken/load.py; None where its cache is switched off."""
    named = os.environ.get("TIKTOKEN_CACHE_DIR", os.environ.get("DATA_GYM_CACHE_DIR"))
    if named is None:
        return Path(tempfile.gettempdir()) / "data-gym-cache"
    return Path(named) if named else None


def is_cached() -> bool:
    folder = cache_folder()
    return folder is not None and (folder / hashlib.sha1(MERGES.encode()).hexdigest()).is_file()


def gpt2_merges() -> list[tuple[bytes, bytes]]:
    """The halves of each token that is longer than a byte, in the order of their ids."""
    from tiktoken.load import read_file_cached  # heavy, and only GPT-2's tokenizer needs it

    lines = read_file_cached(MERGES, MERGES_SHA256).decode().split("\n")[1:-1]
    # A half is a byte or an earlier line's token: looked up, where spelling each out anew would take 0.2 s.
    tokens = {to_characters(token): token for token in byte_tokens()}
    merges = []
    for left, right in map(str.split, lines):
        merges.append((tokens[left], tokens[right]))
        tokens[left + right] = tokens[left] + tokens[right]
    return merges


@cache
def gpt2_tokenizer() -> ByteLevelTokenizer:
    """GPT-2's tokenizer: 50,257 ids. Raises InputError when its vocabulary can neither be found nor fetched."""
    if not is_cached() and not answers(MERGES):
        raise InputError(
            "the GPT-2 vocabulary is not in tiktoken's cache and the network does not answer; "
            "use --tokenizer bpe:8192, or set TIKTOKEN_CACHE_DIR to a folder that holds it"
        )
    merges = gpt2_merges()
    tokens = chain(byte_tokens(), (left + right for left, right in merges))
    ranks = {token: rank for rank, token in enumerate(tokens)}
    return ByteLevelTokenizer("gpt2", ranks, eot=len(ranks), merges=merges, known_hash=GPT2_HASH)
