"""SIGKILL, again and again, at any moment."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

from harm.trials import forked as children
from harm.trials.forked import forked, start
from harm.trials.place import EXPORT, PREPARE, REPORT, TRAIN, Trial, differs, ends_alike, fresh, seconds

from fabula.data.dataset import open_dataset
from fabula.model.load import read_weights
from fabula.record.reader import find_runs

LADDER = (
    'name = "mine"\ntiers = ["tiny.toml"]\nseeds = 1\n'
    '[[phases]]\nname = "plain"\nchange = "none"\nset = {}\n'
    '[[phases]]\nname = "cut"\nchange = "less clipping"\nset = {"optimizer.clip" = 0.5}\n'
)
LADDER_SECONDS = 60.0
"""After which it must have ended, or its workers without it."""


def training(random: Random) -> str:
    fresh("killed")
    for _ in range(random.choice([1, 3, 30])):
        again = Path("killed", "run.json").is_file()
        ended = forked(
            [*TRAIN, "killed", "--resume"] if again else [*TRAIN, "killed"], kill_after=random.uniform(0.01, seconds())
        )
        if ended.code == 0:
            return differs(Path("killed"))
        if ended.code != -9:
            return ended.last
    return ends_alike(Path("killed"))


def preparation(random: Random) -> str:
    fresh("fresh")
    command = [*PREPARE, "fresh"]
    for _ in range(random.randrange(1, 4)):
        forked(command, kill_after=random.uniform(0.01, 1.0))
    there = Path("fresh").exists()
    ended = forked(command)
    if ended.code != 0 and not there:
        return ended.last
    open_dataset(Path("fresh")).split("train")
    return "litter is left" if list(Path().glob(".fresh*partial")) else ""


def export(random: Random) -> str:
    fresh("out")
    for _ in range(random.randrange(1, 4)):
        forked([*EXPORT, "out"], kill_after=random.uniform(0.005, 0.5))
    if Path("out").exists():
        return "" if (Path("out") / "config.json").is_file() and read_weights(Path("out/model.safetensors")) else "half"
    ended = forked([*EXPORT, "out"])
    return "" if ended.code == 0 else ended.last


def report(random: Random) -> str:
    fresh("page")
    for _ in range(random.randrange(1, 3)):
        forked([*REPORT, "page.html"], kill_after=random.uniform(0.01, 2.0))
        for name in ("page.html", "page.md"):
            if Path(name).exists() and not Path(name).read_text(encoding="utf-8").endswith("\n"):
                return f"half of {name}"
    return ""


def two_writers(random: Random) -> str:
    """One of them trains, the other is refused in a line that names it."""
    fresh("both")
    other = start([*TRAIN, "both"], Path("log-1"))
    time.sleep(random.uniform(0.0, 0.6 * seconds()))
    mine = forked([*TRAIN, "both"], Path("log-2"))
    _, status = os.waitpid(other, 0)
    codes = sorted([mine.code, os.waitstatus_to_exitcode(status)])
    return differs(Path("both")) if codes == [0, 2] else f"codes {codes}: {mine.last}"


def ladder(which: str) -> Trial:
    """Kill a ladder with two workers, or one of its workers; the same call then makes what is missing."""

    def trial(random: Random) -> str:
        fresh("rungs")
        write_ladder()
        process = start_ladder("rungs")
        wait_for_runs(process, Path("rungs"), random)
        workers = children_of(process.pid)
        doomed = process.pid if which == "parent" else random.choice(workers or [process.pid])
        if process.poll() is None:
            os.kill(doomed, signal.SIGKILL)
            children.killed += 1
        process.wait(LADDER_SECONDS)
        if which == "worker" and process.returncode not in (0, 2, -9):
            return f"code {process.returncode}"
        if left := outliving(workers):
            return f"{len(left)} workers train on"
        again = start_ladder("rungs")
        if again.wait(4 * LADDER_SECONDS):
            return f"code {again.returncode} of the next call: {Path('log-ladder').read_text()[-200:]}"
        return ladder_differs(Path("rungs"))

    return trial


def write_ladder() -> None:
    Path("ladder.toml").write_text(LADDER, encoding="utf-8")


def start_ladder(out: str) -> "subprocess.Popen[bytes]":
    command = ["ladder", "ladder.toml", "--data", "stories", "--out", out, "--workers", "2"]
    with open("log-ladder", "wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "fabula", *command], stdout=log, stderr=log, start_new_session=True
        )


def wait_for_runs(process: "subprocess.Popen[bytes]", out: Path, random: Random) -> None:
    """Until a run is in the making, and a while longer; now and then not even until then."""
    early = random.random() < 0.2
    deadline = time.monotonic() + LADDER_SECONDS
    while process.poll() is None and time.monotonic() < deadline and not early and not list(out.glob("runs/*/*/*")):
        time.sleep(0.01)
    time.sleep(random.uniform(0.0, 5.0 if early else 1.5 * seconds()))


def children_of(process: int) -> list[int]:
    """Those of Python's own that share out the work are none."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
            command = status.with_name("cmdline").read_bytes()
        except OSError:
            continue
        if int(fields[1]) == process and b"spawn_main" in command:
            found.append(int(status.parent.name))
    return found


def outliving(workers: list[int]) -> list[int]:
    """Of them those that are still there after LADDER_SECONDS."""
    deadline = time.monotonic() + LADDER_SECONDS
    while (left := [each for each in workers if _lives(each)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def _lives(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def ladder_differs(out: Path) -> str:
    """From the ladder that nothing happened to, which is made when it is first asked for."""
    if not Path("whole-ladder", "report.html").is_file():
        fresh("whole-ladder")
        assert start_ladder("whole-ladder").wait(4 * LADDER_SECONDS) == 0, Path("log-ladder").read_text()
    runs = find_runs(Path("whole-ladder"))
    assert len(runs) == 2
    for run in runs:
        if wrong := differs(out / run.relative_to("whole-ladder"), run):
            return f"{run.relative_to('whole-ladder')}: {wrong}"
    return ""
