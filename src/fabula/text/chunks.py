"""Reading stories from files piece by piece, in the file formats that `fabula prepare` knows.

A chunk is about a MiB of a file and enough to parse by itself, so that one process reads while all cores parse. The
formats: .txt, stories separated by `<|endoftext|>` (a file without it is one story); .jsonl and .jsonl.gz, one JSON
object a line with a string `text`; .parquet with a string column `text`.
"""

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fabula.errors import InputError, nearest
from fabula.text.bpe import EOT_TEXT

SEPARATOR = EOT_TEXT.encode()
CHUNK_BYTES = 2**20
LONGEST_STORY = 2**26  # 64 MiB without a line end or separator: a wrong file, or one story too large to hold
GRAMMAR_SEED = 0
SUFFIXES = (".txt", ".jsonl", ".jsonl.gz", ".parquet")


@dataclass(frozen=True)
class Chunk:
    """Some stories of a file, unparsed."""

    kind: Literal["txt", "jsonl", "texts", "grammar"]
    where: str
    """The file, for messages."""
    first: int
    """Byte offset (txt), line from 1 (jsonl), row from 0 (texts) or index (grammar) of what is first in it."""
    weight: int
    """How far the source has come with it, in the unit of the source's size: for the progress bar."""
    data: bytes = b""
    texts: tuple[str, ...] = ()
    stop: int = 0
    """Index after the last (grammar)."""
    take: int | None = None
    """Only so many of its stories."""


@dataclass(frozen=True)
class Parsed:
    texts: list[str]
    nats: npt.NDArray[np.float64] | None
    """-log p of each story, where a grammar made it."""
    num_empty: int


def suffix_of(path: Path) -> str | None:
    """Which of SUFFIXES the file's name ends in."""
    name = path.name.lower()
    return next((suffix for suffix in SUFFIXES if name.endswith(suffix)), None)


def read_file(path: Path) -> Iterator[Chunk]:
    """The chunks of a file in order. Raises InputError where the file itself is unfit."""
    suffix = suffix_of(path)
    try:
        if suffix == ".parquet":
            yield from _read_parquet(path)
        elif suffix == ".txt":
            yield from _read_text(path)
        elif suffix is not None:
            yield from _read_lines(path, zipped=suffix == ".jsonl.gz")
        else:
            raise InputError(f"{path}: unknown kind of file; give one of {', '.join(SUFFIXES)}")
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path} is no whole gzip file ({error}); fetch it again") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None


def _read_text(path: Path) -> Iterator[Chunk]:
    offset = 0
    waiting = b""
    with open(path, "rb") as file:
        while block := file.read(CHUNK_BYTES):
            waiting += block
            end = waiting.rfind(SEPARATOR)
            if end >= 0:
                end += len(SEPARATOR)
                yield Chunk("txt", str(path), offset, end, waiting[:end])
                offset, waiting = offset + end, waiting[end:]
            elif len(waiting) > LONGEST_STORY:
                raise InputError(
                    f"{path}: no {EOT_TEXT} within {LONGEST_STORY >> 20} MiB from byte {offset}; "
                    f"put {EOT_TEXT} between the stories"
                )
    if waiting:
        yield Chunk("txt", str(path), offset, len(waiting), waiting)


def _read_lines(path: Path, zipped: bool) -> Iterator[Chunk]:
    line = 1
    waiting = b""
    come = 0
    with open(path, "rb") as raw:
        file: Any = gzip.GzipFile(fileobj=raw) if zipped else raw
        while block := file.read(CHUNK_BYTES):
            waiting += block
            end = waiting.rfind(b"\n") + 1
            if end:
                at = raw.tell()
                yield Chunk("jsonl", str(path), line, at - come, waiting[:end])
                line, come = line + waiting.count(b"\n", 0, end), at
                waiting = waiting[end:]
            elif len(waiting) > LONGEST_STORY:
                raise InputError(f"{path}:{line}: a line of more than {LONGEST_STORY >> 20} MiB; is this .jsonl?")
        at = raw.tell()
    if waiting:
        yield Chunk("jsonl", str(path), line, at - come, waiting)


