"""A story on a terminal, word by word, and lines of a user in whatever encoding they come."""

import sys
from collections.abc import Callable

from fabula.errors import InputError


class WordStream:
    """Writes text as it comes, a word at a time, and breaks lines between words at the width of the terminal.

    What would steer the terminal appears as U+FFFD: an untrained model writes any byte.
    """

    def __init__(self, write: Callable[[str], object], width: Callable[[], int]) -> None:
        self._write, self._width = write, width
        self._column = 0
        self._space, self._word = "", ""

    def text(self, piece: str) -> None:
        """Take the next piece of the text. What may be the beginning of a word waits for its end."""
        from rich.cells import cell_len

        for character in piece:
            if character == "\n":
                self._flush()
                self._write("\n")
                self._column, self._space = 0, ""
            elif character.isspace():
                self._flush()
                self._space += " "
            else:
                self._word += character if character.isprintable() else "\N{REPLACEMENT CHARACTER}"
                # Chinese has no spaces: a line may end after any of its characters, which are two columns wide.
                if cell_len(character) == 2 or cell_len(self._word) >= self._width():
                    self._flush()

    def end(self) -> None:
        """Write what waits and leave the cursor at the beginning of a line."""
        self._flush()
        self._write("\n")
        self._column, self._space = 0, ""

    def _flush(self) -> None:
        from rich.cells import cell_len

        if not self._word:
            return
        text = self._space + self._word
        if self._column and self._column + cell_len(text) > self._width():
            self._write("\n")
            self._column, text = 0, self._word
        self._write(text)
        self._column += cell_len(text)
        self._space, self._word = "", ""


def as_utf8(text: str, encoding: str) -> str:
    """`text` as its bytes say it in UTF-8, whatever `encoding` it was read with; as it is where they are no UTF-8.

    With LC_ALL=C each byte beyond ASCII is a surrogate in the text that Python hands on; in a Windows pipe it may be
    two characters of cp1252. Raises InputError for bytes that mean nothing in either.
    """
    try:
        return text.encode(encoding, "surrogateescape").decode()
    except UnicodeEncodeError:  # not read with this encoding at all
        return text
    except UnicodeDecodeError as error:
        if not any("\ud800" <= each <= "\udfff" for each in text):
            return text
        byte = error.object[error.start]
        raise InputError(
            f"the prompt is not UTF-8 text: byte 0x{byte:02X} is number {error.start + 1} in it; write it in UTF-8"
        ) from None


def argument_as_utf8(text: str) -> str:
    """An argument of the command line; see `as_utf8`."""
    return as_utf8(text, sys.getfilesystemencoding())
