"""The runs of a report, sorted into tiers, phases and seeds: what is there, what is missing, what is unfinished."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from fabula.errors import InputError
from fabula.findings import Flags
from fabula.record.foreign import STDIN, read_sources
from fabula.record.ladders.described import read_described
from fabula.record.ladders.frozen import PLAN_FILE, Frozen, read_frozen
from fabula.record.ladders.unsealed import Unsealed, read_unsealed
from fabula.record.live.stamp import Stamp
from fabula.record.reader import find_runs, is_of_others, is_run, read_run
from fabula.study.grouping.content import content_of
from fabula.study.grouping.groups import Group, Grouping, grouped
from fabula.study.inference.sequential import until_told
from fabula.study.live.memory import Memory
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


def read_ladder(paths: Sequence[Path], flags: Flags | None = None, memory: Memory | None = None) -> LadderView:
    """Read run folders, ladder folders, folders that hold runs, and logs of other programs, which `flags` are for.
    With a `memory`, only what has changed since it was asked last is read.

    Raises InputError for a path that is none of these, and for a damaged run that was named itself. Within a ladder
    a missing or damaged run is shown as such.
    """
    live, memory = memory is not None, memory or Memory()
    entries: list[_Entry] = []
    loose: list[Path] = []
    foreign: list[Path] = []
    logs: list[TierView] = []
    changes: dict[str, str] = {}
    includes: dict[str, tuple[str, ...]] = {}
    plan: dict[str, Any] = {}
    frozen: Frozen | None = None
    unsealed: Unsealed | None = None
    named = [path for path in paths if path.is_dir() and is_run(path)]
    for path in paths:
        if (path / "ladder.json").is_file():
            plan, frozen, unsealed = _read_plan(path), _read_frozen(path), read_unsealed(path)
            changes.update({phase["name"]: phase.get("change") or "" for phase in plan["phases"]})
            includes.update({phase["name"]: tuple(phase.get("includes") or ()) for phase in plan["phases"]})
            entries.extend(_planned(path, plan))
        elif path.is_dir() and (own := [each for each in find_runs(path) if not is_of_others(each)]):
            loose.extend(own)
            foreign += [each for each in find_runs(path) if each not in own]
        else:
            foreign.append(path)
    for path in foreign:
        taken = tuple(tier.name for tier in logs)
        logs.append(memory.recall(taken, path, partial(_foreign, path, flags, taken, live)))
    entries = list({entry.path.resolve(): entry for entry in entries}.values())
    grouping = _loose(loose, entries)
    of_ladders = {entry.tier for entry in entries}
    here = {(group.tier, group.phase, run.seed) for group in grouping.groups for run in group.runs if run.path in loose}
    entries = [entry for entry in entries if (entry.tier, entry.phase, entry.seed) not in here]
    entries += [
        _Entry(group.tier, group.phase, run.seed, run.path)
        for group in grouping.groups
        for run in group.runs
        if run.path in loose
    ]
    views = [memory.recall(entry, entry.path, partial(_view, entry, entry.path in named)) for entry in entries]
    everything = [*views, *(view for tier in logs for view in tier.runs)]
    name = str(plan.get("name") or (everything[0].path.name if len(everything) == 1 else "runs"))
    differs = {(each.tier, each.phase): each.change for each in grouping.groups if each.differs}
    tiers = _sorted(views, changes, includes, differs, of_ladders)
    ladder = ask(LadderView(name, tiers, plan, frozen, unsealed, grouping=grouping if loose else Grouping()))
    return replace(ladder, tiers=(*ladder.tiers, *logs))


def _foreign(path: Path, flags: Flags | None, taken: Sequence[str], live: bool, stamp: Stamp) -> TierView:
    """What other programs logged at `path`: each run a phase, by the name of its file or chart. `live`: it is read
    again and again, and what is half written now is whole the next time."""
    runs, left_out = read_sources(path, flags.columns if flags else None, growing=live and stamp.written)
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
    plan = read_described(path)
    until_told(plan)  # refuses what is damaged
    return plan


def _read_frozen(path: Path) -> Frozen | None:
    """What was planned before; that it is the plan with which the runs were begun, ladder.json says."""
    frozen, begun = read_frozen(path), _read_plan(path).get("plan_hash")
    if frozen is None:
        return (
            Frozen(problem=f"{PLAN_FILE}, with which these runs were begun, is not there any more") if begun else None
        )
    if not frozen.problem and begun is not None and begun != frozen.hash:
        return Frozen(problem=f"{PLAN_FILE} is another one than that with which these runs were begun")
    return frozen


def _planned(path: Path, plan: dict[str, Any]) -> list[_Entry]:
    told = until_told(plan)
    if told is not None:
        return [
            _Entry(*place, seed, path / "runs" / place[0] / place[1] / f"seed-{seed}")
            for place, num in told.now.items()
            for seed in range(num)
        ]
    return [
        _Entry(tier, phase["name"], seed, path / "runs" / tier / phase["name"] / f"seed-{seed}")
        for tier in plan["tiers"]
        for phase in plan["phases"]
        for seed in range(1 if plan.get("seeds") is None else plan["seeds"])
    ]


def _loose(folders: Sequence[Path], planned: Sequence[_Entry]) -> Grouping:
    """The runs that come by themselves, each once, beside those of a ladder."""
    known = {entry.path.resolve() for entry in planned}
    different = {folder.resolve(): folder for folder in folders if folder.resolve() not in known}
    places: dict[tuple[str, str], list[Path]] = {}
    for entry in planned if different else ():
        places.setdefault((entry.tier, entry.phase), []).append(entry.path)
    groups = [
        Group(tier, phase, tuple(content_of(path) for path in there if is_run(path)))
        for (tier, phase), there in places.items()
    ]
    return grouped([content_of(folder) for folder in different.values()], groups)


def _view(entry: _Entry, strict: bool, stamp: Stamp) -> RunView:
    if not is_run(entry.path):
        return RunView(entry.tier, entry.phase, entry.seed, entry.path, None, "not run yet")
    try:
        view = RunView(entry.tier, entry.phase, entry.seed, entry.path, read_run(entry.path))
        assert view.run is not None and view.diagnosis is not None  # a recipe that cannot be read shows here
        assert view.run.stories is not None  # and a damaged evaluation
        return view
    except InputError as error:
        if strict:
            raise
        return RunView(entry.tier, entry.phase, entry.seed, entry.path, None, str(error))


def _sorted(
    views: list[RunView],
    changes: dict[str, str],
    includes: dict[str, tuple[str, ...]],
    differs: dict[tuple[str, str], str],
    planned: set[str],
) -> tuple[TierView, ...]:
    """Tiers and phases in the ladder's order, else in the order in which they come. `differs`: in what a phase that
    comes by itself differs; `planned`: the tiers of a ladder."""
    tiers = list(dict.fromkeys(view.tier for view in views))
    order = list(changes) or list(KNOWN_ORDER)
    result = []
    for tier in tiers:
        names = list(dict.fromkeys(view.phase for view in views if view.tier == tier))
        names.sort(key=lambda name: order.index(name) if name in order else len(order))
        phases = tuple(
            PhaseView(
                name,
                changes.get(name, "") or differs.get((tier, name), ""),
                tuple(
                    sorted(
                        (view for view in views if (view.tier, view.phase) == (tier, name)), key=lambda view: view.seed
                    )
                ),
                includes.get(name, ()),
            )
            for name in names
        )
        in_order = tier in planned or all(name in KNOWN_ORDER for name in names)
        result.append(TierView(tier, phases, in_order=in_order))
    return tuple(result)
