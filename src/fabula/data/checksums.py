"""What is prepared is what is read: checksums of every file, checked before a number is made of it.

A large file is hashed once and then known by its size, time and inode, in a file of the user's cache folder.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fabula.errors import InputError
from fabula.record.files import sha256_of, write_json

SMALL_BYTES = 16 << 20
"""A file below is hashed each time: about 10 ms."""
REMEDY = "prepare the data again"


def checksum(document: Mapping[str, Any]) -> str:
    """Of the content of a JSON file, without the checksum that stands in it."""
    rest = {name: value for name, value in document.items() if name != "checksum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def check_document(path: Path, document: Mapping[str, Any]) -> None:
    """Raise InputError unless a JSON file says what was written. Files of before there were checksums have none."""
    if document.get("checksum") not in (None, checksum(document)):
        raise InputError(f"{path} is damaged (its checksum is not that of its content); {REMEDY}")


def check_files(sums: Mapping[Path, str]) -> None:
    """Raise InputError at the first file whose sha256 is not the one given here."""
    seen = _seen()
    known = dict(seen)
    for path, expected in sums.items():
        try:
            status = path.stat()
            mark = f"{expected} {status.st_size} {status.st_mtime_ns} {status.st_ino}"
            if status.st_size >= SMALL_BYTES and known.get(str(path.resolve())) == mark:
                continue
            actual = sha256_of(path)
        except FileNotFoundError as error:
            raise InputError(f"{path} is missing; {REMEDY}") from error
        except OSError as error:
            raise InputError(f"{path} cannot be read ({error.strerror}); {REMEDY}") from error
        if actual != expected:
            raise InputError(f"{path} is damaged (its checksum is not the one that was written); {REMEDY}")
        if status.st_size >= SMALL_BYTES:
            known[str(path.resolve())] = mark
    if known != seen:
        _remember(known)


def forget(folder: Path) -> None:
    """Let the files of `folder` be hashed again, whatever is known of them."""
    inside = str(folder.resolve())
    seen = _seen()
    known = {path: mark for path, mark in seen.items() if not Path(path).is_relative_to(inside)}
    if known != seen:
        _remember(known)


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fabula" / "checked.json"


def _seen() -> dict[str, str]:
    try:
        seen = json.loads(_cache().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return seen if isinstance(seen, dict) else {}


def _remember(known: dict[str, str]) -> None:
    """Where the cache cannot be written, files are hashed each time."""
    try:
        _cache().parent.mkdir(parents=True, exist_ok=True)
        write_json(_cache(), {path: mark for path, mark in known.items() if Path(path).exists()})
    except OSError:
        return
