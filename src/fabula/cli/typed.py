"""The command as it was typed, to be typed again."""

import shlex
import sys


def typed(without: str = "") -> str:
    """This process's command, ready for a shell, less the argument `without`."""
    return shlex.join(["fabula", *(each for each in sys.argv[1:] if each != without)])
