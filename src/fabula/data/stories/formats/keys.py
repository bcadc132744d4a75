"""The story in a record: which key or column holds it, and what to say where none does."""

from collections.abc import Mapping
from shlex import quote
from typing import Any

from fabula.data.stories.formats.opening import line_feeds
from fabula.errors import InputError

USUAL_KEYS = ("story", "content", "body", "output", "completion", "document", "article", "sentence")
MOST_NAMED = 8
JSON_NAMES = {type(None): "null", bool: "true or false", int: "a number", float: "a number", list: "a list"}


def story_in(value: Any, key: str, where: str) -> str:
    """The story in a JSON value: the string itself, or an object's string under `key`. Raises InputError."""
    text = value.get(key) if isinstance(value, dict) else value
    if not isinstance(text, str):
        raise InputError(f"{where}: {_what_is_wrong(value, key)}")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InputError(f"{where}: half a surrogate pair at character {error.start}") from None
    return line_feeds(text)


def _what_is_wrong(value: Any, key: str) -> str:
    if not isinstance(value, dict):
        return f'{_json_name(value)}, not an object; write {{"{key}": "..."}}'
    if key not in value:
        return missing("key", key, value)
    what_to_do = "; remove it, or write a story there" if value[key] is None else ""
    return f'"{key}" is {_json_name(value[key])}, not a string{what_to_do}'


def _json_name(value: Any) -> str:
    return JSON_NAMES.get(type(value), "an object")


def missing(what: str, key: str, record: Mapping[str, Any]) -> str:
    """That a record lacks the key (or column) of its story: what it has instead, and what to type."""
    names = [name if len(name) <= 40 else f"{name[:37]}..." for name in record]
    there = ", ".join(f'"{name}"' for name in names[:MOST_NAMED])
    there += f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    strings = [name for name, value in record.items() if isinstance(value, str)]
    usual = [name for name in strings if name.lower() in USUAL_KEYS]
    for likely in (strings, usual):
        if len(likely) == 1 and len(likely[0]) <= 40:
            return f'no {what} "{key}", only {there}; if "{likely[0]}" holds the story: --text-key {quote(likely[0])}'
    if not names:
        return f'no {what} "{key}"'
    return f'no {what} "{key}", only {there}; say which one holds the story: --text-key NAME'
