"""What the system refuses: room, files, memory, and reads and writes of a failing disk."""

import resource
import shutil
import subprocess
import tempfile
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


def memory(random: Random) -> str:
    """Room for some megabytes more than this process has already, for any command, and for larger trainings."""
    fresh("limited")
    command = any_command(random)
    if random.random() < 0.4:
        command = ["generate", "whole", "--prompt", "A fox", "--max-tokens", "20"]
    elif command[0] == "train" and random.random() < 0.5:
        command += ["--set", f"batch.rows={random.choice([64, 512, 4096])}", "--steps", "2"]
    most = _address_space() + random.randrange(300 << 20)
    ended = forked(command, limits={resource.RLIMIT_AS: most})
    if not ended.clean or "--set" in command:
        return "" if ended.clean else f"{command[0]}: code {ended.code}, {ended.last}"
    return judged(command, ended)


def _address_space() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmSize"))


def small_disk(random: Random) -> str:
    """A disk that is really full, where root may mount one: it goes on when there is room again."""
    fresh("limited")
    place = Path("small")
    place.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={random.randrange(16, 600)}k", "tmpfs", str(place)]
    subprocess.run(mount, check=True)
    try:
        command = random.choice([[*TRAIN, "small/run"], [*EXPORT, "small/run"], [*PREPARE, "small/run"]])
        ended = forked(command)
        if not ended.clean:
            return f"{command[0]}: code {ended.code}, {ended.last}"
        subprocess.run(["mount", "-o", "remount,size=64m", str(place)], check=True)
        if command[0] == "train":
            return ends_alike(place / "run")
        if ended.code and (again := forked(command)).code:
            return f"{command[0]}, with room: {again.last}"
        return ""
    finally:
        subprocess.run(["umount", str(place)], check=True)


def can_mount() -> bool:
    """Whether this process may mount a disk of its own."""
    with tempfile.TemporaryDirectory() as place:
        command = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", place]
        if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
            return False
        return subprocess.run(["umount", place], capture_output=True).returncode == 0


full = limited(resource.RLIMIT_FSIZE, 1 << 10, 1 << 18)
descriptors = limited(resource.RLIMIT_NOFILE, 8, 40)
