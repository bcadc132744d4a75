"""Files and folders that are whole or absent."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from fabula.errors import InputError
from fabula.record.content.parsing import toml_value

PARTIAL = ".partial"
"""How the name of what is not whole yet ends."""


def _sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` survive a power cut (not offered by Windows, where it is not needed)."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Replace `path` by `text` in one rename: a reader sees the old file or the new one, never half of it.

    A character that UTF-8 has not (a byte of a file's name that is not UTF-8) becomes `?`.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}")
    try:
        with open(temporary, "w", encoding="utf-8", errors="replace", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)  # there only after a failure
    _sync_folder(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Replace `path` by `value` as JSON, whole. Raises ValueError for a NaN: JSON has none."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of `path`; rename it to `path` on success, remove it on any failure.

    Every file is synced before the rename, so that the name `path` stands for complete contents only. Who may read it,
    the umask says: safetensors (0.8.0) writes its files for their owner alone.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}")
    if temporary.exists():
        shutil.rmtree(temporary)
    temporary.mkdir()
    try:
        yield temporary
        rights = temporary.stat().st_mode & 0o666  # what the umask left of the new folder's, but for entering it
        for file in sorted(temporary.rglob("*")):
            if file.is_file():
                file.chmod(rights)
                with open(file, "rb+") as handle:
                    os.fsync(handle.fileno())
        os.rename(temporary, path)
        _sync_folder(path.parent)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, SafetensorError) and (number := re.search(r"os error (\d+)", str(error))):
            # What the system says comes from safetensors in an exception of its own (0.8.0).
            code = int(number[1])
            raise OSError(code, os.strerror(code), str(path)) from error
        raise


def sha256_of(path: Path) -> str:
    """Hexadecimal digest of a file of any size."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def toml_hash(text: str) -> str:
    """Of what a TOML file says, not of how it is written. Raises InputError where it is no TOML."""
    try:
        tree = toml_value(text)
    except ValueError as error:
        raise InputError(f"not valid TOML: {error}") from error
    return hashlib.sha256(json.dumps(tree, sort_keys=True, default=str).encode()).hexdigest()


POINTER = b"version https://git-lfs.github.com/spec/"


def refuse_pointer(path: Path, content: bytes) -> None:
    """Raise InputError where Git LFS put a pointer in the file's place."""
    if content.lstrip()[: len(POINTER)] == POINTER:
        raise InputError(
            f"{path} is a pointer of Git LFS and not the file itself; run git lfs pull in its repository, and try again"
        )
