"""Text in Markdown and HTML: names, columns, prompts and stories hold any character, and none of it is markup there."""

import html
import re

from fabula.record.wording import inert

_MARKS = re.compile(r"([\\`*_\[\]#|$~])")
_FIRST = re.compile(r"^(\s*)(?:([-+=])(?=[\s=-]|$)|(\d{1,9})([.)])(?=\s|$))")
_LINKS = re.compile(r":(?=//)|(?<=\bwww)\.", re.IGNORECASE)


def markdown(text: str) -> str:
    """`text` on one line as Markdown that shows it as it is: no emphasis, list, table, link or HTML comes of it.

    >>> markdown("<b> *a* | www.b.c")
    '&lt;b&gt; \\\\*a\\\\* \\\\| www&#46;b.c'
    """
    plain = _MARKS.sub(r"\\\1", one_line(text)).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    plain = _FIRST.sub(lambda found: f"{found[1]}{found[3] or ''}\\{found[2] or found[4]}", plain)
    return _LINKS.sub(lambda found: f"&#{ord(found[0])};", plain)


def markdown_code(text: str, *, in_table: bool = False) -> str:
    """`text` as code: between more backquotes than stand in it. A table's `|` is escaped even there."""
    plain = one_line(text)
    fence = "`" * (max(map(len, re.findall("`+", plain)), default=0) + 1)
    plain = plain.replace("|", "\\|") if in_table else plain
    inner = f" {plain} " if plain.startswith("`") or plain.endswith("`") else plain
    return f"{fence}{inner}{fence}" if plain.strip() else ""


def as_html(text: str) -> str:
    """`text` within HTML."""
    return html.escape(one_line(text), quote=True)


def one_line(text: str) -> str:
    return " ".join(inert(text.replace("\r\n", "\n")).split("\n"))
