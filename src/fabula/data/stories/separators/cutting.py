"""What stands between two stories of a plain text, and how a text is cut there."""

import re
from dataclasses import dataclass
from functools import lru_cache

from fabula.data.tokenizers.bpe import EOT_TEXT
from fabula.errors import InputError, nearest

NAMES = ("eot", "blank", "line", "none")
BLANK = r"[ \t\f\v]*\n"
"""A line with nothing on it but white space."""

PIECE_BYTES = 4_000  # some pages: long for a model's context, short enough that 5 % of a small book is some pieces
LEAST_PIECE_BYTES = 500
PIECES_OF_A_SHORT_TEXT = 20
BORDERS = tuple(
    re.compile(pattern.encode())
    for pattern in (
        rf"\n{BLANK}{BLANK}",
        rf"\n{BLANK}",
        r"\n",
        "(?:[.!?]|…|。|！|？)(?:[\"')\\]]|”|’|»)*[ \t]+|(?:。|！|？)",
        r"[ \t]",
    )
)
"""Where one long text may be cut, the best first: two blank lines, one, a line end, a sentence's end, a space."""


@dataclass(frozen=True)
class Separator:
    """How the stories of a plain text are told apart."""

    name: str
    """As `--split-on` takes it."""
    pattern: str | None
    """What stands between two stories, as a regular expression; None where a file is one text."""
    own_line: bool = False
    """Whether it stands on lines of its own."""
    piece_bytes: int | None = None
    """For one long text: cut it into pieces of at most so many bytes. None: leave it whole."""

    def words(self) -> str:
        """What follows "40 stories" or "the text": "separated by blank lines"."""
        if self.name == "eot":
            return f"separated by {EOT_TEXT}"
        if self.name == "line":
            return "one on each line"
        if self.name == "none":
            return "one in each file" if self.piece_bytes is None else "cut from one long text"
        if self.name.startswith("blank"):
            least = self.name.partition(":")[2]
            return f"separated by {least} or more blank lines" if least else "separated by blank lines"
        return f"separated by {'lines of ' if self.own_line else ''}{self.name}"

    def split(self, text: str) -> list[str]:
        """The stories in `text`, without white space around them; what follows the last separator only if it is there.

        Between blank lines and line ends nothing can be missing, so that what is empty there is left out, too.
        """
        if self.pattern is None:
            return [text.strip()]
        pieces = [piece.strip() for piece in re.split(self.pattern, text)]
        if self.name == "line" or self.name.startswith("blank"):
            return [piece for piece in pieces if piece]
        if not pieces[-1]:
            pieces.pop()
        return pieces


EOT = Separator("eot", re.escape(EOT_TEXT))
LINE = Separator("line", r"\n")
WHOLE = Separator("none", None)


def blank_lines(least: int = 1) -> Separator:
    """`least` or more blank lines in a row."""
    return Separator("blank" if least == 1 else f"blank:{least}", rf"\n(?:{BLANK}){{{least},}}")


def literal(name: str, own_line: bool) -> Separator:
    """A text of the user's own. Where it stands on lines of its own, it counts there only."""
    text = re.escape(unescaped(name))
    return Separator(name, rf"(?m:^)[ \t]*{text}[ \t]*(?:\n|\Z)" if own_line else text, own_line)


def unescaped(name: str) -> str:
    """A separator as it was typed, with what a shell does not let one type easily: `\\n` and `\\t`."""
    return name.replace("\\n", "\n").replace("\\t", "\t")


def long_text(num_bytes: int) -> Separator:
    """One text of so many bytes, cut into pieces, of which a short text gets about twenty."""
    piece = min(PIECE_BYTES, max(LEAST_PIECE_BYTES, num_bytes // PIECES_OF_A_SHORT_TEXT))
    return Separator("none", None, piece_bytes=piece)


def check_split_on(name: str) -> None:
    """Raises InputError for a `--split-on` that cannot separate stories."""
    if not name:
        raise InputError(f"--split-on is empty; give one of {', '.join(NAMES)}, or the text between two stories")
    if not unescaped(name).strip(" \t"):
        raise InputError("--split-on of spaces would cut at every word; give the text between two stories")


def named(name: str) -> Separator | None:
    """The separator that `--split-on` calls by name; None for a text of the user's own and for `none`."""
    if name in ("eot", EOT_TEXT):
        return EOT
    if name == "line":
        return LINE
    if blank := re.fullmatch(r"blank(?::([1-9][0-9]?))?", name):
        return blank_lines(int(blank[1] or 1))
    return None


def not_found(where: str, name: str) -> InputError:
    """What to raise where `--split-on` names a text that does not occur."""
    if name == "eot":
        return InputError(
            f"{where}: no {EOT_TEXT} in it; leave out --split-on, or give what stands between the stories"
        )
    hint = nearest(name.lower(), list(NAMES))
    hint = hint if "did you mean" in hint else f"; give what stands between the stories, or one of {', '.join(NAMES)}"
    return InputError(f"{where}: no {name!r} in it{hint}")


@lru_cache(maxsize=8)
def _compiled(pattern: str) -> re.Pattern[bytes]:
    return re.compile(pattern.encode())


def last_border(separator: Separator, text: bytes) -> int:
    """Where `text` may be cut so that both sides can be split on their own: behind its last separator, or 0.

    A separator that reaches the end of `text` may go on behind it, so it does not count. Separators are looked for
    from the left, as in the splitting, so that the stories do not depend on where a file happens to be cut.
    """
    if separator.name == "line":
        return text.rfind(b"\n") + 1
    if separator.name == "eot":
        at = text.rfind(EOT_TEXT.encode())
        return at + len(EOT_TEXT) if at >= 0 else 0
    assert separator.pattern is not None
    end = 0
    for match in _compiled(separator.pattern).finditer(text):
        if match.end() < len(text):
            end = match.end()
    return end


def end_of_piece(text: bytes, most: int) -> int:
    """Where the first piece of `text` ends: at the last of the best borders in the later half of `most` bytes."""
    if len(text) <= most:
        return len(text)
    for border in BORDERS:
        end = 0
        for match in border.finditer(text, most // 2, most):
            end = match.end()
        if end:
            return end
    end = most
    while end > most - 4 and text[end] & 0xC0 == 0x80:  # not within a character
        end -= 1
    return end
