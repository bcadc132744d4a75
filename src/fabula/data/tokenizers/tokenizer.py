"""Tokenizers: GPT-2's, byte-level BPE of any size, or any byte-level BPE file.

All encode ordinary text only: the letters `<|endoftext|>` inside a story are letters, never the special token.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import compress
from operator import not_
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from fabula.data.tokenizers.bpe import (
    EOT_TEXT,
    GPT2_PATTERN,
    PLAIN_PATTERN,
    byte_level_json,
    has_wide_space,
    read_byte_level_json,
    to_bytes,
)
from fabula.errors import InputError, nearest
from fabula.record.content.parsing import json_value
from fabula.record.content.shape import COUNT, FLAG, TEXT, Kind, Shape, list_of, misfit, refuse_misfits, table_of

if TYPE_CHECKING:
    import tiktoken

Ids = npt.NDArray[np.uint32]

COMPACT = "gpt2-compact"

# The end-of-text tokens that are in use, most usual first.
KNOWN_EOT = (EOT_TEXT, "<|end_of_text|>", "</s>", "<eos>", "<|im_end|>", "[EOS]")


class Tokenizer(Protocol):
    """What the other packages rely on."""

    @property
    def name(self) -> str: ...
    @property
    def vocabulary(self) -> int:
        """Number of ids, end-of-text included: the rows of an embedding."""
        ...

    @property
    def eot(self) -> int: ...
    @property
    def hash(self) -> str:
        """sha256 of all that decides the encoding: two tokenizers with one hash give the same ids."""
        ...

    def encode(self, text: str) -> Ids: ...
    def encode_batch(self, texts: Sequence[str]) -> list[Ids]: ...
    def encode_flat(self, texts: Sequence[str]) -> tuple[Ids, npt.NDArray[np.int64]]:
        """Ids of all texts end to end, and the number of ids of each: the form without a list of lists."""
        ...

    def decode(self, ids: Iterable[int]) -> str:
        """Text of `ids`; bytes that are no valid UTF-8 become U+FFFD."""
        ...

    def decode_bytes(self, ids: Iterable[int]) -> bytes: ...
    def to_json(self) -> str:
        """The file `tokenizer.json` in the form of Hugging Face `tokenizers`."""
        ...


def _hash(text: str) -> str:
    """Of the parsed document, so that white space and key order do not count."""
    canonical = json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


class ByteLevelTokenizer:
    """Byte-level BPE with GPT-2's pattern, encoded by tiktoken from its ranks.

    tiktoken is 2 to 3 times as fast as `tokenizers` here, and one call for many texts (joined by the special
    token) that returns a buffer is twice as fast as its own batch call, which makes Python lists.
    """

    def __init__(
        self,
        name: str,
        ranks: dict[bytes, int],
        eot: int,
        merges: list[tuple[bytes, bytes]] | None = None,
        known_hash: str | None = None,
    ) -> None:
        """`merges` and `known_hash` are what would be worked out of `ranks` and `eot` otherwise."""
        self.name = name
        self.ranks = ranks
        self.eot = eot
        self.vocabulary = max(max(ranks.values()), eot) + 1
        self._plain = self._engine(PLAIN_PATTERN)
        self._bytes_of = {rank: token for token, rank in ranks.items()}
        self._bytes_of[eot] = EOT_TEXT.encode()
        self._json: str | None = None
        self._merges = merges
        self._known_hash = known_hash

    def __reduce__(self) -> tuple[type["ByteLevelTokenizer"], tuple[str, dict[bytes, int], int]]:
        return ByteLevelTokenizer, (self.name, self.ranks, self.eot)

    @cached_property
    def hash(self) -> str:
        return self._known_hash or _hash(self.to_json())

    @cached_property
    def _careful(self) -> "tiktoken.Encoding":
        """For texts with wide spaces, which many corpora have none of."""
        return self._engine(GPT2_PATTERN)

    def _engine(self, pattern: str) -> "tiktoken.Encoding":
        import tiktoken  # heavy: each kind of tokenizer loads its own library

        special = {EOT_TEXT: self.eot}
        return tiktoken.Encoding(self.name, pat_str=pattern, mergeable_ranks=self.ranks, special_tokens=special)

    def encode(self, text: str) -> Ids:
        engine = self._careful if has_wide_space(text) else self._plain
        ids: Ids = engine.encode_to_numpy(text, disallowed_special=())
        return ids

    def encode_flat(self, texts: Sequence[str]) -> tuple[Ids, npt.NDArray[np.int64]]:
        wide = [has_wide_space(text) for text in texts]
        if not any(wide):
            return self._encode_joined(self._plain, texts)
        careful = iter(_cut(*self._encode_joined(self._careful, list(compress(texts, wide)))))
        plain = iter(_cut(*self._encode_joined(self._plain, list(compress(texts, map(not_, wide))))))
        return _flat([next(careful if is_wide else plain) for is_wide in wide])

    def _encode_joined(self, engine: "tiktoken.Encoding", texts: Sequence[str]) -> tuple[Ids, npt.NDArray[np.int64]]:
        if not texts:
            return np.zeros(0, np.uint32), np.zeros(0, np.int64)
        joined = engine.encode_to_numpy(EOT_TEXT.join(texts), allowed_special={EOT_TEXT}, disallowed_special=())
        ends = np.flatnonzero(joined == self.eot)
        if len(ends) != len(texts) - 1:  # a story spells the separator out: one by one, as plain letters
            return _flat([engine.encode_to_numpy(text, disallowed_special=()) for text in texts])
        edges = np.concatenate([[-1], ends, [len(joined)]])
        return np.delete(joined, ends), np.diff(edges) - 1

    def encode_batch(self, texts: Sequence[str]) -> list[Ids]:
        return _cut(*self.encode_flat(texts))

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        return b"".join(self._bytes_of[int(i)] for i in ids)

    def decode(self, ids: Iterable[int]) -> str:
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def to_json(self) -> str:
        if self._json is None:
            self._json = byte_level_json(self.ranks, self.eot, self._merges)
        return self._json


class FileTokenizer:
    """A byte-level BPE file with its own pattern, normalizer or special tokens, encoded by `tokenizers`."""

    def __init__(self, name: str, text: str) -> None:
        from tokenizers import Tokenizer as Engine  # heavy: each kind of tokenizer loads its own library

        document = json.loads(text)
        self.name = name
        self._json = text
        try:
            self._engine = Engine.from_str(text)
        except Exception as error:  # tokenizers (0.22) raises nothing more precise
            raise InputError(f"{name}: `tokenizers` cannot read this tokenizer.json ({error})") from error
        self._engine.encode_special_tokens = True
        self._engine.no_truncation()
        self._engine.no_padding()
        self.vocabulary = max(self._engine.get_vocab(with_added_tokens=True).values()) + 1
        added = {token["content"]: token["id"] for token in document.get("added_tokens") or []}
        known = [token for token in KNOWN_EOT if token in added]
        if not known:
            raise InputError(f"{name}: the tokenizer has no end-of-text token ({', '.join(KNOWN_EOT)}); add one")
        self.eot: int = added[known[0]]
        self._bytes_of = {i: token.encode() for token, i in added.items()}
        for token, i in document["model"]["vocab"].items():
            if i not in self._bytes_of:
                try:
                    self._bytes_of[i] = to_bytes(token)
                except KeyError:
                    raise InputError(
                        f"{name}: token {token!r} is not in the byte alphabet; fabula takes byte-level BPE only"
                    ) from None

    def __reduce__(self) -> tuple[type["FileTokenizer"], tuple[str, str]]:
        return FileTokenizer, (self.name, self._json)

    @cached_property
    def hash(self) -> str:
        return _hash(self._json)

    def encode(self, text: str) -> Ids:
        return np.array(self._engine.encode(text, add_special_tokens=False).ids, np.uint32)

    def encode_batch(self, texts: Sequence[str]) -> list[Ids]:
        encodings = self._engine.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array(encoding.ids, np.uint32) for encoding in encodings]

    def encode_flat(self, texts: Sequence[str]) -> tuple[Ids, npt.NDArray[np.int64]]:
        return _flat(self.encode_batch(texts))

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        return b"".join(self._bytes_of[int(i)] for i in ids)

    def decode(self, ids: Iterable[int]) -> str:
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def to_json(self) -> str:
        return self._json


def _flat(pieces: list[Ids]) -> tuple[Ids, npt.NDArray[np.int64]]:
    return np.concatenate([np.zeros(0, np.uint32), *pieces]), np.array([len(piece) for piece in pieces], np.int64)


def _cut(ids: Ids, lengths: npt.NDArray[np.int64]) -> list[Ids]:
    return np.split(ids, np.cumsum(lengths)[:-1]) if len(lengths) else []


# sha256 of GPT-2's vocabulary in the form of `to_json`, by which a file is recognised as GPT-2 (tests recompute it).
GPT2_HASH = "e92a64f83e45b8e050ec3dfc34ab35e4f4b945fd146983ea3545806bc858b4ae"


def load_tokenizer(path: Path, name: str | None = None) -> Tokenizer:
    """A tokenizer from a `tokenizer.json`: any byte-level BPE that has an end-of-text token.

    `name` is what the prepared folder calls it; without it, "gpt2" where the contents are GPT-2's, else `bpe:N`
    for plain GPT-2-style BPE, else the file's name. Raises InputError for a missing or unsuitable file.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; give a tokenizer.json") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as text ({error}); give a tokenizer.json") from None
    try:
        document: Any = json_value(text)
        model = document["model"]["type"]
    except (ValueError, KeyError, TypeError, IndexError):
        raise InputError(f"{path} is not a tokenizer.json of Hugging Face `tokenizers`") from None
    if model != "BPE":
        raise InputError(f"{path} holds a {model} model; fabula takes byte-level BPE")
    _check_document(path, document)
    plain = read_byte_level_json(document)
    if plain is None:
        return FileTokenizer(name or (path.parent.name if path.stem == "tokenizer" else path.stem), text)
    ranks, eot = plain
    tokenizer = ByteLevelTokenizer(name or f"bpe:{len(ranks) + 1}", ranks, eot)
    if name is None and tokenizer.hash == GPT2_HASH:
        tokenizer.name = "gpt2"
    return tokenizer


