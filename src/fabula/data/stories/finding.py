"""The files behind a SOURCE, which of them are the validation split, and how each is to be read."""

import re
import stat
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import copyfileobj
from tempfile import NamedTemporaryFile
from types import MappingProxyType

from fabula.data.dataset import PIPE_NAME, STDIN_NAME
from fabula.data.stories.chunks import TEXT_KEY, StoryFile
from fabula.data.stories.formats.kinds import KINDS, kind_of, suffix_of
from fabula.data.stories.formats.opening import readable
from fabula.data.stories.hub import HUB_ID, fetch_from_hub
from fabula.data.stories.separators.choosing import Separated, separate
from fabula.data.stories.separators.cutting import EOT, Separator
from fabula.data.stories.sources import BUILTIN, GRAMMAR, FileSource
from fabula.errors import InputError, nearest

VALIDATION_NAME = re.compile(r"(^|[-_.])(validation|valid)([-_.]|$)", re.IGNORECASE)
TEST_NAME = re.compile(r"(^|[-_.])test([-_.]|$)", re.IGNORECASE)
NO_STORIES = re.compile(r"^(readme|licen[cs]e)\b", re.IGNORECASE)
STDIN = ("-", "/dev/stdin")


@dataclass(frozen=True)
class Asked:
    """What the user said about reading; None where it is left to fabula."""

    split_on: str | None = None
    text_key: str | None = None


@dataclass(frozen=True)
class SourceFiles:
    """What a SOURCE holds."""

    train: FileSource
    validation: FileSource | None
    separated: Separated | None
    """How the stories in its text files are told apart; None where it has none."""

    @property
    def rule(self) -> Separator | None:
        """What separates the stories where there is no end-of-text."""
        return None if self.separated is None or self.separated.separator == EOT else self.separated.separator


def find_source(source: str, work: Path, asked: Asked, like: Separator | None = None) -> SourceFiles:
    """The files behind `source`: a file, a folder, a pipe, `-`, or the id of a data set on the Hugging Face hub.

    In a folder, files called validation or valid are the validation split, files called test are left alone; a
    parquet export in `data/`, as the hub keeps it, is taken instead of other files beside it. What can be read once
    only is kept in the folder `work`. `like` is how other stories of the same preparation are told apart. Raises
    InputError when there is nothing to read.
    """
    path = Path(source)
    if source in STDIN or not _can_be_read_twice(path):
        name, kept = _kept(source, work)
        return _found(name, [kept], asked, like, names={kept: name})
    if path.is_dir():
        return _found(source, _files_of(path), asked, like)
    if path.exists():
        return _found(source, [path], asked, like, split=False)
    if HUB_ID.fullmatch(source) and suffix_of(path) is None:
        return _found(source, _files_of(fetch_from_hub(source)), asked, like)
    names = [BUILTIN, GRAMMAR] if "/" not in source and "." not in source else []
    hint = nearest(source, names)
    if "did you mean" not in hint:
        hint = f"; give a file, a folder, a data set id, or {BUILTIN} for the built-in stories"
    raise InputError(f"{source} does not exist{hint}")


def _found(
    source: str,
    paths: Sequence[Path],
    asked: Asked,
    like: Separator | None,
    *,
    split: bool = True,
    names: Mapping[Path, str] = MappingProxyType({}),
) -> SourceFiles:
    """The paths as files to read; with `split`, those called validation apart."""
    validation = [path for path in paths if split and VALIDATION_NAME.search(path.name)]
    train = [path for path in paths if not split or not (path in validation or TEST_NAME.search(path.name))]
    if not train:
        raise InputError(f"{source} holds no file to train on, only {', '.join(path.name for path in paths[:3])}")
    key = asked.text_key or TEXT_KEY

    def files(paths: Sequence[Path]) -> list[StoryFile]:
        called = [(path, names.get(path, str(path))) for path in paths]
        return [StoryFile(path, kind_of(path, name, key), name, key) for path, name in called]

    train_files, separated = separate(source, files(train), asked.split_on, like)
    stories = SourceFiles(FileSource(source, train_files), None, separated)
    if not validation:
        return stories
    held_out, separated = separate(source, files(validation), asked.split_on, like or stories.rule)
    return replace(stories, validation=FileSource(source, held_out), separated=stories.separated or separated)


def check_asked(asked: Asked, stories: SourceFiles, held_out: FileSource | float | None) -> None:
    """Raises InputError for what was asked and concerns none of the files."""
    files = [*stories.train.files, *(stories.validation.files if stories.validation else ())]
    files += held_out.files if isinstance(held_out, FileSource) else ()
    kinds = {file.kind for file in files}
    if asked.split_on is not None and "txt" not in kinds:
        raise InputError(f"--split-on is for plain text, and {stories.train.name} holds none; leave it out")
    if asked.text_key is not None and kinds == {"txt"}:
        raise InputError(
            f"--text-key is for JSON, tables and parquet; {stories.train.name} is plain text; leave it out"
        )


def _files_of(folder: Path) -> list[Path]:
    """The files of stories below a folder. `.json` counts only where there is nothing else: beside other files it
    mostly describes them."""
    paths = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and suffix_of(path) is not None
        and not NO_STORIES.match(path.name)
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    if not paths:
        raise InputError(f"{folder} holds no stories: no file ends in {', '.join(KINDS)}, or in one of these and .gz")
    export = [path for path in paths if path.parent == folder / "data" and suffix_of(path) == ".parquet"]
    return export or [path for path in paths if suffix_of(path) != ".json"] or paths


def _can_be_read_twice(path: Path) -> bool:
    """Whether it is a folder, a regular file or absent, and so no pipe; a descriptor's number may stand for any."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return True
    return stat.S_ISDIR(mode) or (stat.S_ISREG(mode) and not path.is_relative_to("/dev/fd"))


def _kept(source: str, work: Path) -> tuple[str, Path]:
    """What a pipe holds, as a file in the folder `work`, and what to call it."""
    if source in STDIN:
        if sys.stdin.isatty():
            raise InputError("no stories on standard input; pass some: zcat stories.jsonl.gz | fabula prepare -")
        name = STDIN_NAME
    else:
        name = PIPE_NAME if source.startswith("/dev/fd/") else source
    with readable(name), NamedTemporaryFile(dir=work, delete=False) as file:
        if source in STDIN:
            copyfileobj(sys.stdin.buffer, file)
        else:
            with open(source, "rb") as pipe:
                copyfileobj(pipe, file)
        if file.tell() == 0:
            raise InputError(f"{name} is empty; is what should write to it right?")
    return name, Path(file.name)
