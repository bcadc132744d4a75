"""Protocol Buffers' wire format, as far as event files and records need it."""

from collections.abc import Iterator
from typing import TypeVar

SIZES = {1: 8, 5: 4}
"""Bytes of a field by its wire type, where they are always as many."""
Kind = TypeVar("Kind", int, memoryview)


class Malformed(Exception):
    """A record whose checksum is right and whose content is no message."""


def as_kind(kind: type[Kind], value: int | memoryview) -> Kind:
    if not isinstance(value, kind):
        raise Malformed
    return value


def fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field: an integer for a varint, else bytes."""
    place, end = 0, len(message)
    while place < end:
        key, place = _varint(message, place)
        kind = key & 7
        if kind == 0:
            value, place = _varint(message, place)
            yield key >> 3, value
            continue
        size, place = _varint(message, place) if kind == 2 else (SIZES.get(kind, end), place)
        if size > end - place:
            raise Malformed
        yield key >> 3, message[place : place + size]
        place += size


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while place < len(message) and shift < 64:
        byte = message[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
        shift += 7
    raise Malformed
