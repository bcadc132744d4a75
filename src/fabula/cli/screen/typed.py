"""The command as it was typed, to be typed again, and other commands as they can be typed here."""

import re
import shlex
import shutil
import sys
from pathlib import Path

from fabula.record.content.arguments import without_secrets

VERBS = (
    "demo|prepare|plan|train|ladder|generate|play|evaluate|diagnose|report|watch|compare|verify|unseal|export|push|"
    "recipes"
)
OURS = re.compile(rf"(?<![\w./\\-])fabula (?=(?:{VERBS})\b)")


def program() -> str:
    """How this program is called here: `fabula` where the shell finds it by this name, else as it was called, such as
    `.venv/bin/fabula` (after `make` nothing has put it on the path) or `python -m fabula`."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py" and called.parent.name == "fabula":
        return f"{shlex.quote(sys.orig_argv[0])} -m fabula"
    found = shutil.which("fabula")
    if called.stem != "fabula" or not called.is_file() or (found is not None and called.samefile(found)):
        return "fabula"
    return shlex.quote(str(called))


def as_called(text: str) -> str:
    """`text`, in which commands begin with `fabula`, with each of them as it can be typed here."""
    name = program()
    return text if name == "fabula" else OURS.sub(lambda _: f"{name} ", text)


def typed(without: str = "") -> str:
    """This process's command, ready for a shell, less the argument `without`; as a record keeps it, it begins with
    `fabula`, and has no secrets."""
    return shlex.join(["fabula", *(each for each in without_secrets(sys.argv[1:]) if each != without)])