LARGEST_ID = 10_000_000
"""The largest vocabularies have a quarter of a million tokens; a model has a row for each id up to the last."""
_ID = Kind(f"an id below {LARGEST_ID:,}", lambda value: COUNT.fits(value) and value < LARGEST_ID)
_OBJECT = Kind("an object", lambda value: isinstance(value, dict))
_DOCUMENT: Shape = {
    "model": {
        "vocab": table_of(_ID),
        "merges": list_of(
            Kind("a pair", lambda value: isinstance(value, str) or (list_of(TEXT).fits(value) and len(value) == 2))
        ),
    },
    "added_tokens": list_of(_OBJECT),
    **dict.fromkeys(("normalizer", "pre_tokenizer", "post_processor", "decoder"), _OBJECT),
}
_ADDED: Shape = {"id": _ID, "content": TEXT, "special": FLAG}


def _check_document(path: Path, document: dict[str, Any]) -> None:
    """Raise InputError where a part lacks or is of another type, and where two tokens have one id: libraries end the
    whole process at some of it."""
    for part in ("vocab", "merges"):
        if document["model"].get(part) is None:
            raise InputError(f"{path} is damaged: its model has no {part}")
    if wrong := misfit(document, _DOCUMENT):
        raise InputError(f"{path} is damaged: {wrong}")
    if any(document["model"].get(part) for part in ("continuing_subword_prefix", "end_of_word_suffix")):
        raise InputError(f"{path} marks the parts of words; fabula takes byte-level BPE")
    added = document.get("added_tokens") or []
    refuse_misfits(f"{path}, added_tokens", added, _ADDED, ("id", "content"))
    ids = {**document["model"]["vocab"], **{token["content"]: token["id"] for token in added}}
    if len(set(ids.values())) < len(ids):
        raise InputError(f"{path} is damaged: two of its tokens have the same id")


def tokenizer_size(name: str) -> int | None:
    """N of a name `bpe:N`, the most tokens that it may have; None for other names. Raises InputError for an impossible
    N.
    """
    match = re.fullmatch(r"bpe:(\d+)", name)
    if match is None:
        return None
    size = int(match[1])
    if not 257 <= size <= 1_000_000:
        raise InputError(f"{name}: a byte-level vocabulary has 257 (256 bytes and end-of-text) to 1,000,000 tokens")
    return size


def check_tokenizer_name(name: str) -> None:
    """Raise InputError unless `name` is gpt2, gpt2-compact, bpe:N or an existing file."""
    if name in ("gpt2", COMPACT) or tokenizer_size(name) is not None or Path(name).is_file():
        return
    if name.endswith(".json"):
        raise InputError(f"{name} does not exist; give a tokenizer.json, gpt2 or bpe:8192")
    raise InputError(f'unknown tokenizer "{name}"{nearest(name, ["gpt2", COMPACT, "bpe:8192"])}')
