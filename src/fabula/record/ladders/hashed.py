"""Documents of a ladder that carry a hash of what they say, so that a change by hand is seen."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fabula.record.content.parsing import json_value
from fabula.record.content.shape import Shape, misfit
from fabula.record.files import content_hash


def read_hashed(path: Path, holds: str, after: str) -> tuple[dict[str, Any], str]:
    """The content of `path`, which `holds` so and so, and what is wrong with it: then it is empty. `after`: what had
    been done with it when it got its hash."""
    name = path.name
    try:
        content = json_value(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return {}, f"{name} is damaged: {error}"
    if not isinstance(content, dict) or not isinstance(content.get("hash"), str):
        return {}, f"{name} is damaged: it holds no {holds} with its hash"
    if content["hash"] != content_hash(content):
        return {}, f"{name} was changed after it was {after}: what it says does not have its hash"
    return content, ""


def misfit_of(content: Mapping[str, Any], shape: Shape, needed: Iterable[str]) -> str | None:
    """What is missing from `content`, or is no such thing as `shape` says."""
    return next((f"{each} is missing" for each in needed if content.get(each) is None), None) or misfit(content, shape)
