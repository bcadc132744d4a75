"""The command line: the roof, which alone knows both wings.

Commands import what they need inside their bodies, so that `fabula --help` loads no library but Typer.
"""

import errno
import sys
from typing import Any

import typer

from fabula.cli.demo import demo
from fabula.cli.diagnose import diagnose
from fabula.cli.export import export
from fabula.cli.generate import generate
from fabula.cli.ladder import ladder
from fabula.cli.prepare import prepare
from fabula.cli.recipes import recipes
from fabula.cli.report import report
from fabula.cli.train import train
from fabula.errors import InputError

app = typer.Typer(
    name="fabula",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Train small language models from scratch, and show with evidence what made them good.",
)
for command in (demo, prepare, train, ladder, generate, diagnose, report, export, recipes):
    app.command()(command)

STOPPED = 130
"""Exit code of a process that Ctrl-C ended: 128 and the number of SIGINT."""

MAKING = {"torch", "tokenizers", "tiktoken", "pyarrow"}
"""What the extra `train` installs beside the base package."""


UNFIT_PLACE = {
    errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENAMETOOLONG,
}  # fmt: skip
"""What the system says of a folder that is not ours, is none, is full, or cannot be called so."""

UsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""A wrong command line, as Typer raises it; newer versions of Typer have no public name for it."""


def main() -> None:
    """Run the command line. Wrong input: one line, exit 2. A stop from the keyboard: exit 130."""
    raise SystemExit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    try:
        # Outside its standalone mode Typer returns the code of typer.Exit, and raises usage errors instead of drawing
        # a box around them.
        code = app(arguments or ["--help"], prog_name="fabula", standalone_mode=False)
    except UsageError as error:
        return _wrong(_usage(error))
    except InputError as error:
        return _wrong(str(error))
    except ModuleNotFoundError as error:
        if error.name not in MAKING:
            raise
        return _wrong(f"this command needs {error.name}; install it with: pip install 'fabula[train]'")
    except OSError as error:
        if error.errno not in UNFIT_PLACE:
            raise
        return _wrong(f"{error.filename or 'writing failed'}: {error.strerror}; choose another place")
    except typer.Abort:  # Ctrl-C, where Typer does not return the exit code of it
        return STOPPED
    return code if isinstance(code, int) else 0


def _wrong(message: str) -> int:
    print(f"fabula: {' '.join(message.split())}", file=sys.stderr)
    return 2


def _usage(error: Any) -> str:
    command = error.ctx.command_path if error.ctx else "fabula"
    return f"{error.format_message().rstrip('.')}; see: {command} --help"
