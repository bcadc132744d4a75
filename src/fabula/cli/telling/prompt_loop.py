"""The prompt loop of `fabula generate`: a line is a prompt, or a setting that begins with a slash."""

import dataclasses
import sys
from collections.abc import Callable, Iterator
from typing import Any

from fabula.cli.screen.terminal import is_dumb, tell
from fabula.cli.screen.words import as_utf8
from fabula.cli.telling.storyteller import Storyteller
from fabula.errors import InputError, nearest

SAMPLING: dict[str, tuple[Callable[[str], float], str]] = {
    "temperature": (float, "0 takes the likeliest token each time"),
    "top-k": (int, "choose among the K likeliest tokens; 0: all"),
    "top-p": (float, "choose among the likeliest tokens that have this probability together"),
    "min-p": (float, "leave out tokens below this share of the likeliest one's probability"),
    "repetition-penalty": (float, "above 1: tokens seen before become less likely"),
}
COUNTS = {"max-tokens": (1, "stop a story after so many tokens"), "seed": (0, "the seed of the next story")}
"""Whole numbers, each with the least that it may be."""
WORDS = {"again": "the last prompt once more, with the next seed", "help": "this list", "quit": "leave, as Ctrl-D does"}
HINT = "Write how a story begins; an empty line for one from nothing; /help for settings; Ctrl-D to leave."


class PromptLoop:
    """Reads lines of stdin until they end, and answers each."""

    def __init__(self, teller: Storyteller, count: int) -> None:
        self.teller, self.count = teller, count
        self._last: str | None = None

    def run(self) -> None:
        """Raises KeyboardInterrupt for a Ctrl-C at the prompt; while a story is told it ends that story only."""
        tell(HINT, stderr=True)
        if hasattr(sys.stdin, "reconfigure"):
            sys.stdin.reconfigure(errors="surrogateescape")  # a line that is not UTF-8 is refused by itself
        for line in _lines():
            try:
                if not self._answer(as_utf8(line, sys.stdin.encoding or "utf-8")):
                    return
            except InputError as error:  # a prompt too long is no reason to leave the loop
                tell(f"fabula: {error}", stderr=True)
            except KeyboardInterrupt:
                if not sys.stdin.isatty():  # a file of prompts has no prompt to return to
                    raise

    def _answer(self, line: str) -> bool:
        """Tell a story or change a setting; False to leave."""
        if not line.startswith("/"):
            self._last = line
            self.teller.tell(line, self.count)
            return True
        name, _, value = line[1:].strip().partition(" ")
        if name == "quit":
            return False
        if name == "help":
            self._help()
        elif name == "again":
            if self._last is None:
                raise InputError("there is no prompt yet that could be told again; write one")
            self.teller.tell(self._last, self.count)
        elif name in SAMPLING or name in COUNTS:
            if value.strip():
                self._set(name, value.strip())
            tell(f"[{name} {self._value(name)}]", stderr=True)
        else:
            near = nearest(f"/{name}", [f"/{each}" for each in (*SAMPLING, *COUNTS, *WORDS)])
            known = near if "mean" in near else "; a space before it makes it a prompt"
            raise InputError(f'unknown setting "/{name}"{known} /help lists all')
        return True

    def _set(self, name: str, value: str) -> None:
        kind: Callable[[str], Any] = SAMPLING[name][0] if name in SAMPLING else int
        try:
            number = kind(value)
        except ValueError:
            example = "0.5" if kind is float else "7"
            raise InputError(f'/{name} takes a number, as in "/{name} {example}"; not {value}') from None
        if name in SAMPLING:
            self.teller.sampling = dataclasses.replace(self.teller.sampling, **{name.replace("-", "_"): number})
        elif number < COUNTS[name][0]:
            raise InputError(f"/{name} {value} means nothing; it is {COUNTS[name][0]} or more")
        else:
            setattr(self.teller, name.replace("-", "_"), number)

    def _value(self, name: str) -> float:
        return getattr(self.teller.sampling if name in SAMPLING else self.teller, name.replace("-", "_"))

    def _help(self) -> None:
        about = {name: text for name, (_, text) in {**SAMPLING, **COUNTS}.items()}
        for name, text in about.items():
            tell(f"  {f'/{name} {self._value(name)}':<26}{text}", stderr=True, indent=" " * 28)
        for name, text in WORDS.items():
            tell(f"  {f'/{name}':<26}{text}", stderr=True, indent=" " * 28)
        tell("Ctrl-C stops a story.", stderr=True)


def _lines() -> Iterator[str]:
    """Lines of stdin; from a terminal with its editing and its history of this session."""
    at_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if at_terminal and not is_dumb():
        _edit_lines()
    while True:
        if at_terminal:
            try:
                line = input("> ")
            except EOFError:
                print(file=sys.stderr)
                return
        else:
            print("> ", end="", file=sys.stderr, flush=True)
            line = sys.stdin.readline()
            if not line:
                return
        yield line.rstrip("\n")


def _edit_lines() -> None:
    """Let `input` edit lines, where Python was built with readline."""
    try:
        import readline
    except ModuleNotFoundError:  # Windows, whose console edits lines itself
        return
    readline.parse_and_bind("set enable-bracketed-paste off")  # its escape codes would stand in a recorded session
