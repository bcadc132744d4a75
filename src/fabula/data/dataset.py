"""A prepared folder: splits of stories, told apart by text, with one or more tokenizations.

    DATA/manifest.json                         what the stories are: source, splits, hashes, what was removed
    DATA/texts/SPLIT.{story_hashes,num_bytes,gpt2_lengths}.bin      one number a story, whatever the tokenizer
    DATA/tokens/NAME/{tokenization.json, tokenizer.json}
    DATA/tokens/NAME/SPLIT.{tokens,offsets}.bin                     story tokens end to end, without end-of-text

All arrays are little-endian and memory-mapped, so that opening a folder of any size costs nothing.
"""

import hashlib
import json
import shlex
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from fabula.data.checksums import REMEDY, check_document, check_files, forget
from fabula.data.tokenizers.tokenizer import Tokenizer, load_tokenizer
from fabula.errors import InputError, nearest

SplitName = Literal["train", "tune", "validation", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "tune", "validation")
"""What every prepared folder has. `test` is there where it was asked for, and sealed: `Dataset.unsealed`."""
TEST: SplitName = "test"
MANIFEST_VERSION = 1

STORY_HASH = np.dtype("<u8")
NUM_BYTES = np.dtype("<i8")
GPT2_LENGTH = np.dtype("<i4")
OFFSET = np.dtype("<i8")

NAMES_OF_PIPES = (STDIN_NAME, PIPE_NAME) = ("standard input", "the pipe")
"""Sources that cannot be read again."""

IntArray = npt.NDArray[np.int64]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SplitFacts(_Frozen):
    num_stories: int
    num_bytes: int
    text_hash: str
    """sha256 over the stories' hashes in order."""
    nats: float | None = None
    """Sum over the stories of -log p under the grammar that made them; None for other sources."""


class Removed(_Frozen):
    """Stories that were read and are in no split, by reason."""

    empty: int = 0
    train_like_validation: int = 0
    train_like_tune: int = 0
    tune_like_validation: int = 0
    like_test: int = 0
    """Of train, like one of test, or of test, like one of the other held-out splits."""


class Manifest(_Frozen):
    version: int = MANIFEST_VERSION
    source: str
    limit: int | None
    validation_rule: str
    tune_rule: str
    duplicate_rule: str
    removed: Removed
    splits: dict[SplitName, SplitFacts]
    test_rule: str | None = None
    """None where no test stories were set aside."""
    gpt2_lengths: str
    """"recorded", or the reason why GPT-2 token counts are missing."""
    separated: str | None = None
    """How the stories in plain text were told apart; None for other sources, and in older folders."""
    split_on: str | None = None
    text_key: str | None = None
    validation: str | None = None
    test: float | None = None
    """These four as they were given, so that the stories can be read in the same way again."""
    sha256: dict[str, str] = {}
    """File in texts/ -> checksum. Empty in older folders."""
    checksum: str | None = None
    """Of all the rest; see checksums.py. None in older folders, as in a tokenization."""


class Tokenization(_Frozen):
    name: str
    number: int
    """1 for the first tokenization of the folder: the one that is used where none is named."""
    vocabulary: int
    eot: int
    hash: str
    dtype: Literal["<u2", "<u4"]
    num_tokens: dict[SplitName, int]
    """Story tokens of each split, without end-of-text."""
    sha256: dict[str, str] = {}
    """File beside this one -> checksum."""
    checksum: str | None = None


def token_dtype(vocabulary: int) -> Literal["<u2", "<u4"]:
    return "<u2" if vocabulary <= 2**16 else "<u4"


def tokenization_folder(folder: Path, name: str) -> Path:
    """Where the tokens of `name` lie; "bpe:8192" becomes "bpe-8192", for not every file system takes a colon."""
    return folder / "tokens" / "".join(c if c.isalnum() or c in "._-" else "-" for c in name)


def text_hash(story_hashes: npt.NDArray[np.uint64]) -> str:
    return hashlib.sha256(story_hashes.astype(STORY_HASH).tobytes()).hexdigest()


