"""W&B's offline runs: wandb/offline-run-*/run-ID.wandb, with every line that was logged.

The file is a log as LevelDB has it: after seven bytes of its own, blocks of 32 KB with records in pieces, each with
the CRC-32 of its type and content (wandb's core/internal/transactionlog). A record is a message of
wandb_internal.proto, of which these fields matter here:

    Record        2 history, 17 run, 18 exit
    HistoryRecord 1 item;  HistoryItem 1 key, 2 nested_key, 16 value_json
    RunRecord     1 run_id, 8 display_name;  RunExitRecord 1 exit_code
"""

import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fabula.errors import InputError
from fabula.record.content.parsing import json_value
from fabula.record.foreign.forms import jsonl
from fabula.record.foreign.stores.wire import Malformed, as_kind, fields
from fabula.record.reader import Run

MAGIC = b":W&B"
HEADER, BLOCK, PIECE = 7, 1 << 15, 7
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def looks_like(content: bytes) -> bool:
    return content.startswith(MAGIC)


def read(path: Path, contents: list[bytes], wanted: Mapping[str, str] | None = None) -> list[Run]:
    """The run of one file, or of the files of one run that was resumed, in their order. A half-written last record is
    left out. Raises InputError for a wrong checksum, and where nothing was logged."""
    lines: list[dict[str, Any]] = []
    info: dict[str, Any] = {}
    for content in contents:
        info.pop("status", None)
        for record in records(path, content):
            try:
                _add(memoryview(record), lines, info)
            except (Malformed, ValueError) as error:
                raise InputError(f"{path}: a record is none of W&B's ({error}); copy the file again") from None
    if not lines:
        raise InputError(f"{path}: nothing was logged in this run")
    return jsonl.runs_in(path, "offline-wandb", lines, [], wanted, **info)


def records(path: Path, content: bytes) -> Iterator[bytes]:
    """The content of each record. Raises InputError for a wrong checksum."""
    place, parts = HEADER, b""
    while place + PIECE <= len(content):
        if (left := BLOCK - place % BLOCK) < PIECE:
            place += left
            continue
        size, kind = int.from_bytes(content[place + 4 : place + 6], "little"), content[place + 6]
        piece = content[place + PIECE : place + PIECE + size]
        if len(piece) < size or (kind == 0 and size == 0):
            return  # it was being written
        if zlib.crc32(bytes([kind]) + piece) != int.from_bytes(content[place : place + 4], "little"):
            raise InputError(f"{path} is damaged at byte {place}: a checksum is wrong; copy the file again")
        parts = piece if kind in (FULL, FIRST) else parts + piece
        if kind in (FULL, LAST):
            yield parts
        place += PIECE + size


def _add(record: memoryview, lines: list[dict[str, Any]], info: dict[str, Any]) -> None:
    for number, value in fields(record):
        if number == 2:
            lines.append(_line(as_kind(memoryview, value)))
        elif number == 17:
            known = {each: content for each, content in fields(as_kind(memoryview, value)) if each in (1, 8)}
            if name := known.get(8, known.get(1)):
                info["name"] = str(as_kind(memoryview, name), "utf-8", "replace")
        elif number == 18 and not any(each == 1 and code for each, code in fields(as_kind(memoryview, value))):
            info["status"] = "finished"  # any other code may have many reasons


def _line(history: memoryview) -> dict[str, Any]:
    line: dict[str, Any] = {}
    for number, item in fields(history):
        if number != 1:
            continue
        names, value = [], ""
        for inner, content in fields(as_kind(memoryview, item)):
            if inner in (1, 2):
                names.append(str(as_kind(memoryview, content), "utf-8", "replace"))
            elif inner == 16:
                value = str(as_kind(memoryview, content), "utf-8", "replace")
        line["/".join(names)] = json_value(value)
    return {name: value for name, value in line.items() if not isinstance(value, dict) or "values" in value}
