"""TOML in and out."""

from pathlib import Path
from typing import Any

import tomlkit

from fabula.errors import InputError
from fabula.record.content.parsing import toml_value


def read_toml(path: Path) -> dict[str, Any]:
    try:
        return toml_value(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    except ValueError as error:
        raise InputError(f"{path} is not valid TOML: {error}") from error


def to_toml(tree: dict[str, Any]) -> str:
    return tomlkit.dumps(tree)


def parse_value(text: str) -> Any:
    """The value of `--set key=value`: a TOML value, or the bare text itself where that is none (`padded`)."""
    try:
        return toml_value(f"value = {text}")["value"]
    except ValueError:
        return text
