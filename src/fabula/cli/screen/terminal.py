"""What the terminal can show: its encoding, its styles and its width.

Every console and every styled line is made here, so that NO_COLOR, TERM=dumb and a terminal that is not UTF-8 are
respected by all commands alike.
"""

import os
import sys
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def make_streams_tolerant() -> None:
    """What stdout and stderr cannot encode (cp1252, ASCII) appears as `?`, instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a test's stream in the place of ours may have no encoding at all
            stream.reconfigure(errors="replace")


def is_dumb() -> bool:
    """Whether the terminal says that it knows no escape codes."""
    return os.environ.get("TERM", "").lower() in ("dumb", "unknown")


def is_plain() -> bool:
    """Whether nothing may be coloured or otherwise styled (NO_COLOR as https://no-color.org has it)."""
    return bool(os.environ.get("NO_COLOR")) or is_dumb()


def width_of(stream: IO[str]) -> int | None:
    """Columns of the terminal behind `stream`; None where there is none, so that nothing has to be broken there."""
    if not stream.isatty():
        return None
    if os.environ.get("COLUMNS", "").isdigit() and int(os.environ["COLUMNS"]) > 0:
        return int(os.environ["COLUMNS"])
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80  # some terminals do not know and say 0
    except OSError:
        return 80


def make_console(*, stderr: bool = False) -> "Console":
    """A rich console that breaks lines between words on a terminal and leaves them whole elsewhere.

    Where `is_plain` it has no styles at all: rich takes NO_COLOR for the colours only, and bold is an escape code too.
    """
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(
        stderr=stderr,
        highlight=False,
        color_system=None if is_plain() else "auto",
        soft_wrap=not stream.isatty(),
        width=width_of(stream) if is_dumb() else None,  # rich takes 80 columns for granted there
    )


def show(text: object, *, stderr: bool = False) -> None:
    """Print a line as it is, but for what would steer the terminal: names and paths hold any character.

    At once, also into a pipe or a file: whoever reads the address of a page there waits for it.
    """
    from fabula.record.wording import inert

    print(inert(str(text)), file=sys.stderr if stderr else sys.stdout, flush=True)


def tell(text: str, *, stderr: bool = False, indent: str = "") -> None:
    """Print prose, broken between words where a terminal ends; `indent` stands before the lines after the first.

    Without a terminal each line of `text` stays one line. A command to be copied is printed as it is instead.
    """
    stream = sys.stderr if stderr else sys.stdout
    print(wrapped(text, width_of(stream), indent), file=stream, flush=True)


def wrapped(text: str, width: int | None, indent: str = "") -> str:
    """`text` in lines of at most `width` columns, as far as its words allow; nothing in it steers the terminal."""
    import textwrap

    from fabula.record.wording import inert

    text = inert(text)
    if width is None:
        return text
    return "\n".join(
        textwrap.fill(
            line,
            width,
            subsequent_indent=indent if len(indent) < width // 2 else "",
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in text.split("\n")
    )
