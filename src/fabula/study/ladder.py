"""The runs of a report, sorted into tiers, phases and seeds: what is there, what is missing, what is unfinished."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fabula.errors import InputError
from fabula.findings import Flags
from fabula.record.foreign import STDIN, read_sources
from fabula.record.reader import find_runs, is_run, read_run
from fabula.study.questions import ask
from fabula.study.views import LadderView, PhaseView, RunView, TierView

KNOWN_ORDER = ("baseline", "init", "cosine", "packed")
"""The original phases in their order, for runs that come without a ladder."""


@dataclass(frozen=True)
class _Entry:
    tier: str
    phase: str
    seed: int
    path: Path


def read_ladder(paths: Sequence[Path], flags: Flags | None = None) -> LadderView:
    """Read run folders, ladder folders, folders that hold runs, and logs of other programs, which `flags` are for.

    Raises InputError for a path that is none of these, and for a damaged run that was named itself. Within a ladder
    a missing or damaged run is shown as such.
    """
    entries: list[_Entry] = []
    logs: list[TierView] = []
    changes: dict[str, str] = {}
    includes: dict[str, tuple[str, ...]] = {}
    plan: dict[str, Any] = {}
    named = [path for path in paths if path.is_dir() and is_run(path)]
    for path in paths:
        if (path / "ladder.json").is_file():
            plan = _read_plan(path)
            changes.update({phase["name"]: phase.get("change", "") for phase in plan["phases"]})
            includes.update({phase["name"]: tuple(phase.get("includes", ())) for phase in plan["phases"]})
            entries.extend(_planned(path, plan))
        elif path.is_dir() and (runs := find_runs(path)):
            entries.extend(_entry_of(run) for run in runs)
        else:
            logs.append(_foreign(path, flags, [tier.name for tier in logs]))
    entries = _apart(entries)
    views = [_view(entry, strict=entry.path in named) for entry in entries]
    everything = [*views, *(view for tier in logs for view in tier.runs)]
    name = str(plan.get("name") or (everything[0].path.name if len(everything) == 1 else "runs"))
    ladder = ask(LadderView(name, _sorted(views, changes, includes), plan))
    return replace(ladder, tiers=(*ladder.tiers, *logs))


def _foreign(path: Path, flags: Flags | None, taken: Sequence[str]) -> TierView:
    """What other programs logged at `path`: each run a phase, by the name of its file or chart."""
    runs, left_out = read_sources(path, flags.columns if flags else None)
    name = path.resolve().name if path != STDIN else "standard input"
    if name in taken:
        name = str(path)
    name = name.encode(errors="replace").decode()
    names: list[str] = []
    for run in runs:
        below = run.path.relative_to(path).as_posix() if run.path.is_relative_to(path) else run.path.name
        given = str(run.info.get("name") or (below if below != "." else name))
        given = given.encode(errors="replace").decode()  # a file's name may hold bytes that are not UTF-8
        names.append(given if given not in names else f"{given} ({len(names) + 1})")
    views = [RunView(name, given, 0, run.path, run, flags=flags) for given, run in zip(names, runs, strict=True)]
    phases = tuple(PhaseView(view.phase, "", (view,)) for view in views)
    return TierView(name, phases, foreign=True, unread=tuple(each.why for each in left_out))


def _read_plan(path: Path) -> dict[str, Any]:
    try:
        plan = json.loads((path / "ladder.json").read_text(encoding="utf-8"))
        assert_shape = isinstance(plan, dict) and all(key in plan for key in ("tiers", "phases"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path / 'ladder.json'} cannot be read ({error}); run `fabula ladder` again") from error
    if not assert_shape:
        raise InputError(f"{path / 'ladder.json'} lacks tiers or phases; run `fabula ladder` again")
    return plan


def _planned(path: Path, plan: dict[str, Any]) -> list[_Entry]:
    return [
        _Entry(str(tier), str(phase["name"]), seed, path / "runs" / str(tier) / str(phase["name"]) / f"seed-{seed}")
        for tier in plan["tiers"]
        for phase in plan["phases"]
        for seed in range(int(plan.get("seeds", 1)))
    ]


def _entry_of(folder: Path) -> _Entry:
    """Tier, phase and seed of a run that comes by itself, from its run.json."""
    try:
        info = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        info = {}  # what is wrong with it is said where the run is read
    tier, _, phase = str(info.get("recipe", folder.name) if isinstance(info, dict) else folder.name).partition("/")
    seed = info.get("seed", 0) if isinstance(info, dict) else 0
    return _Entry(tier, phase or tier, int(seed) if isinstance(seed, (int, float)) else 0, folder)


def _apart(entries: list[_Entry]) -> list[_Entry]:
    """Two runs of one recipe and seed are told apart by the names of their folders."""
    seen: dict[tuple[str, str, int], _Entry] = {}
    result: list[_Entry] = []
    for entry in entries:
        if any(entry.path.resolve() == other.path.resolve() for other in result):
            continue  # given twice
        key = (entry.tier, entry.phase, entry.seed)
        if key in seen:
            entry = _Entry(entry.tier, f"{entry.phase} ({entry.path.name})", entry.seed, entry.path)
        seen[key] = entry
        result.append(entry)
    return result


def _view(entry: _Entry, strict: bool) -> RunView:
    if not is_run(entry.path):
        return RunView(entry.tier, entry.phase, entry.seed, entry.path, None, "not run yet")
    try:
        view = RunView(entry.tier, entry.phase, entry.seed, entry.path, read_run(entry.path))
        assert view.diagnosis is not None  # a recipe that cannot be read shows here
        return view
    except InputError as error:
        if strict:
            raise
        return RunView(entry.tier, entry.phase, entry.seed, entry.path, None, str(error))


def _sorted(
    views: list[RunView], changes: dict[str, str], includes: dict[str, tuple[str, ...]]
) -> tuple[TierView, ...]:
    """Tiers and phases in the ladder's order, else in the order in which they come."""
    tiers = list(dict.fromkeys(view.tier for view in views))
    order = list(changes) or list(KNOWN_ORDER)
    result = []
    for tier in tiers:
        names = list(dict.fromkeys(view.phase for view in views if view.tier == tier))
        names.sort(key=lambda name: order.index(name) if name in order else len(order))
        phases = tuple(
            PhaseView(
                name,
                changes.get(name, ""),
                tuple(
                    sorted(
                        (view for view in views if (view.tier, view.phase) == (tier, name)), key=lambda view: view.seed
                    )
                ),
                includes.get(name, ()),
            )
            for name in names
        )
        result.append(TierView(tier, phases))
    return tuple(result)
