"""From the bytes of a log to its text: what they are packed in, and how its characters are written."""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable
from io import BufferedIOBase, BytesIO
from pathlib import Path

from fabula.errors import InputError
from fabula.record.foreign.no_log import KNOWN

LARGEST_LOG = 1 << 28
"""A log of another program is read whole; 256 MB are a million lines of twenty columns."""
_PACKED: dict[bytes, Callable[[BytesIO], BufferedIOBase]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}
"""How packed files begin -> what unpacks them."""
ENDINGS = {".gz", ".bz2", ".xz"}
_PIECE = 1 << 20


def unpacked(path: Path, content: bytes) -> bytes:
    """What a packed log holds, as far as it goes if it is cut off; other content as it is.

    Raises InputError for more than LARGEST_LOG, and where what is packed is damaged.
    """
    unpack = next((unpack for mark, unpack in _PACKED.items() if content.startswith(mark)), None)
    if unpack is None:
        return content
    found = bytearray()
    try:
        with unpack(BytesIO(content)) as file:
            while len(found) <= LARGEST_LOG and (piece := file.read1(_PIECE)):
                found += piece
    except EOFError:
        pass  # whoever wrote it was ended, or still writes
    except (OSError, zlib.error, lzma.LZMAError) as error:
        raise InputError(f"{path} is compressed, and damaged ({error}); copy it again") from error
    return within_budget(path, bytes(found))


def within_budget(path: Path, content: bytes) -> bytes:
    if len(content) > LARGEST_LOG:
        raise InputError(
            f"{path} has more than {LARGEST_LOG >> 20} MB; give a part of it: the lines with a loss, or every tenth one"
        )
    return content


def decoded(path: Path, content: bytes) -> str:
    """The text, with line ends as `\\n`; UTF-16, as a shell of Windows writes it, with its mark or without."""
    encoding = _encoding(content)
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        # A progress bar cut in two leaves half a character; a binary file has far more than that, and zeros.
        text = content.decode(encoding, errors="replace")
        if text.count("\ufffd") > 0.01 * len(text):
            raise _binary(path) from None
    if "\0" in text:
        raise _binary(path)
    text = text.replace("\r\n", "\n")
    return text if "\n" in text else text.replace("\r", "\n")  # old spreadsheets end lines with a carriage return


def _encoding(content: bytes) -> str:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    start = content[:4000]
    high, low = start[::2].count(0), start[1::2].count(0)
    if high + low < 0.4 * len(start):
        return "utf-8-sig"
    return "utf-16-le" if low > high else "utf-16-be"  # the half of each character that says nothing but `Latin`


def _binary(path: Path) -> InputError:
    return InputError(f"{path} is a binary file, but not an event file of TensorBoard; fabula reads {KNOWN}")
