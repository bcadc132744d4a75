"""A mistyped command line: one line that says what was meant, perhaps, and where to read on."""

from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup

from fabula.errors import InputError, nearest

UsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""A wrong command line, as Typer raises it; newer versions of Typer have no public name for it."""


class Commands(TyperGroup):
    """The group of all commands; an unknown one is answered with the nearest, or with the list."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] not in self.commands and not args[0].startswith("-") and not ctx.resilient_parsing:
            raise InputError(f'unknown command "{args[0]}"{nearest(args[0], list(self.commands))}')
        return super().resolve_command(ctx, args)


def usage(error: Any, arguments: Sequence[str]) -> str:
    """What is wrong with `arguments`, of which Typer raised `error`."""
    # Where the parser itself stumbles, Typer does not say over which command's options.
    name = next((each for each in arguments if not each.startswith("-")), "")
    see = f"see: {f'fabula {name}'.strip()} --help"
    option = getattr(error, "option_name", "")
    if error.ctx and option and hasattr(error, "possibilities"):
        # Of -prompt Typer names the first letter only.
        typed = next((each for each in arguments if each.startswith(option)), option).partition("=")[0]
        known = [name for each in error.ctx.command.params for name in each.opts]
        return f"{error.ctx.info_name} has no option {typed}{_nearest_option(typed, known)}; {see}"
    message = error.format_message().replace("Value error, ", "").rstrip(".")
    return f"{message}; {see}"


def _nearest_option(typed: str, known: list[str]) -> str:
    """`; did you mean --data?`, or nothing where no long option is near."""
    import difflib  # only errors need it

    long = {name.lstrip("-"): name for name in (*known, "--help") if name.startswith("--")}
    word = typed.lstrip("-")
    # The beginning of one option, as --max of --max-tokens, is nearer than difflib knows.
    near = [name for name in long if len(word) > 1 and name.startswith(word)] or difflib.get_close_matches(word, long)
    return f"; did you mean {long[near[0]]}?" if near else ""
