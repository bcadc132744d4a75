"""What the system refuses: room, files, memory, and reads and writes of a failing disk."""

import resource
from pathlib import Path
from random import Random

from harm.trials.forked import Ended, forked
from harm.trials.place import EXPORT, PREPARE, REPORT, TRAIN, Trial, ends_alike, fresh


def limited(which: int, least: int, most: int) -> Trial:
    """Any command under a limit: done, or refused in words, and what it had written before is sound."""

    def trial(random: Random) -> str:
        fresh("limited")
        command = any_command(random)
        ended = forked(command, limits={which: random.randint(least, most)})
        return judged(command, ended)

    return trial


def any_command(random: Random) -> list[str]:
    return random.choice(
        [
            [*TRAIN, "limited"],
            [*EXPORT, "limited"],
            [*REPORT, "limited.html"],
            [*PREPARE, "limited"],
            ["diagnose", "whole"],
        ]
    )


def judged(command: list[str], ended: Ended) -> str:
    """Words and no traceback; a training goes on later as if nothing had happened."""
    if not ended.clean:
        return f"{command[0]}: code {ended.code}, {ended.last}"
    if ended.code == 2 and not ended.last.startswith("fabula: "):
        return f"{command[0]}: its last line is {ended.last}"
    return ends_alike(Path("limited")) if command[0] == "train" else ""


full = limited(resource.RLIMIT_FSIZE, 1 << 10, 1 << 18)
descriptors = limited(resource.RLIMIT_NOFILE, 8, 40)
