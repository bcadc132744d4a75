"""Opening a text file of whatever make: unpacked, in UTF-8, with `\\n` line ends, and never whole in memory."""

import codecs
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar, cast

from fabula.errors import InputError

BLOCK_BYTES = 2**20  # one process reads a block while all cores work on those before it
GZIP = b"\x1f\x8b"
MARKS = {  # the longer ones first, for UTF-16's is the beginning of UTF-32's
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
NO_TEXT = {
    b"PK\x03\x04": "a zip archive or an office document; unpack it, or save it as plain text in UTF-8",
    b"%PDF": "a PDF; save its text as .txt in UTF-8",
    b"{\\rtf": "a rich-text document; save it as plain text in UTF-8",
    b"BZh": "packed with bzip2; unpack it first",
    b"\xfd7zXZ": "packed with xz; unpack it first",
    b"\x28\xb5\x2f\xfd": "packed with zstd; unpack it first",
}


@contextmanager
def readable(name: str) -> Iterator[None]:
    """Turns what the system says of a file that cannot be read into an InputError that names it."""
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{name} is not a whole gzip file ({error}); fetch it again") from None
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror or error}") from None


def text_blocks(path: Path, name: str) -> Iterator[tuple[bytes, int]]:
    """The text of a file as UTF-8 with `\\n` line ends, in blocks, each with the bytes of the file read so far.

    A gzip file is known by its first bytes and unpacked, a byte-order mark is taken off and believed (UTF-8, UTF-16,
    UTF-32), and `\\r\\n` and a lone `\\r` become `\\n`. Whether text without a mark is UTF-8 shows where it is decoded.
    Raises InputError, under the file's `name`, where it is damaged or something other than text.
    """
    with readable(name), open(path, "rb") as raw:
        zipped = raw.read(len(GZIP)) == GZIP
        raw.seek(0)
        file = cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if zipped else raw
        first = file.read(BLOCK_BYTES)
        for magic, what in NO_TEXT.items():
            if first.startswith(magic):
                raise InputError(f"{name} is {what}")
        yield from _with_line_feeds(_as_utf8(_blocks(first, file, raw), name))


def _blocks(block: bytes, file: IO[bytes], raw: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    while block:
        yield block, raw.tell()
        block = file.read(BLOCK_BYTES)


def _as_utf8(blocks: Iterator[tuple[bytes, int]], name: str) -> Iterator[tuple[bytes, int]]:
    """Without the mark at the beginning, and turned into UTF-8 where the mark says that it is something else."""
    decoder = None
    for number, (block, come) in enumerate(blocks):
        if number == 0:
            mark = next((mark for mark in MARKS if block.startswith(mark)), b"")
            block = block[len(mark) :]
            if mark and mark != codecs.BOM_UTF8:
                decoder = codecs.getincrementaldecoder(MARKS[mark])()
        if decoder is not None:
            block = _recoded(decoder, block, False, name)
        yield block, come
    if decoder is not None:
        _recoded(decoder, b"", True, name)


def _recoded(decoder: codecs.IncrementalDecoder, block: bytes, final: bool, name: str) -> bytes:
    try:
        return decoder.decode(block, final).encode()
    except UnicodeDecodeError as error:
        raise InputError(
            f"{name} says that it is {error.encoding.upper()[:6]} and is damaged ({error.reason}); save it as UTF-8"
        ) from None


def _with_line_feeds(blocks: Iterator[tuple[bytes, int]]) -> Iterator[tuple[bytes, int]]:
    held = b""
    come = 0
    for block, come in blocks:
        if held or b"\r" in block:
            block = held + block
            held = b"\r" if block.endswith(b"\r") else b""  # the next block may begin with its \n
            block = line_feeds(block[: len(block) - len(held)])
        yield block, come
    if held:
        yield b"\n", come


Text = TypeVar("Text", str, bytes)


def line_feeds(text: Text) -> Text:
    """`text` with `\\n` for `\\r\\n` and for a lone `\\r`."""
    if isinstance(text, str):
        return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
    return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def decoded(data: bytes, where: str, first_line: int) -> str:
    """UTF-8 bytes whose first line has the number `first_line`. Raises InputError for anything else."""
    zero = data.find(b"\0")
    if zero >= 0:
        line = first_line + data.count(b"\n", 0, zero)
        raise InputError(f"{where}:{line} is not text: a zero byte; if it is UTF-16 without its mark, save it as UTF-8")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = first_line + data.count(b"\n", 0, error.start)
        byte = data[error.start]
        meant = bytes([byte]).decode("cp1252", errors="ignore")
        guess = f", which is {meant} in Windows-1252" if meant.isprintable() and meant else ""
        raise InputError(
            f"{where}:{line} is not UTF-8 (byte 0x{byte:02X}{guess}); save the file as UTF-8, or convert it with: "
            "iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW"
        ) from None
