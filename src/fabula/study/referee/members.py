"""The groups that are compared: which runs are meant by `NAME=PATHS`, and that each counts once."""

import glob
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import combinations
from pathlib import Path

import numpy as np

from fabula.errors import InputError
from fabula.findings import Facts
from fabula.findings.facts import facts_of_run, is_foreign
from fabula.record.foreign import LeftOut, read_sources
from fabula.record.foreign.listing import read_listing
from fabula.record.reader import Run
from fabula.study.grouping.content import Content, content_of, differing

WITHIN = "::"
"""Between a file and the names of the runs in it that are meant: `chart.csv::base-*`."""
EXAMPLE = "base=runs/old-* new=runs/new-*"
FEWEST_ALIKE = 3
"""Values that two runs must share before they are taken for one: a single one may agree by rounding."""


@dataclass(frozen=True)
class Member:
    """One run of a group."""

    label: str
    run: Run

    @property
    def foreign(self) -> bool:
        return is_foreign(self.run)

    @property
    def seed(self) -> int | None:
        """None where nobody knows: logs of other programs do not say it."""
        seed = self.run.info.get("seed")
        return None if self.foreign or not isinstance(seed, int) else seed

    @cached_property
    def facts(self) -> Facts:
        return facts_of_run(self.run)

    @cached_property
    def content(self) -> Content:
        return content_of(self.run.path)

    @property
    def key(self) -> tuple[Path, str]:
        """The place, and which run of that file."""
        return self.run.path.resolve(), self.label.removeprefix(str(self.run.path))


@dataclass(frozen=True)
class Group:
    name: str
    members: tuple[Member, ...]
    unread: tuple[str, ...] = ()
    """What lies beside its runs and is no log, and why."""


def read_groups(asked: Mapping[str, Sequence[str]], wanted: Mapping[str, str] | None = None) -> list[Group]:
    """Name -> paths as groups, the base first. A path is a run folder, a log, a folder of them, a glob of any of these,
    or FILE::NAMES for some of the runs in one file. `wanted`: canonical name -> column of the logs.

    Raises InputError for fewer than two groups, paths without a run, and a run that would count twice.
    """
    if len(asked) < 2:
        raise InputError(f"a comparison needs a base and one other group at least; for example {EXAMPLE}")
    groups = [_read(name, paths, wanted) for name, paths in asked.items()]
    _refuse_shared(groups)
    for group in groups:
        _refuse_mixture(group)
        _refuse_twins(group)
    return groups


def parse_groups(arguments: Sequence[str]) -> dict[str, list[str]]:
    """`base=runs/a,runs/b` as name -> paths. Raises InputError for what is not written so, and for a name twice."""
    asked: dict[str, list[str]] = {}
    for argument in arguments:
        name, sign, paths = argument.partition("=")
        name = name.strip()
        if not sign or not name or Path(argument).exists():
            raise InputError(f'"{argument}" names no group; write NAME=PATHS, for example {EXAMPLE}')
        if os.sep in name:
            raise InputError(f'"{argument}": a group\'s name is one word; write NAME=PATHS, for example {EXAMPLE}')
        if name in asked:
            raise InputError(f"the group {name} is given twice; write all of its paths at once: {name}=PATH,PATH")
        parts = [paths] if Path(paths).exists() else [part.strip() for part in paths.split(",")]
        asked[name] = [part for part in parts if part]
        if not asked[name]:
            raise InputError(f'"{argument}" names no path; write NAME=PATHS, for example {EXAMPLE}')
    return asked


def _read(name: str, paths: Sequence[str], wanted: Mapping[str, str] | None) -> Group:
    members: list[Member] = []
    unread: list[str] = []
    for text in paths:
        given, _, chosen = str(text).partition(WITHIN)
        for path in _matching(name, given):
            runs, left_out = _runs_at(path, wanted)
            if broken := [each.why for each in left_out if each.damaged]:
                raise InputError(f"{name}: {broken[0]}; a group without it would look better or worse than it is")
            unread += [each.why for each in left_out]
            members += _chosen(name, path, runs, chosen)
    return Group(name, tuple(members), tuple(unread))


def _runs_at(path: Path, wanted: Mapping[str, str] | None) -> tuple[list[Run], list[LeftOut]]:
    """The runs there; of a table with a line a run, what each came to."""
    try:
        return read_sources(path, wanted)
    except InputError as error:
        if runs := read_listing(path, error, wanted):
            return runs, []
        raise


