"""`fabula.compare` and `fabula.report`: what several runs show, as a decision and as a page."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from fabula.api.html import page_html
from fabula.api.paths import Where, flags_of, path_of
from fabula.errors import InputError
from fabula.findings import Flags
from fabula.report import write_comparison, write_parts, write_report
from fabula.study.referee.comparing import Comparison, judge
from fabula.study.referee.deciding import Decision, Terms
from fabula.study.referee.members import parse_groups, read_groups
from fabula.study.referee.summary import as_json
from fabula.study.referee.value import Asked, By, Loss
from fabula.study.referee.words import OF_DECISION, reason

Paths = Where | Sequence[Where]


@dataclass(frozen=True)
class Page:
    """A page that was written, and what it says as values."""

    path: Path
    values: dict[str, Any]
    parts: tuple[Path, ...] = ()
    """Files for a paper, where they were asked for."""

    @property
    def twin(self) -> Path:
        """The same in Markdown."""
        return self.path.with_suffix(".md")

    def _repr_html_(self) -> str:
        return page_html(self.path.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Compared:
    """Groups of runs against the first of them; `values` has every number."""

    comparison: Comparison
    page: Path | None = None

    @property
    def decision(self) -> Decision:
        """`keep`, `discard`, `more_seeds` or `incomparable`; of several groups, whether any of them is to be kept."""
        return self.comparison.decision

    @property
    def decisions(self) -> dict[str, Decision]:
        return {each.name: each.judged.decision for each in self.comparison.others if each.judged is not None}

    @property
    def reasons(self) -> dict[str, str]:
        """What each decision stands on, in a sentence."""
        return {each.name: reason(each, self.comparison) for each in self.comparison.others}

    @property
    def values(self) -> dict[str, Any]:
        """What `fabula compare --json` prints."""
        return as_json(self.comparison)

    def _repr_html_(self) -> str:
        items = (
            f"<li><code>{escape(name)}</code>: <b>{OF_DECISION[decision]}</b>: {escape(self.reasons[name])}</li>"
            for name, decision in self.decisions.items()
        )
        return f"<ul>{''.join(items)}</ul>"


def compare(
    groups: Mapping[str, Paths] | Sequence[str],
    *,
    out: Where | None = None,
    detect: float | None = None,
    look: str = "1/2",
    most: int = 8,
    value: Loss | None = None,
    by: By | None = None,
    last: int = 1,
    columns: Mapping[str, str] | str | None = None,
) -> Compared:
    """Keep a change, discard it, or make more runs? `groups`: name -> paths or globs, the base first (or as they are
    typed, `NAME=PATHS`). The other arguments are the options of `fabula compare`; `out` writes a page.

    Raises InputError for paths that hold no run, and for runs that would count twice.
    """
    number, looks = looks_of(look)
    compared = judge(
        read_groups(_paths(groups), flags_of(None, None, None, False, columns).columns),
        Terms(detect, number, looks, most),
        Asked(value, by, last),
    )
    page = None if out is None else page_at(path_of(out))
    if page is not None:
        write_comparison(compared, page)
    return Compared(compared, page)


def report(
    *paths: Where,
    out: Where = "report.html",
    to: Where | None = None,
    vocab: int | None = None,
    clip: float | None = None,
    accumulation: int | None = None,
    from_scratch: bool = False,
    columns: Mapping[str, str] | str | None = None,
) -> Page:
    """One page of any number of runs, ladders and logs, written to `out` with its Markdown twin beside it; where
    `out` is a folder, or has no ending, as its index.html. `to`: a folder for a paper, with figures and tables.

    Raises InputError for a path that holds no record, and for an `out` that ends in anything but .html.
    """
    if not paths:
        raise InputError("no run is named; give the path of a run, a ladder or a log")
    flags = flags_of(vocab, clip, accumulation, from_scratch, columns)
    return report_with([path_of(each) for each in paths], path_of(out), None if to is None else path_of(to), flags)


def page_at(out: Path) -> Path:
    """Where the page goes: into a folder (one that exists, or a name without an ending) as its index.html, so that any
    host of static pages shows it."""
    return out / "index.html" if out.is_dir() or not out.suffix else out


def report_with(paths: Sequence[Path], out: Path, to: Path | None, flags: Flags) -> Page:
    out = page_at(out)
    parts = write_parts(paths, to, flags) if to is not None else []
    return Page(out, write_report(paths, out, flags), tuple(parts))


def looks_of(text: str) -> tuple[int, int]:
    """`1/2`: the first of two looks. Raises InputError for what is not written so."""
    number, sign, looks = text.partition("/")
    if not sign or not (number.strip().isdecimal() and looks.strip().isdecimal()) or len(text) > 9:
        raise InputError(f'--look "{text}" is not K/N; write 1/2 for the first of two looks, then 2/2')
    return int(number), int(looks)


def _paths(groups: Mapping[str, Paths] | Sequence[str]) -> Mapping[str, Sequence[str]]:
    if not isinstance(groups, Mapping):
        return parse_groups([groups] if isinstance(groups, str) else list(groups))
    return {name: [str(path_of(each)) for each in _several(paths)] for name, paths in groups.items()}


def _several(paths: Paths) -> Sequence[Where]:
    return [paths] if isinstance(paths, (str, os.PathLike)) else paths
