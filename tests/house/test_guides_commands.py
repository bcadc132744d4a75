"""Every command of ours that a guide tells people to type is one: its options exist, and their values can be read."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from fabula.cli import app
from fabula.cli.screen.usage import UsageError
from fabula.errors import InputError

REPO = Path(__file__).resolve().parents[2]
PAGES = (REPO / "README.md", REPO / "CONTRIBUTING.md", *sorted((REPO / "docs").glob("*.md")))
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
HERE_DOCUMENT = re.compile(r"<<'END'\n.*?^END$", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"(?:^|\s+)#\s.*$", re.MULTILINE)
BETWEEN = "();<>|&\n"
"""What stands between two commands, or between a command and a file."""


def commands_of(page: Path) -> Iterator[list[str]]:
    """The words of each command of ours in the page's blocks."""
    for block in BLOCK.findall(page.read_text(encoding="utf-8")):
        plain = COMMENT.sub("", HERE_DOCUMENT.sub("", block)).replace("\\\n", " ")
        words = shlex.shlex(plain, posix=True, punctuation_chars=BETWEEN)
        words.whitespace, words.whitespace_split, words.commenters = " \t\r", True, ""
        command: list[str] = []
        for word in [*words, "\n"]:
            if word and set(word) <= set(BETWEEN):
                if command[:1] == ["fabula"]:
                    yield command[1:]
                command = []
            elif command or not re.fullmatch(r"\w+=.*", word):  # a variable before the command
                command.append(word)


def read(arguments: list[str]) -> None:
    """As the command line reads them; nothing is done. Raises a usage error for what is no command."""
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    context = group.make_context("fabula", list(arguments))
    name, command, rest = group.resolve_command(context, [*context._protected_args, *context.args])
    assert command is not None
    command.make_context(name, rest, parent=context)


@pytest.mark.parametrize("page", [page for page in PAGES if any(commands_of(page))], ids=lambda page: page.stem)
def test_what_a_guide_tells_people_to_type_is_a_command(page: Path) -> None:
    for command in commands_of(page):
        try:
            read(command)
        except (UsageError, InputError) as error:
            pytest.fail(f"fabula {shlex.join(command)}: {error}")


def test_what_is_no_command_is_found() -> None:
    for wrong in (["trian"], ["train", "--minuets", "3"], ["train", "--minutes", "three"], ["report", "--out"]):
        with pytest.raises((UsageError, InputError)):
            read(wrong)
    assert sum(1 for page in PAGES for _ in commands_of(page)) > 60
