"""The chart library, asked in words that it answers in: what the system refuses it comes as an OSError."""

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import vl_convert

from fabula.errors import InputError
from fabula.record.machine import most_addresses

MOST_ADDRESSES = 100 << 30
"""Bytes of addresses, not of memory, that the engine inside vl-convert (1.9) is sure to find enough for its heaps: with
40 GB left to it, it ended the process by a signal, with 100 it drew."""


def svg_of(spec: dict[str, Any]) -> str:
    with _refusals():
        return str(vl_convert.vegalite_to_svg(spec))


PROBE: dict[str, Any] = {
    "data": {"values": [{"x": 1, "y": "nats per token"}, {"x": 1234.5, "y": "step"}]},
    "mark": "point",
    "encoding": {"x": {"field": "x", "type": "quantitative"}, "y": {"field": "y", "type": "nominal"}},
    "config": {"font": "system-ui, sans-serif"},
}


@cache
def drawing_hash() -> str:
    """Of one small picture with letters in it: machines with the same hash draw pictures alike."""
    return hashlib.sha256(svg_of(PROBE).encode()).hexdigest()[:16]


def png_of(spec: str, scale: float) -> bytes:
    with _refusals():
        return bytes(vl_convert.vegalite_to_png(spec, scale=scale))


def pdf_of(svg: str) -> bytes:
    with _refusals():
        return bytes(vl_convert.svg_to_pdf(svg))


def vega_of(spec: dict[str, Any]) -> dict[str, Any]:
    with _refusals():
        return dict(vl_convert.vegalite_to_vega(spec))


def bundle_of(entry: str) -> str:
    with _refusals():
        return str(vl_convert.javascript_bundle(entry))


@contextmanager
def _refusals() -> Iterator[None]:
    """vl-convert 1.9 panics where it may open no further file, and Python's `Exception` knows no panics; or its thread
    ends without a word, and only that is said. Where it may not have the addresses it wants, it ends the process."""
    if (most := most_addresses()) is not None and most < MOST_ADDRESSES:
        raise InputError(
            f"the figures cannot be drawn: this process may have {most / 1e9:.1f} GB of addresses (ulimit -v), and the "
            "chart library wants about 100 GB of them, though little memory; lift the limit: ulimit -v unlimited"
        )
    try:
        yield
    except BaseException as error:
        if re.search(r"oneshot canceled|receiver is gone", str(error)):
            raise InputError(
                "the figures could not be drawn: the chart library ended; allow more open files (ulimit -n 1024), "
                "or close other programs"
            ) from error
        code = re.search(r"\bcode: (\d+)", str(error)) if type(error).__name__ == "PanicException" else None
        if code is None:
            raise
        raise OSError(int(code[1]), os.strerror(int(code[1])), "drawing the figures") from error
