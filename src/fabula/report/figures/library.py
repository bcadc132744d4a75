"""The chart library, asked in words that it answers in: what the system refuses it comes as an OSError."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import vl_convert

from fabula.errors import InputError


def svg_of(spec: dict[str, Any]) -> str:
    with _refusals():
        return str(vl_convert.vegalite_to_svg(spec))


def png_of(spec: str, scale: float) -> bytes:
    with _refusals():
        return bytes(vl_convert.vegalite_to_png(spec, scale=scale))


def vega_of(spec: dict[str, Any]) -> dict[str, Any]:
    with _refusals():
        return dict(vl_convert.vegalite_to_vega(spec))


def bundle_of(entry: str) -> str:
    with _refusals():
        return str(vl_convert.javascript_bundle(entry))


@contextmanager
def _refusals() -> Iterator[None]:
    """vl-convert 1.9 panics where it may open no further file, and Python's `Exception` knows no panics; or its thread
    ends without a word, and only that is said."""
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
