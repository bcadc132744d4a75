"""The command lines that a page tells people to type."""

import re
from pathlib import Path


def shell_lines(page: Path) -> list[str]:
    """The command lines of its ```sh blocks without comments; a here-document is one line with all of its own."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    commands = re.findall(r"^.*<<'END'\n(?:.*\n)*?END$|^.+$", "\n".join(blocks), flags=re.MULTILINE)
    return [command if "\n" in command else command.split(" #")[0].strip() for command in commands]


def shortened(lines: list[str], shorter: dict[str, str]) -> list[str]:
    """The lines with what takes seconds in place of what takes minutes. Each replacement has its place in them."""
    typed = "\n".join(lines)
    assert all(long in typed for long in shorter), "what no line says is made shorter"
    for long, short in shorter.items():
        lines = [re.sub(rf"{re.escape(long)}(?![\w.])", lambda _, short=short: short, line) for line in lines]
    return lines
