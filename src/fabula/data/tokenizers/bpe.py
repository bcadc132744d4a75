"""Byte-level BPE as a table of ranks: the one form from which both `tiktoken` and `tokenizers` can be served.

A vocabulary is a map token bytes -> id in which the order of ids is the order of merging (Radford et al. 2019;
`tiktoken` calls it mergeable ranks). The Hugging Face form lists the merges as pairs instead. `derive_merges` goes
from the first to the second, `read_byte_level_json` back, and refuses where the two forms could encode a text
differently.
"""

import json
import re
from functools import cache
from typing import Any

EOT_TEXT = "<|endoftext|>"

# How GPT-2 cuts text before merging; the same language as the pattern inside the `ByteLevel` pre-tokenizer of
# `tokenizers`, in the possessive form that tiktoken ships for speed (tiktoken_ext/openai_public.py, r50k).
GPT2_PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""

# The same without a look ahead, which tiktoken's engine matches without going back: half of the time for all of the
# encoding. It cuts each white space off by itself, and so does GPT-2's where never three are in a row: of two before
# a word, the first is what has no word behind it, and the second begins the word or stands alone.
PLAIN_PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s"""
_WIDE_SPACE = re.compile(r"\s\s(?:\s|\Z)")
_SPACES_ALIKE = bytes(ord(" ") if chr(byte).isspace() and byte < 128 else byte for byte in range(256))


def has_wide_space(text: str) -> bool:
    """Whether white space is three signs wide somewhere, or two at the end: where the patterns differ."""
    if text.isascii():  # three times as fast as the regular expression, which is as slow as a fifth of the encoding
        spaced = text.encode().translate(_SPACES_ALIKE)
        return b"   " in spaced or spaced.endswith(b"  ")
    return _WIDE_SPACE.search(text) is not None


@cache
def byte_alphabet() -> tuple[str, ...]:
    """Character that stands for each byte 0..255 in a vocabulary file (GPT-2's `bytes_to_unicode`).

    Printable Latin-1 characters stand for themselves, the other bytes for U+0100 onwards in order.
    """
    characters = []
    num_shifted = 0
    for byte in range(256):
        if chr(byte).isprintable() and chr(byte) != " ":
            characters.append(chr(byte))
        else:
            characters.append(chr(256 + num_shifted))
            num_shifted += 1
    return tuple(characters)


@cache
def _alphabet_to_byte() -> dict[str, int]:
    return {character: byte for byte, character in enumerate(byte_alphabet())}


@cache
def _latin_to_alphabet() -> dict[int, str]:
    return dict(enumerate(byte_alphabet()))


def to_characters(token: bytes) -> str:
    return token.decode("latin-1").translate(_latin_to_alphabet())


def to_bytes(token: str) -> bytes:
    """Inverse of `to_characters`. Raises KeyError for a character that stands for no byte."""
    return bytes(map(_alphabet_to_byte().__getitem__, token))


def byte_tokens() -> list[bytes]:
    """The 256 one-byte tokens in GPT-2's order: printable Latin-1 first, then the rest."""
    return sorted((bytes([byte]) for byte in range(256)), key=to_characters)


def _stays_parted(left: bytes, right: bytes, ranks: dict[bytes, int], halves: dict[bytes, tuple[bytes, bytes]]) -> bool:
    """Whether no merge crosses the border of two tokens on the way to them: whether `left + right` becomes these two.

    Looks at the two pieces at the border from the end of the merging to its beginning, undoing the later merge first
    (merges come in the order of their ranks, the leftmost of equal ones first). Where the pieces could have been merged
    before one of them grew, they would have been.
    """
    before = ranks[left + right]
    while ranks.get(left + right, before) >= before:
        last_left = ranks[left] if left in halves else -1
        last_right = ranks[right] if right in halves else -1
        if last_left > last_right:
            left, before = halves[left][1], last_left
        elif last_right >= 0:
            right, before = halves[right][0], last_right + 1
        else:
            return True
    return False


def derive_merges(ranks: dict[bytes, int]) -> list[tuple[bytes, bytes]] | None:
    """The merge that makes each longer token, in rank order; None where some token cannot be reached by merging."""
    halves: dict[bytes, tuple[bytes, bytes]] = {}
    for token in sorted((token for token in ranks if len(token) > 1), key=ranks.__getitem__):
        for cut in range(1, len(token)):
            left, right = token[:cut], token[cut:]
            if (
                (cut == 1 or left in halves)
                and (cut == len(token) - 1 or right in halves)
                and _stays_parted(left, right, ranks, halves)
            ):
                halves[token] = left, right
                break
        else:
            return None
    return list(halves.values())


def byte_level_json(ranks: dict[bytes, int], eot: int, merges: list[tuple[bytes, bytes]] | None = None) -> str:
    """A `tokenizer.json` that `tokenizers` and `transformers` load, with the ids of `ranks`; `merges` where known."""
    merges = merges or derive_merges(ranks)
    assert merges is not None, "every token of a trained vocabulary is reached by merging"
    characters = {token: to_characters(token) for token in sorted(ranks, key=ranks.__getitem__)}
    vocabulary = {text: ranks[token] for token, text in characters.items()}
    vocabulary[EOT_TEXT] = eot
    special = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        "vocab": vocabulary,
        "merges": [[characters[left], characters[right]] for left, right in merges],
    }
    document = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": eot, "content": EOT_TEXT, **special}],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": model,
    }
    return json.dumps(document, ensure_ascii=False)


def read_byte_level_json(document: dict[str, Any]) -> tuple[dict[bytes, int], int] | None:
    """Ranks and end-of-text id of a `tokenizer.json`, or None unless it is plain GPT-2-style byte-level BPE.

    None means: encode this file with `tokenizers`, for the ranks alone might not say how it encodes (another
    pattern, a normalizer, further special tokens, merges that are not the ones the ranks imply).
    """
    model = document.get("model") or {}
    cutter = document.get("pre_tokenizer") or {}
    added = document.get("added_tokens") or []
    oddities = ("dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk")
    if (
        model.get("type") != "BPE"
        or any(model.get(key) for key in (*oddities, "byte_fallback", "ignore_merges"))
        or document.get("normalizer") is not None
        or cutter.get("type") != "ByteLevel"
        or cutter.get("add_prefix_space", True)
        or not cutter.get("use_regex", True)
        or len(added) != 1
        or added[0]["content"] != EOT_TEXT
        or not added[0].get("special")
    ):
        return None
    ranks: dict[bytes, int] = {}
    for token, rank in model["vocab"].items():
        if token != EOT_TEXT:
            if any(character not in _alphabet_to_byte() for character in token):
                return None
            ranks[to_bytes(token)] = rank
    if any(token not in ranks for token in byte_tokens()):
        return None
    merges = [tuple(merge.split(" ")) if isinstance(merge, str) else tuple(merge) for merge in model["merges"]]
    derived = derive_merges(ranks)
    if derived is None or merges != [(to_characters(left), to_characters(right)) for left, right in derived]:
        return None
    return ranks, added[0]["id"]