@dataclass(frozen=True, eq=False)
class Split:
    """The stories of one split under one tokenizer. S = number of stories."""

    name: SplitName
    tokens: npt.NDArray[Any]
    """All story tokens end to end, without end-of-text; memory-mapped."""
    offsets: IntArray
    """[S + 1]: story i is tokens[offsets[i]:offsets[i + 1]]."""
    num_bytes: IntArray
    """[S]: UTF-8 bytes of each story."""
    story_hashes: npt.NDArray[np.uint64]
    """[S]: a stable hash of each story's text, the same for every tokenizer."""
    gpt2_lengths: npt.NDArray[np.int32] | None
    """[S]: GPT-2 tokens of each story, without end-of-text; None where they were not counted: for
    train, unless GPT-2's tokens lie in the folder, or where the manifest says why."""
    text_hash: str

    @property
    def num_stories(self) -> int:
        return len(self.offsets) - 1

    @property
    def num_tokens(self) -> int:
        """Story tokens, without end-of-text."""
        return int(self.offsets[-1])

    @cached_property
    def lengths(self) -> IntArray:
        """[S]: tokens of each story, without end-of-text."""
        return np.diff(self.offsets)

    def story(self, index: int) -> npt.NDArray[Any]:
        return self.tokens[self.offsets[index] : self.offsets[index + 1]]


def hashed_subset(split: Split, num_bytes: int = 80_000) -> IntArray:
    """Sorted indices of the first stories in hash order that hold `num_bytes` of text (about 20,000 GPT-2 tokens).

    It depends on the texts alone, so that every run, whatever its tokenizer, is scored on the same stories.
    """
    order = np.argsort(split.story_hashes, kind="stable")
    total = np.cumsum(split.num_bytes[order])
    num = int(np.searchsorted(total, num_bytes)) + 1
    return np.sort(order[:num])


@dataclass(frozen=True)
class TextCounts:
    """What the loss of some stories is divided by."""

    num_stories: int
    num_targets: int
    """Own tokens, one end-of-text a story included."""
    num_gpt2_targets: int | None
    """The same under GPT-2's tokenizer; None where it could not be loaded at preparation."""
    num_bytes: int


def text_counts(split: Split, indices: npt.ArrayLike | None = None) -> TextCounts:
    """Counts of the stories at `indices`, all of them by default."""
    chosen = slice(None) if indices is None else np.asarray(indices, dtype=np.int64)
    lengths = split.lengths[chosen]
    gpt2 = None if split.gpt2_lengths is None else split.gpt2_lengths[chosen]
    return TextCounts(
        num_stories=len(lengths),
        num_targets=int(lengths.sum()) + len(lengths),
        num_gpt2_targets=None if gpt2 is None else int(gpt2.sum(dtype=np.int64)) + len(gpt2),
        num_bytes=int(split.num_bytes[chosen].sum()),
    )


