"""The run that is meant where none is named: the newest one under runs/."""

from pathlib import Path

RUNS = Path("runs")
DEEPEST = 3
"""Folders below runs/ that are looked into: runs/basic/packed/2 is the deepest place for a run."""


def named_or_newest(run: Path | None, *, ladders: bool = False) -> Path:
    """`run`, or the newest run under runs/ (or ladder, with `ladders`), of which a line on stderr tells.

    Raises InputError where there is none.
    """
    from fabula.cli.screen.terminal import tell
    from fabula.errors import InputError

    if run is not None:
        return run
    found = _find(RUNS, ladders, DEEPEST)
    if not found:
        raise InputError(
            f"no run is named, and there is none under {RUNS}/ here (a training that was refused leaves none); "
            "make one with `fabula train --minutes 3`, or name one"
        )
    newest = max(found)[1]
    tell(f"[{newest}, the newest of {len(found)} under {RUNS}/]" if len(found) > 1 else f"[{newest}]", stderr=True)
    return newest


def _find(folder: Path, ladders: bool, depth: int) -> list[tuple[float, Path]]:
    """Every run under `folder` and the time of its last word about itself."""
    found = []
    for each in sorted(folder.iterdir()) if folder.is_dir() else []:
        if (each / "run.json").is_file():
            found.append(((each / "run.json").stat().st_mtime, each))
        elif (each / "ladder.json").is_file():  # its runs are many, and none of them is meant more than another
            found += [((each / "ladder.json").stat().st_mtime, each)] if ladders else []
        elif depth > 1 and each.is_dir():
            found += _find(each, ladders, depth - 1)
    return found
