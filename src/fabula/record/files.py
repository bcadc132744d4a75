"""Files and folders that are whole or absent."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from fabula.errors import InputError
from fabula.record.content.parsing import toml_value

PARTIAL = ".partial"
"""How the name of what is not whole yet ends."""


def sync_folder(folder: Path) -> None:
    """Make the names inside `folder` survive a power cut (not offered by Windows, where it is not needed)."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make `folder` and what is missing above it, each with a name that survives a power cut: what is synced below a
    name that is lost is lost with it."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def write_text(path: Path, text: str) -> None:
    """Replace `path` by `text`, as `write_bytes` does. A character that UTF-8 has not (a byte of a file's name that is
    not UTF-8) becomes `?`."""
    write_bytes(path, text.encode(errors="replace"))


def write_bytes(path: Path, content: bytes) -> None:
    """Replace `path` by `content` in one rename: a reader sees the old file or the new one, never half of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)  # there only after a failure
    sync_folder(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Replace `path` by `value` as JSON, whole. Raises ValueError for a NaN: JSON has none."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def complete_folder(temporary: Path, path: Path) -> None:
    """Give a folder that is whole its name, once every file and folder in it is on disk: what stands under `path` is
    complete. Who may read it, the umask says: safetensors (0.8.0) writes its files for their owner alone."""
    rights = temporary.stat().st_mode & 0o666  # what the umask left of the new folder's, but for entering it
    for each in [*sorted(temporary.rglob("*")), temporary]:
        if each.is_dir():
            sync_folder(each)
            continue
        each.chmod(rights)
        with open(each, "rb+") as handle:
            os.fsync(handle.fileno())
    os.rename(temporary, path)
    sync_folder(path.parent)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of `path`; rename it to `path` on success, remove it on any failure."""
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}")
    if temporary.exists():
        shutil.rmtree(temporary)
    temporary.mkdir()
    try:
        yield temporary
        complete_folder(temporary, path)
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


def content_hash(content: Mapping[str, Any]) -> str:
    """Of all that a JSON document says but this hash itself, under "hash", however it is laid out."""
    rest = {name: value for name, value in content.items() if name != "hash"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


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
