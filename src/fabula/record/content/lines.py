"""Files of JSON lines, block by block: however long they are, one block of them is in memory.

NAME.jsonl.gz is read where only that is there (archived records), as far as a record can be packed: a file of some
megabytes that unpacks to gigabytes is none.
"""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fabula.errors import InputError
from fabula.record.content.parsing import json_value, quick_json_value
from fabula.record.files import refuse_pointer

BLOCK_BYTES = 1 << 21
LONGEST_LINE = 1 << 26
"""An evaluation story by story takes about 15 bytes a story: four million stories."""
LARGEST_RATIO = 30
"""Archived records unpack to 2 to 5 times their size (those under docs/)."""
NEVER_REFUSED = 1 << 26
"""Unpacked bytes that are read whatever the ratio."""
Objects = list[dict[str, Any]]


def blocks_of_objects(path: Path, most_bytes: int | None = None) -> Iterator[Objects]:
    """The objects of the lines of `path`, in their order, some thousands at a time; none where it is not there.

    A half-written last line (a crash while writing) is left out. Raises InputError for any other line that is not a
    JSON object, and for a file of more than `most_bytes`, whose content the caller keeps.
    """
    seen = 0
    for first, block, whole in _blocks(path):
        seen += len(block)
        if most_bytes is not None and seen > most_bytes:
            raise InputError(f"{path} has more than {most_bytes >> 20} MB, which no run writes; the record is damaged")
        yield _objects(path, first, block, whole)


def _blocks(path: Path) -> Iterator[tuple[int, bytes, bool]]:
    """Pieces of whole lines: the number of their first line, their bytes, and whether a line break ends them."""
    number, rest = 1, b""
    for piece in _pieces(path):
        lines, found, behind = piece.rpartition(b"\n")
        if not found:
            rest += piece
            if len(rest) > LONGEST_LINE:
                raise InputError(f"{path} has a line of more than {LONGEST_LINE >> 20} MB; the record is damaged")
            continue
        yield number, rest + lines, True
        number += lines.count(b"\n") + 1
        rest = behind
    if rest:
        yield number, rest, False


def _pieces(path: Path) -> Iterator[bytes]:
    packed = path.with_name(path.name + ".gz")
    if path.is_file() or not packed.is_file():
        yield from _plain(path)
        return
    most, unpacked = max(NEVER_REFUSED, LARGEST_RATIO * packed.stat().st_size), 0
    try:
        with gzip.open(packed) as file:
            while piece := file.read(BLOCK_BYTES):
                unpacked += len(piece)
                if unpacked > most:
                    raise InputError(f"{packed} unpacks to more than {most >> 20} MB; the record is damaged")
                yield piece
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{packed} cannot be unpacked ({error}); the record is damaged") from error


def _plain(path: Path) -> Iterator[bytes]:
    if not path.is_file():
        return
    with open(path, "rb") as file:
        refuse_pointer(path, file.read(200))
        file.seek(0)
        while piece := file.read(BLOCK_BYTES):
            yield piece


def _objects(path: Path, first: int, block: bytes, whole: bool) -> Objects:
    """The objects of a block whose first line is number `first` of the file."""
    # In one go: several times faster than line by line. Where each line begins and ends as an object and there are as
    # many values as lines, each line is one.
    text = block.replace(b"\r\n", b"\n").strip()
    num_lines = text.count(b"\n") + 1
    if text[:1] == b"{" and text[-1:] == b"}" and text.count(b"}\n{") == num_lines - 1:
        try:
            values = quick_json_value(b"[" + text.replace(b"\n", b",") + b"]")
        except ValueError:
            values = []  # the line that is at fault is found below
        if len(values) == num_lines and all(isinstance(value, dict) for value in values):
            return values
    lines = block.split(b"\n")
    found: Objects = []
    for number, line in enumerate(lines, start=first):
        if not line.strip():
            continue
        try:
            value = json_value(line)
        except ValueError as error:
            if number == first + len(lines) - 1 and not whole:
                return found
            raise InputError(f"{path}, line {number}: not valid JSON ({error}); the record is damaged") from error
        if not isinstance(value, dict):
            raise InputError(f"{path}, line {number}: not a JSON object; the record is damaged")
        found.append(value)
    return found
