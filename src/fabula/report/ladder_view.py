"""The runs of a report, sorted into tiers, phases and seeds: what is there, what is missing, what is unfinished."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from fabula.errors import InputError
from fabula.findings import Diagnosis, Facts, Flags, diagnose
from fabula.findings.effects import Effect, Final, effect, with_holm
from fabula.findings.facts import facts_of_run
from fabula.record.foreign import STDIN, read_sources
from fabula.record.reader import Run, find_runs, is_run, read_run

KNOWN_ORDER = ("baseline", "init", "cosine", "packed")
"""The seeds' phases in their order, for runs that come without a ladder."""


@dataclass(frozen=True)
class RunView:
    """One place of the ladder. `run` is None where it is missing or cannot be read; `problem` says why."""

    tier: str
    phase: str
    seed: int
    path: Path
    run: Run | None
    problem: str = ""
    flags: Flags | None = None
    """What a log of another program cannot say by itself."""

    @cached_property
    def facts(self) -> Facts | None:
        return facts_of_run(self.run, self.flags) if self.run is not None else None

    @cached_property
    def diagnosis(self) -> Diagnosis | None:
        return diagnose(self.run, self.flags) if self.run is not None else None

    @property
    def finished(self) -> bool:
        return self.run is not None and self.run.status == "finished"

    @property
    def info(self) -> dict[str, Any]:
        return self.run.info if self.run is not None else {}

    def of(self, *keys: str) -> Any:
        """A value of run.json by its path of keys; None where any of them is missing."""
        value: Any = self.info
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    @cached_property
    def final(self) -> dict[str, float]:
        """The last full evaluation of a finished run: column -> finite value; empty where there is none."""
        if not self.finished or self.run is None:
            return {}
        full = self.run.full_evals()
        if not len(full["step"]) or full["step"][-1] == 0:
            return {}
        return {name: float(values[-1]) for name, values in full.items() if math.isfinite(values[-1])}

    @cached_property
    def last(self) -> dict[str, float]:
        """The last value of every column; where steps and evaluations both have one, that of the steps, which go on
        longer: what the run had done when its record ends."""
        values: dict[str, float] = {}
        if self.run is not None:
            for columns in (self.run.evals, self.run.train):
                values.update({name: float(column[-1]) for name, column in columns.items() if len(column)})
        return {name: value for name, value in values.items() if math.isfinite(value)}

    @property
    def start_loss(self) -> float | None:
        """Loss before the first update, on the ruler of the curve; None where the record begins later."""
        curve = self.facts.val_loss if self.facts is not None else None
        if curve is None or curve.steps[0] != 0 or not math.isfinite(curve.values[0]):
            return None
        return float(curve.values[0])

    def _course(self) -> np.ndarray:
        if self.facts is None or self.facts.val_loss is None:
            return np.array([])
        return self.facts.val_loss.finite.values

    @property
    def best_loss(self) -> float | None:
        """Lowest loss on the ruler of the curve; None without a curve."""
        values = self._course()
        return float(values.min()) if len(values) else None

    @property
    def worst_loss(self) -> float | None:
        values = self._course()
        return float(values.max()) if len(values) else None

    @property
    def seconds(self) -> float | None:
        recorded = self.of("timings", "training_seconds")
        return float(recorded) if recorded is not None else self.last.get("seconds")


@dataclass(frozen=True)
class PhaseView:
    name: str
    change: str
    runs: tuple[RunView, ...]

    @property
    def read(self) -> list[RunView]:
        return [each for each in self.runs if each.run is not None]

    @property
    def counted(self) -> list[RunView]:
        """The runs that a mean may be taken over: the finished ones; all that can be read where none is."""
        return [each for each in self.runs if each.finished] or self.read

    @property
    def complete(self) -> list[RunView]:
        return [each for each in self.runs if each.final]

    def finals(self) -> list[Final]:
        return [_final(each) for each in self.complete]

    def final_losses(self, column: str = "val_loss") -> list[float]:
        return [each.final[column] for each in self.complete if column in each.final]


