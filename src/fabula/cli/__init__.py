"""The command line: the roof, which alone knows both wings.

Commands import what they need inside their bodies, so that `fabula --help` loads no library but Typer.
"""

import sys

import typer

from fabula.cli.demo import demo
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
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Train small language models from scratch, and show with evidence what made them good.",
)
for command in (demo, prepare, train, ladder, generate, report, export, recipes):
    app.command()(command)

MAKING = {"torch", "tokenizers", "tiktoken", "pyarrow"}
"""What the extra `train` installs beside the base package."""


def main() -> None:
    """Run the command line. Wrong input: one line, exit 2. A stop from the keyboard: exit 130."""
    try:
        app()
    except InputError as error:
        print(f"fabula: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except ModuleNotFoundError as error:
        if error.name not in MAKING:
            raise
        print(f"fabula: this command needs {error.name}; install it with: pip install 'fabula[train]'", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("fabula: stopped", file=sys.stderr)
        raise SystemExit(130) from None
