"""GPT-2's vocabulary by way of tiktoken, without a long wait where there is neither network nor cache."""

import hashlib
import os
import tempfile
from functools import cache
from pathlib import Path

from fabula.data.network import answers
from fabula.data.tokenizers.tokenizer import ByteLevelTokenizer
from fabula.errors import InputError

# The two files tiktoken reads; their address decides their name in its cache (tiktoken/load.py).
FILES = tuple(
    f"https://openaipublic.blob.core.windows.net/gpt-2/encodings/main/{name}" for name in ("vocab.bpe", "encoder.json")
)


def cache_folder() -> Path | None:
    """Where tiktoken keeps its files: the rule of tiktoken/load.py; None where its cache is switched off."""
    named = os.environ.get("TIKTOKEN_CACHE_DIR", os.environ.get("DATA_GYM_CACHE_DIR"))
    if named is None:
        return Path(tempfile.gettempdir()) / "data-gym-cache"
    return Path(named) if named else None


def is_cached() -> bool:
    folder = cache_folder()
    return folder is not None and all((folder / hashlib.sha1(url.encode()).hexdigest()).is_file() for url in FILES)


@cache
def gpt2_tokenizer() -> ByteLevelTokenizer:
    """GPT-2's tokenizer: 50,257 ids. Raises InputError when its vocabulary can neither be found nor fetched."""
    if not is_cached() and not answers(FILES[0]):
        raise InputError(
            "the GPT-2 vocabulary is not in tiktoken's cache and the network does not answer; "
            "use --tokenizer bpe:8192, or set TIKTOKEN_CACHE_DIR to a folder that holds it"
        )
    import tiktoken

    encoding = tiktoken.get_encoding("gpt2")
    return ByteLevelTokenizer("gpt2", encoding._mergeable_ranks, encoding.eot_token)
