"""`fabula evaluate` without a process of its own."""

import typer
from typer.testing import CliRunner

from fabula.cli.commands.evaluate import evaluate


def evaluate_command(*arguments: object) -> tuple[str, str]:
    """stdout and stderr of `fabula evaluate ARGUMENTS`; an InputError is raised as it is."""
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(evaluate)
    result = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout, result.stderr
