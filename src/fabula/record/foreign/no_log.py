"""What is given in place of a log, and what to do about it."""

import re
from pathlib import Path

from fabula.errors import InputError
from fabula.record.files import refuse_pointer

_PAGE = re.compile(
    rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype html|html|head)\b", re.IGNORECASE | re.DOTALL
)
KNOWN = (
    "CSV, JSON lines, TensorBoard event files, W&B exports and offline runs, what trackio, MLflow and Aim keep, a "
    "Trainer's output folder or trainer_state.json, and "
    "printed lines with a step and a loss (`step 5/500 | loss 3.2`)"
)
_PACKED = (b"PK\x03\x04", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf")
_WORKBOOK = re.compile(rb"\[Content_Types\]\.xml|xl/|mimetypeapplication/vnd\.oasis")


def refuse(path: Path, content: bytes) -> None:
    """Raise InputError where `content` is certainly no log."""
    if not content.strip():
        raise InputError(f"{path} is empty; nothing was logged")
    refuse_pointer(path, content)
    if content.startswith(b"PK") and _WORKBOOK.search(content[:4096]):
        raise InputError(f"{path} is a workbook of a spreadsheet; save the sheet with the losses as CSV")
    if content.startswith(_PACKED):
        raise InputError(f"{path} is compressed; unpack it and give what is in it")
    if _PAGE.match(content.lstrip(b"\xef\xbb\xbf")[:4096]):
        raise InputError(
            f"{path} is a web page that was saved in place of the log; download the file itself (its raw link)"
        )