@dataclass(frozen=True)
class TierView:
    name: str
    phases: tuple[PhaseView, ...]
    effects: tuple[Effect, ...] = ()
    foreign: bool = False
    """Logs of another program, a phase each: shown together, compared with nothing."""

    @property
    def runs(self) -> list[RunView]:
        return [each for phase in self.phases for each in phase.runs]

    @property
    def first(self) -> RunView | None:
        return next((each for each in self.runs if each.run is not None), None)

    def lowest(self) -> PhaseView | None:
        """The phase whose final loss on `stream`, averaged over its seeds, is the lowest, of those that share a
        ruler with every other one."""
        done = [phase for phase in self.phases if phase.final_losses()]
        rulers = {each.of("rulers", "stream") for phase in done for each in phase.complete}
        if len(done) < 2 or len(rulers) > 1:
            return None
        return min(done, key=lambda phase: float(np.mean(phase.final_losses())))


@dataclass(frozen=True)
class LadderView:
    name: str
    tiers: tuple[TierView, ...]
    plan: dict[str, Any] = field(default_factory=dict)
    """ladder.json, where there is one."""

    @property
    def runs(self) -> list[RunView]:
        return [each for tier in self.tiers for each in tier.runs]

    @property
    def own(self) -> "LadderView":
        """The runs that fabula made."""
        return replace(self, tiers=tuple(tier for tier in self.tiers if not tier.foreign))

    @property
    def logs(self) -> list[TierView]:
        """The logs of other programs."""
        return [tier for tier in self.tiers if tier.foreign]

    @property
    def effects(self) -> list[Effect]:
        return [each for tier in self.tiers for each in tier.effects]

    @property
    def num_seeds(self) -> int:
        """Seeds of the phase that has the most."""
        return max((len(phase.runs) for tier in self.tiers for phase in tier.phases), default=0)

    @property
    def num_paired_seeds(self) -> int:
        """The most seeds that any two neighbouring phases have both finished."""
        return max((len(each.seeds) for each in self.effects), default=0)


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
    plan: dict[str, Any] = {}
    named = [path for path in paths if path.is_dir() and is_run(path)]
    for path in paths:
        if (path / "ladder.json").is_file():
            plan = _read_plan(path)
            changes.update({phase["name"]: phase.get("change", "") for phase in plan["phases"]})
            entries.extend(_planned(path, plan))
        elif path.is_dir() and (runs := find_runs(path)):
            entries.extend(_entry_of(run) for run in runs)
        else:
            logs.append(_foreign(path, flags, [tier.name for tier in logs]))
    entries = _apart(entries)
    views = [_view(entry, strict=entry.path in named) for entry in entries]
    everything = [*views, *(view for tier in logs for view in tier.runs)]
    name = str(plan.get("name") or (everything[0].path.name if len(everything) == 1 else "runs"))
    return LadderView(name, (*_with_effects(_sorted(views, changes)), *logs), plan)


def _foreign(path: Path, flags: Flags | None, taken: Sequence[str]) -> TierView:
    """What other programs logged at `path`: each run a phase, by the name of its file or chart."""
    runs, _ = read_sources(path)
    name = path.resolve().name if path != STDIN else "standard input"
    if name in taken:
        name = str(path)
    names: list[str] = []
    for run in runs:
        below = run.path.relative_to(path).as_posix() if run.path.is_relative_to(path) else run.path.name
        given = str(run.info.get("name") or (below if below != "." else name))
        names.append(given if given not in names else f"{given} ({len(names) + 1})")
    views = [RunView(name, given, 0, run.path, run, flags=flags) for given, run in zip(names, runs, strict=True)]
    return TierView(name, tuple(PhaseView(view.phase, "", (view,)) for view in views), foreign=True)


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


def _sorted(views: list[RunView], changes: dict[str, str]) -> tuple[TierView, ...]:
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
            )
            for name in names
        )
        result.append(TierView(tier, phases))
    return tuple(result)


def _final(view: RunView) -> Final:
    columns = {"stream": "val_loss", "story": "val_loss_story"}
    losses = {protocol: view.final[column] for protocol, column in columns.items() if column in view.final}
    rulers = {protocol: str(view.of("rulers", protocol)) for protocol in columns}
    return Final(view.seed, losses, rulers, view.final.get("positions", math.nan))


def _with_effects(tiers: tuple[TierView, ...]) -> tuple[TierView, ...]:
    """Each phase against the one before it; one Holm table over the whole ladder."""
    effects = [
        effect(tier.name, before.name, after.name, before.finals(), after.finals())
        for tier in tiers
        for before, after in zip(tier.phases[:-1], tier.phases[1:], strict=True)
    ]
    adjusted = with_holm(effects)
    return tuple(
        TierView(tier.name, tier.phases, tuple(each for each in adjusted if each.tier == tier.name)) for tier in tiers
    )