class Dataset:
    """A prepared folder under one of its tokenizations. Make one with `open_dataset`."""

    def __init__(self, folder: Path, manifest: Manifest, tokenization: Tokenization, tokenizer: Tokenizer) -> None:
        self.folder = folder
        self.manifest = manifest
        self.tokenization = tokenization
        self.tokenizer = tokenizer
        self._splits: dict[SplitName, Split] = {}

    @cached_property
    def hash(self) -> str:
        """sha256 of the splits' texts. Every tokenization has the same, so that all see the stories in one order."""
        texts = [[name, self.manifest.splits[name].text_hash] for name in SPLITS]
        return hashlib.sha256(json.dumps(texts).encode()).hexdigest()

    @property
    def seed(self) -> int:
        """A 64-bit number for random streams that depend on the data."""
        return int(self.hash[:16], 16)

    def split(self, name: SplitName) -> Split:
        """Raises InputError when the files of the split do not fit the manifest."""
        assert name in SPLITS, "the test split is sealed"
        if name not in self._splits:
            self._splits[name] = self._open(name)
        return self._splits[name]

    def unsealed(self) -> Split:
        """The test split, which is scored once (fabula.ladder.unseal), and read by nothing else.

        Raises InputError where none was set aside.
        """
        if TEST not in self.manifest.splits:
            raise InputError(
                f"{self.folder} has no test stories; set some aside before training: fabula prepare SOURCE --test 0.05"
            )
        return self._open(TEST)

    def entropy_floor(self, name: SplitName = "validation") -> float | None:
        """Nats per target token of the grammar that made the stories, end-of-text counted; None for other texts.

        A bound for the loss of any model on the `stream` protocol; what the tokenization adds is not in it.
        """
        facts = self.manifest.splits[name]
        num_targets = self.tokenization.num_tokens[name] + facts.num_stories
        return None if facts.nats is None or num_targets == 0 else facts.nats / num_targets

    def _open(self, name: SplitName) -> Split:
        facts = self.manifest.splits[name]
        num = facts.num_stories
        tokens = tokenization_folder(self.folder, self.tokenization.name)
        texts = self.folder / "texts"
        split = Split(
            name=name,
            tokens=_map(
                tokens / f"{name}.tokens.bin", np.dtype(self.tokenization.dtype), self.tokenization.num_tokens[name]
            ),
            offsets=_map(tokens / f"{name}.offsets.bin", OFFSET, num + 1),
            num_bytes=_map(texts / f"{name}.num_bytes.bin", NUM_BYTES, num),
            story_hashes=_map(texts / f"{name}.story_hashes.bin", STORY_HASH, num),
            gpt2_lengths=self._gpt2_lengths(name),
            text_hash=facts.text_hash,
        )
        check_files(self._sums(name))
        if not self.tokenization.sha256:
            _check_bounds(split, tokens, self.tokenization)
        return split

    def _sums(self, name: SplitName) -> dict[Path, str]:
        """The files that a split is read from, with their checksums, where these were written."""
        texts = {self.folder / "texts" / file: sha256 for file, sha256 in self.manifest.sha256.items()}
        of_tokens = [self.tokenization]
        if self.tokenization.name != "gpt2":
            of_tokens += [each for each in read_tokenizations(self.folder) if each.name == "gpt2"]  # counts for bytes
        places = [(tokenization_folder(self.folder, each.name), each.sha256) for each in of_tokens]
        tokens = {folder / file: sha256 for folder, sums in places for file, sha256 in sums.items()}
        return {path: sha256 for path, sha256 in (texts | tokens).items() if path.name.startswith(f"{name}.")}

    def _gpt2_lengths(self, name: SplitName) -> npt.NDArray[np.int32] | None:
        num = self.manifest.splits[name].num_stories
        if name != "train" and self.manifest.gpt2_lengths == "recorded":
            return _map(self.folder / "texts" / f"{name}.gpt2_lengths.bin", GPT2_LENGTH, num)
        own = tokenization_folder(self.folder, "gpt2")
        if (own / "tokenization.json").is_file():  # GPT-2's tokens lie in the folder themselves
            return np.diff(_map(own / f"{name}.offsets.bin", OFFSET, num + 1)).astype(GPT2_LENGTH)
        return None


def _map(path: Path, dtype: np.dtype[Any], num: int) -> npt.NDArray[Any]:
    expected = num * dtype.itemsize
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise InputError(f"{path} is missing; prepare the data again") from None
    if size != expected:
        raise InputError(f"{path} holds {size} bytes where {expected} are due; prepare the data again")
    if num == 0:
        return np.zeros(0, dtype)  # an empty file cannot be mapped
    return np.memmap(path, dtype=dtype, mode="r", shape=(num,)).view(np.ndarray)


def _check_bounds(split: Split, folder: Path, tokenization: Tokenization) -> None:
    """What a folder without checksums can be asked: raises InputError where it would end in numbers of nothing."""
    offsets, num_tokens = split.offsets, tokenization.num_tokens[split.name]
    whole = offsets[0] == 0 and offsets[-1] == num_tokens and bool((np.diff(offsets) >= 0).all())
    if not whole or (num_tokens and int(split.tokens.max()) >= tokenization.vocabulary):
        raise InputError(f"{folder}: the tokens of {split.name} are damaged; {REMEDY}")


