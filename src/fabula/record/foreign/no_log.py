"""What is given in place of a log, and what to do about it."""

import re
from pathlib import Path

from fabula.errors import InputError
from fabula.record.files import refuse_pointer

_PAGE = re.compile(
    rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype html|html|head)\b", re.IGNORECASE | re.DOTALL
)
_PACKED = (b"\x1f\x8b", b"PK\x03\x04", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf")


def refuse(path: Path, content: bytes) -> None:
    """Raise InputError where `content` is certainly no log."""
    if not content.strip():
        raise InputError(f"{path} is empty; nothing was logged")
    refuse_pointer(path, content)
    if content.startswith(_PACKED):
        raise InputError(f"{path} is compressed; unpack it and give what is in it")
    if _PAGE.match(content.lstrip(b"\xef\xbb\xbf")[:4096]):
        raise InputError(
            f"{path} is a web page that was saved in place of the log; download the file itself (its raw link)"
        )
