"""Text that appears token by token, in whole characters."""

import codecs
from collections.abc import Callable

from fabula.data.tokenizers.tokenizer import Tokenizer


class CharacterStream:
    """Turns tokens into text as soon as the bytes make whole characters.

    A byte-level token may end within a character; its bytes wait for the rest. Bytes that can never become one appear
    as U+FFFD, as `Tokenizer.decode` has it.
    """

    def __init__(self, tokenizer: Tokenizer, write: Callable[[str], object]) -> None:
        self._tokenizer, self._write = tokenizer, write
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def token(self, token: int) -> None:
        text = self._decoder.decode(self._tokenizer.decode_bytes([token]))
        if text:
            self._write(text)

    def end(self) -> None:
        """Write what still waits; the next token begins a new text."""
        text = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        if text:
            self._write(text)
