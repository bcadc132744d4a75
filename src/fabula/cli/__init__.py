"""The command line: the roof, which alone knows both wings.

Commands import what they need inside their bodies, so that `fabula --help` loads no library but Typer.
"""

import errno
import os
import sys
from typing import Annotated

import typer

from fabula import __version__
from fabula.cli.commands.demo import demo
from fabula.cli.commands.evaluate import evaluate
from fabula.cli.commands.generate import generate
from fabula.cli.commands.ladder import ladder
from fabula.cli.commands.leaving.export import export
from fabula.cli.commands.leaving.push import push
from fabula.cli.commands.plan import plan
from fabula.cli.commands.prepare import prepare
from fabula.cli.commands.reading.compare import compare
from fabula.cli.commands.reading.diagnose import diagnose
from fabula.cli.commands.reading.report import report
from fabula.cli.commands.reading.verify import verify
from fabula.cli.commands.recipes import recipes
from fabula.cli.commands.train import train
from fabula.cli.commands.unseal import unseal
from fabula.cli.live.play import play
from fabula.cli.live.watch import watch
from fabula.cli.screen.signals import end_by_interrupt, stopped_code
from fabula.cli.screen.terminal import is_plain, make_streams_tolerant, tell
from fabula.cli.screen.typed import as_called
from fabula.cli.screen.usage import Commands, UsageError, usage
from fabula.errors import InputError, is_out_of_memory
from fabula.record.machine import has_met_its_limit

app = typer.Typer(
    name="fabula",
    cls=Commands,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"fabula {__version__}")
        raise typer.Exit()


@app.callback()
def _fabula(
    version: Annotated[
        bool,
        typer.Option("--version", "-V", is_eager=True, callback=_print_version, help="Print the version and exit."),
    ] = False,
) -> None:
    """Train small language models from scratch, and show with evidence what made them good."""


for command in (
    demo, prepare, plan, train, ladder, generate, play, evaluate, diagnose, report, watch, compare, verify, unseal,
    export, push, recipes,
):  # fmt: skip
    app.command()(command)


@app.command(name="help")
def _help(
    name: Annotated[str | None, typer.Argument(metavar="[COMMAND]", help="The command to explain.")] = None,
) -> None:
    """Explain a command, or list all of them."""
    raise typer.Exit(run(["--help"] if name is None else [name, "--help"]))


EXTRA_OF = {
    **dict.fromkeys(("torch", "tokenizers", "tiktoken", "pyarrow"), "train"),
    **dict.fromkeys(("starlette", "uvicorn"), "serve"),
}
"""Package -> the extra that installs it beside the base package."""

INTERRUPTED = 130
"""What Typer makes of a KeyboardInterrupt, whichever signal raised it."""
REMEDIES = {
    errno.ENOSPC: "free some space there, or choose another place",
    errno.EDQUOT: "free some space there, or choose another place",
    errno.EFBIG: "files may not become so large here (ulimit -f); raise the limit, or choose another place",
    errno.EIO: "the disk or the way to it is failing; copy what is there to another one, and go on from that",
    errno.EMFILE: "raise the limit of open files (ulimit -n 4096), or give fewer runs at once",
    errno.ENFILE: "the machine has too many files open; end some other programs",
    errno.ENOMEM: "the machine has no memory left; end other programs, or set a smaller batch.rows",
    **dict.fromkeys(
        (errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST, errno.EROFS, errno.ENAMETOOLONG),
        "choose another place",
    ),
}
"""What the system says of a machine and of the places on it, and what to do. Anything else is an error of ours."""


def main() -> None:
    """Run the command line. Wrong input: one line, exit 2. A stop from the keyboard: its code by the signal."""
    make_streams_tolerant()
    end_by_interrupt()
    try:
        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # a second one, while the first is answered
        code = stopped_code()
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # `| head` has enough; Python would try once more at its end, and complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = code or 1
    raise SystemExit(code)


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    if is_plain():
        _help_without_styles()
    try:
        # Outside its standalone mode Typer returns the code of typer.Exit, and raises usage errors instead of drawing
        # a box around them.
        code = app(
            arguments or ["--help"], prog_name="fabula", standalone_mode=False, color=False if is_plain() else None
        )
    except UsageError as error:
        return _wrong(usage(error, arguments))
    except InputError as error:
        return _wrong(str(error))
    except ModuleNotFoundError as error:
        if error.name not in EXTRA_OF:
            raise
        return _wrong(f"this command needs {error.name}; install it with: pip install 'fabula[{EXTRA_OF[error.name]}]'")
    except OSError as error:
        if error.errno not in REMEDIES:
            raise
        return _wrong(f"{error.filename or 'reading or writing failed'}: {error.strerror}; {REMEDIES[error.errno]}")
    except (MemoryError, RuntimeError, ImportError) as error:
        # Libraries swallow the MemoryError of a module that they load, and fail to import the next one.
        if not (is_out_of_memory(error) or (isinstance(error, ImportError) and has_met_its_limit())):
            raise
        return _wrong(f"out of memory; {REMEDIES[errno.ENOMEM]}")
    except (typer.Abort, KeyboardInterrupt):  # a signal, where Typer does not return its exit code, or not yet
        return stopped_code()
    if code == INTERRUPTED:
        return stopped_code()
    return code if isinstance(code, int) else 0


def _wrong(message: str) -> int:
    tell(f"fabula: {as_called(' '.join(message.split()))}", stderr=True)
    return 2


def _help_without_styles() -> None:
    """Typer draws its help with rich, which takes the colours away for NO_COLOR but leaves the bold letters."""
    from typer import rich_utils

    rich_utils.COLOR_SYSTEM = None