def read_manifest(folder: Path) -> Manifest:
    """Raises InputError when `folder` is not a prepared folder, or one of another version of fabula."""
    path = Path(folder) / "manifest.json"
    if not path.is_file():
        what = "holds no manifest.json, so it is not a prepared folder" if Path(folder).exists() else "does not exist"
        raise InputError(f"{folder} {what}; make it with: fabula prepare SOURCE --out {folder}")
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        version = document.get("version")
        if version != MANIFEST_VERSION:
            raise InputError(
                f"{path} is of version {version}, this fabula reads {MANIFEST_VERSION}; prepare the data again"
            )
        check_document(path, document)
        return Manifest.model_validate(document)
    except (ValidationError, json.JSONDecodeError, UnicodeDecodeError, AttributeError, RecursionError):
        raise InputError(f"{path} is damaged; prepare the data again") from None


def read_tokenizations(folder: Path) -> list[Tokenization]:
    """The tokenizations of a prepared folder, the oldest first."""
    tokenizations = []
    for path in sorted((Path(folder) / "tokens").glob("*/tokenization.json")):
        if path.parent.name.startswith("."):
            continue  # being written, or left by a process that was killed
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            tokenizations.append(Tokenization.model_validate(document))
            check_document(path, document)
        except (ValidationError, UnicodeDecodeError, json.JSONDecodeError, RecursionError):
            raise InputError(f"{path} is damaged; prepare the data again") from None
    return sorted(tokenizations, key=lambda tokenization: tokenization.number)


def _prepared_again(manifest: Manifest, tokenizer: str, folder: Path) -> str:
    """The command that adds a tokenization of the same stories."""
    source = "SOURCE" if manifest.source in NAMES_OF_PIPES else manifest.source
    words = ["fabula", "prepare", source, "--tokenizer", tokenizer, "--out", str(folder)]
    for option in ("split_on", "text_key", "validation", "test", "limit"):
        value = getattr(manifest, option)
        if value is not None:
            words += [f"--{option.replace('_', '-')}", str(value)]
    return shlex.join(words)


def open_dataset(folder: Path, tokenizer: str | None = None) -> Dataset:
    """The prepared data in `folder`, by default under the first tokenization that was made.

    Raises InputError for a folder that is missing, half-written or damaged, and for a tokenization it lacks.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    tokenizations = {tokenization.name: tokenization for tokenization in read_tokenizations(folder)}
    if not tokenizations:
        raise InputError(f"{folder} holds no tokenization; prepare the data again")
    if tokenizer is None:
        tokenizer = next(iter(tokenizations))
    if tokenizer not in tokenizations:
        raise InputError(
            f"{folder} is not tokenized with {tokenizer}{nearest(tokenizer, list(tokenizations))}; add it with: "
            f"{_prepared_again(manifest, tokenizer, folder)}"
        )
    tokenization = tokenizations[tokenizer]
    path = tokenization_folder(folder, tokenization.name) / "tokenizer.json"
    if (sha256 := tokenization.sha256.get(path.name)) is not None:
        check_files({path: sha256})
    loaded = load_tokenizer(path, tokenization.name)
    if loaded.hash != tokenization.hash:
        raise InputError(f"{path} is not the tokenizer that made the tokens; prepare the data again")
    return Dataset(folder, manifest, tokenization, loaded)


def verify(folder: Path) -> int:
    """Hash every file of a prepared folder anew, also one that was checked before and has not changed its size, time
    and inode since: of a failing disk these say nothing. Returns how many files there are.

    Raises InputError for the first one that is not what was prepared, and for a folder without checksums.
    """
    manifest = read_manifest(folder)
    forget(Path(folder))
    num_files = 1 + len(manifest.sha256)
    for each in read_tokenizations(folder):
        if not (each.sha256 and manifest.sha256):
            raise InputError(f"{folder} was prepared before there were checksums, so nothing can be verified; {REMEDY}")
        data = open_dataset(folder, each.name)
        for name in manifest.splits:  # also the sealed one: its bytes are hashed, nothing is read
            data._open(name)
        num_files += 1 + len(each.sha256)
    return num_files