def _matching(name: str, text: str) -> list[Path]:
    path = Path(text).expanduser()
    if path.exists() or text == "-":
        return [path]
    if not glob.has_magic(text):
        raise InputError(f"{name}: {text} does not exist; give run folders or logs")
    found = sorted(glob.glob(str(path), recursive=True))
    if not found:
        raise InputError(f"{name}: {text} matches nothing; look whether the runs have another name or place")
    return [Path(each) for each in found]


def _chosen(name: str, path: Path, runs: Sequence[Run], chosen: str) -> list[Member]:
    """The runs whose name, or a value in it, fits: `base-*`, and `base` for `variant base, seed 0`."""
    named: dict[str, Run] = {}
    for run in runs:
        own = str(run.info.get("name", "")) if is_foreign(run) else ""
        label = f"{run.path}{WITHIN}{own}" if own else str(run.path)
        named[label if label not in named else f"{label} ({len(named) + 1})"] = run
    if not chosen:
        return _unmixed(name, path, [Member(label, run) for label, run in named.items()])
    kept = [Member(label, run) for label, run in named.items() if _fits(str(run.info.get("name", "")), chosen)]
    if not kept:
        names = [str(run.info["name"]) for run in named.values() if run.info.get("name") and is_foreign(run)]
        there = f"its runs are called {'; '.join(names[:8])}" if names else "its runs have no names; leave :: out"
        raise InputError(f"{name}: no run of {path} is called {chosen}; {there}")
    return _unmixed(name, path, kept)


def _fits(name: str, chosen: str) -> bool:
    values = [part.partition(" ")[2] for part in name.split(", ")]
    return any(fnmatchcase(each, chosen) for each in (name, *values) if each)


def _unmixed(name: str, path: Path, members: list[Member]) -> list[Member]:
    """Raises InputError where a column of one file, other than the seed, says that its runs are of several kinds: one
    whose values come again and differ."""
    parts = [dict(part.split(" ", 1) for part in str(each.run.info.get("name", "")).split(", ") if " " in part)
             for each in members if each.foreign]  # fmt: skip
    for column in dict.fromkeys(column for part in parts for column in part):
        values = [part.get(column, "") for part in parts]
        kinds = list(dict.fromkeys(values))
        if column.lower() not in ("seed", "line") and 1 < len(kinds) < len(values):
            raise InputError(
                f"{name} takes runs of several kinds from {path} ({column} {', '.join(kinds[:4])}); choose with "
                f"{name}={path}{WITHIN}{kinds[0]}"
            )
    return members


def _refuse_shared(groups: Sequence[Group]) -> None:
    seen: dict[tuple[Path, str], str] = {}
    for group in groups:
        for member in group.members:
            if member.key not in seen:
                seen[member.key] = group.name
                continue
            where = f"twice in {group.name}" if seen[member.key] == group.name else f"in {seen[member.key]} and"
            where += "" if seen[member.key] == group.name else f" in {group.name}"
            raise InputError(f"{member.label} is {where}; a run counts once, in one group")


def _refuse_mixture(group: Group) -> None:
    """A group is one recipe: seeds of several would be a spread of recipes."""
    own = [member for member in group.members if not member.foreign and member.content.fields is not None]
    if fields := differing([member.content for member in own]):
        more = "" if len(fields) < 4 else f" and {len(fields) - 3} more"
        raise InputError(
            f"{group.name} holds runs of several recipes ({own[0].label} and others differ in "
            f"{', '.join(fields[:3])}{more}); give a group to each"
        )
    for one, other in combinations(own, 2):
        if one.seed == other.seed and one.content.measured == other.content.measured:
            raise InputError(
                f"{group.name}: {one.label} and {other.label} are the same recipe and seed ({one.seed}), which counts "
                "once; leave one of them out, or train another seed"
            )


def _refuse_twins(group: Group) -> None:
    seen: dict[bytes, str] = {}
    for member in group.members:
        columns = [values for part in (member.run.train, member.run.evals) for name, values in sorted(part.items())
                   if name in ("loss", "val_loss", "val_loss_subset", "train_loss")]  # fmt: skip
        if sum(map(len, columns)) < FEWEST_ALIKE:
            continue
        numbers = b"|".join(np.nan_to_num(values, nan=-1.0).tobytes() for values in columns)
        if numbers in seen:
            raise InputError(
                f"{group.name}: {seen[numbers]} and {member.label} hold the same numbers, so they are one run, or two "
                "of one seed, and count once; leave one out, give each run its own seed, or log more digits"
            )
        seen[numbers] = member.label
