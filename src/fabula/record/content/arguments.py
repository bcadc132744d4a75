"""What was typed, as it may be kept in a record and shown to others."""

from collections.abc import Iterable, Iterator

SECRET = "--notify"
"""Whoever knows the address of a chat's hook may write there."""


def without_secrets(arguments: Iterable[str]) -> Iterator[str]:
    """The same with `URL` in the place of the address."""
    hidden = False
    for each in arguments:
        name, given, _ = each.partition("=")
        yield "URL" if hidden else f"{SECRET}=URL" if given and name == SECRET else each
        hidden = not hidden and each == SECRET