def _read_parquet(path: Path) -> Iterator[Chunk]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise InputError(f"{path} is no parquet file ({str(error).splitlines()[0]})") from None
    with file:
        schema = file.schema_arrow
        if "text" not in schema.names:
            raise InputError(f'{path} has no column "text"{nearest("text", schema.names)}')
        kind = schema.field("text").type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            raise InputError(f'{path}: column "text" holds {kind}, not strings')
        row = 0
        per_row = path.stat().st_size / max(1, file.metadata.num_rows)
        for batch in file.iter_batches(batch_size=1024, columns=["text"]):
            column = batch.column(0)
            if column.null_count:
                missing = row + column.is_null().index(True).as_py()
                raise InputError(f'{path}: "text" of row {missing} is null; remove the row')
            try:
                texts = tuple(column.to_pylist())
            except UnicodeDecodeError as error:
                raise InputError(f"{path}: invalid UTF-8 in rows {row} to {row + len(column) - 1} ({error})") from None
            yield Chunk("texts", str(path), row, round(per_row * len(texts)), texts=texts)
            row += len(texts)


def parse(chunk: Chunk) -> Parsed:
    """The stories of a chunk in order, blank ones left out. Raises InputError with the place of what is wrong."""
    if chunk.kind == "grammar":
        return _generate(chunk)
    if chunk.kind == "txt":
        texts = _parse_text(chunk)
    elif chunk.kind == "jsonl":
        texts = _parse_lines(chunk)
    else:
        texts = list(chunk.texts)
    kept = [text for text in texts if text and not text.isspace()]
    return Parsed(kept[: chunk.take], None, len(texts) - len(kept))


def _generate(chunk: Chunk) -> Parsed:
    from fabula.text.grammar import stories

    made = list(stories(GRAMMAR_SEED, chunk.first, chunk.stop))
    return Parsed([story.text for story in made], -np.array([story.log_probability for story in made]), 0)


def _parse_text(chunk: Chunk) -> list[str]:
    zero = chunk.data.find(b"\0")
    if zero >= 0:
        raise InputError(f"{chunk.where} is no text: a zero byte at byte {chunk.first + zero}")
    try:
        text = chunk.data.decode()
    except UnicodeDecodeError as error:
        at = chunk.first + error.start
        raise InputError(f"{chunk.where}: invalid UTF-8 at byte {at} ({error.reason}); save it as UTF-8") from None
    if chunk.first == 0:
        text = text.removeprefix("\ufeff")
    pieces = text.split(EOT_TEXT)
    if not pieces[-1].strip():
        pieces.pop()  # what follows the last separator is no story
    return [piece.strip() for piece in pieces]


def _parse_lines(chunk: Chunk) -> list[str]:
    try:
        lines = chunk.data.decode().split("\n")
    except UnicodeDecodeError as error:
        line = chunk.first + chunk.data.count(b"\n", 0, error.start)
        at = error.start - chunk.data.rfind(b"\n", 0, error.start) - 1
        raise InputError(f"{chunk.where}:{line}: invalid UTF-8 at byte {at} of the line ({error.reason})") from None
    if chunk.first == 1:
        lines[0] = lines[0].removeprefix("\ufeff")
    texts = []
    for line, raw in enumerate(lines, start=chunk.first):
        if not raw or raw.isspace():
            continue
        try:
            value = json.loads(raw)
        except ValueError as error:
            raise InputError(f"{chunk.where}:{line}: no JSON ({error}); write one object a line") from None
        text = value.get("text") if isinstance(value, dict) else None
        if not isinstance(text, str):
            raise InputError(f"{chunk.where}:{line}: {_what_is_wrong(value)}")
        if not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError as error:
                raise InputError(f"{chunk.where}:{line}: half a surrogate pair at character {error.start}") from None
        texts.append(text)
    return texts


def _what_is_wrong(value: Any) -> str:
    if not isinstance(value, dict):
        return f'a JSON {type(value).__name__}, not an object; write {{"text": "..."}}'
    if "text" not in value:
        return f'no key "text"{nearest("text", [str(key) for key in value])}'
    return f'"text" is a {type(value["text"]).__name__}, not a string'
