"""Bytes as text that an HTML file can hold, at 1.03 bytes a byte.

base64 in UTF-8 would take 1.33. A page in UTF-16 has 65,536 code units of two bytes, and the HTML parser hands all but
a few of them on as they are. Those few are written as ESCAPE and themselves with one bit changed: the surrogates, which
have no meaning alone; NUL and CR, which the parser replaces; and "<", which could end the script.
"""

import zlib

import numpy as np

ESCAPE = 0xE000
CHANGED_BIT = 0x8000
_PLAIN = (0x0000, 0x000D, 0x003C, ESCAPE)


def as_text(content: bytes) -> str:
    """`content` compressed (gzip, whose checksum finds damage), then as code units behind "0", or "1" where a last byte
    is added to fill the last unit. engine/unpacking.js reads it."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)  # 31: gzip, with no time in it
    packed = compressor.compress(content) + compressor.flush()
    odd = len(packed) % 2
    units = np.frombuffer(packed + b"\0" * odd, "<u2")
    kept = (units < 0xD800) | (units > 0xDFFF)
    for each in _PLAIN:
        kept &= units != each
    lengths = np.where(kept, 1, 2)
    out = np.full(int(lengths.sum()), ESCAPE, "<u2")
    out[lengths.cumsum() - 1] = np.where(kept, units, units ^ CHANGED_BIT)
    return f"{odd}" + out.tobytes().decode("utf-16-le")


def page_bytes(page: str) -> bytes:
    """A page that holds such texts, as its file. The mark at its beginning counts more than what a server says."""
    return ("\ufeff" + page).encode("utf-16-le")
