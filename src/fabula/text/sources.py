"""Where stories come from: the built-in grammar, files, folders, data sets of the Hugging Face hub."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from fabula.errors import InputError, nearest
from fabula.text.chunks import SUFFIXES, Chunk, read_file, suffix_of
from fabula.text.network import answers

GRAMMAR = "grammar"
GRAMMAR_CHUNK = 256  # stories
VALIDATION_NAME = re.compile(r"(^|[-_.])(validation|valid)([-_.]|$)", re.IGNORECASE)
TEST_NAME = re.compile(r"(^|[-_.])test([-_.]|$)", re.IGNORECASE)
NO_STORIES = re.compile(r"^(readme|licen[cs]e)\b", re.IGNORECASE)
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


class Source(Protocol):
    """Stories in a fixed order, as often as wanted."""

    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int:
        """The sum of its chunks' weights."""
        ...

    def chunks(self) -> Iterator[Chunk]: ...


@dataclass(frozen=True)
class FileSource:
    name: str
    paths: tuple[Path, ...]

    @property
    def size(self) -> int:
        return sum(path.stat().st_size for path in self.paths)

    def chunks(self) -> Iterator[Chunk]:
        for path in self.paths:
            yield from read_file(path)


@dataclass(frozen=True)
class GrammarSource:
    """Stories `start` to `stop` - 1 of the built-in grammar."""

    name: str
    start: int
    stop: int

    @property
    def size(self) -> int:
        return self.stop - self.start

    def chunks(self) -> Iterator[Chunk]:
        for first in range(self.start, self.stop, GRAMMAR_CHUNK):
            stop = min(first + GRAMMAR_CHUNK, self.stop)
            yield Chunk("grammar", self.name, first, stop - first, stop=stop)


@dataclass(frozen=True)
class CutSource:
    """The first chunks of a source, and of the last of them only the first stories."""

    whole: Source
    num_chunks: int
    take_of_last: int

    @property
    def name(self) -> str:
        return self.whole.name

    @property
    def size(self) -> int:
        return self.whole.size

    def chunks(self) -> Iterator[Chunk]:
        for number, chunk in zip(range(1, self.num_chunks + 1), self.whole.chunks(), strict=False):
            yield replace(chunk, take=self.take_of_last) if number == self.num_chunks else chunk


@dataclass(frozen=True)
class Found:
    """What a SOURCE holds."""

    train: FileSource
    validation: FileSource | None


def find_source(source: str) -> Found:
    """The files behind `source`: a file, a folder, or the id of a data set on the Hugging Face hub.

    In a folder, files called validation or valid are the validation split, files called test are left alone; a
    parquet export in `data/`, as the hub keeps it, is taken instead of other files beside it. Raises InputError when
    there is nothing to read.
    """
    path = Path(source)
    if path.is_dir():
        return _split_files(source, _files_of(path))
    if path.exists():
        if suffix_of(path) is None:
            raise InputError(f"{source}: unknown kind of file; give one of {', '.join(SUFFIXES)}")
        return Found(FileSource(source, (path,)), None)
    if HUB_ID.fullmatch(source) and suffix_of(path) is None and not source.startswith("."):
        return _split_files(source, _files_of(_fetch_from_hub(source)))
    hint = nearest(source, [GRAMMAR]) if "/" not in source and "." not in source else ""
    raise InputError(f"{source} does not exist{hint or '; give a file, a folder, a data set id or `grammar`'}")


def _files_of(folder: Path) -> list[Path]:
    paths = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and suffix_of(path) is not None
        and not NO_STORIES.match(path.name)
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    if not paths:
        raise InputError(f"{folder} holds no stories: no file ends in {', '.join(SUFFIXES)}")
    export = [path for path in paths if path.parent == folder / "data" and suffix_of(path) == ".parquet"]
    return export or paths


def _split_files(name: str, paths: Sequence[Path]) -> Found:
    validation = tuple(path for path in paths if VALIDATION_NAME.search(path.name))
    train = tuple(path for path in paths if path not in validation and not TEST_NAME.search(path.name))
    if not train:
        raise InputError(f"{name} holds no file to train on, only {', '.join(path.name for path in paths[:3])}")
    return Found(FileSource(name, train), FileSource(name, validation) if validation else None)


def _fetch_from_hub(name: str) -> Path:
    """The local copy of a data set that huggingface_hub keeps in its own cache, fetched if the network answers."""
    try:
        from huggingface_hub import HfApi, constants, snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    except ImportError:
        raise InputError(
            f"{name} does not exist here, and fetching it from the hub needs: pip install 'fabula[hub]'"
        ) from None
    try:
        if constants.HF_HUB_OFFLINE or not answers(constants.ENDPOINT):
            return Path(snapshot_download(name, repo_type="dataset", local_files_only=True))
        files = HfApi().list_repo_files(name, repo_type="dataset")
        export = [file for file in files if file.startswith("data/") and file.endswith(".parquet")]
        wanted = export or [file for file in files if suffix_of(Path(file)) is not None]
        return Path(snapshot_download(name, repo_type="dataset", allow_patterns=wanted))
    except LocalEntryNotFoundError:
        reason = "the network does not answer, and the hub's cache does not hold it"
    except (OSError, HfHubHTTPError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    raise InputError(
        f"{name} does not exist here and cannot be fetched from the hub: {reason}; "
        "give a local file or folder, or `grammar`"
    )
