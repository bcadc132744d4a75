"""The lines of judgements.jsonl as sessions: what was asked, what was answered, what was not."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from fabula.record.sessions.judgements import MARKS

COMPLETION = "completion"
TRUE = "true"
INJECTED = "injected"
PAIR_CONTROL = "pair control"
AGAINST = "against"


@dataclass(frozen=True)
class Marked:
    """One story with its four marks."""

    of: str
    prompt: str
    role: str
    marks: Mapping[str, int]
    twin: str = ""
    injection: str = ""
    repeat: int = 0
    age_group: str = ""
    reason: str = ""

    @property
    def overall(self) -> float:
        """The mean of the four."""
        return sum(self.marks[name] for name in MARKS) / len(MARKS)


@dataclass(frozen=True)
class Chosen:
    """Which of two stories the judge found better."""

    role: str
    prompt: str
    first: str
    second: str
    better: Literal["first", "second", "equal"]
    twin: str = ""


@dataclass(frozen=True)
class Session:
    """One session of one judge."""

    name: str
    judge: str
    url: str
    rubric: str
    step: int
    against: str
    started: str
    planned: int
    ended: str
    """`whole`; or why it came to no end; empty where its process did not live to say it."""
    dollars: float | None
    marked: tuple[Marked, ...]
    chosen: tuple[Chosen, ...]
    failures: Mapping[str, int]
    """Why there is no answer -> to how many questions."""

    @property
    def answered(self) -> int:
        return len(self.marked) + len(self.chosen)

    def of_role(self, role: str, repeat: int = 0) -> list[Marked]:
        return [each for each in self.marked if each.role == role and each.repeat == repeat]


def sessions_of(lines: Iterable[Mapping[str, Any]]) -> list[Session]:
    """Every session, in the order in which they began. Lines that are no whole answer are left out."""
    by_name: dict[str, list[Mapping[str, Any]]] = {}
    for line in lines:
        by_name.setdefault(line["session"], []).append(line)
    found = (_session(name, each) for name, each in by_name.items())
    return [each for each in found if each is not None]


def _session(name: str, lines: Sequence[Mapping[str, Any]]) -> Session | None:
    begun = next((line for line in lines if line["kind"] == "session"), None)
    if begun is None:
        return None
    end = next((line for line in lines if line["kind"] == "end"), {})
    return Session(
        name=name,
        judge=begun.get("judge") or "unknown",
        url=begun.get("url") or "",
        rubric=begun.get("rubric") or "",
        step=begun.get("step") or 0,
        against=begun.get("against") or "",
        started=begun.get("started") or "",
        planned=begun.get("planned") or 0,
        ended=end.get("ended") or "",
        dollars=end.get("dollars"),
        marked=tuple(each for each in map(_marked, lines) if each is not None),
        chosen=tuple(each for each in map(_chosen, lines) if each is not None),
        failures=Counter(line["failure"] for line in lines if line.get("failure")),
    )


def _marked(line: Mapping[str, Any]) -> Marked | None:
    marks = line.get("marks") or {}
    if line["kind"] != "marks" or not all(1 <= marks.get(name, 0) <= 10 for name in MARKS):
        return None
    return Marked(
        of=line.get("of") or "",
        prompt=line.get("prompt") or "",
        role=line.get("role") or "",
        marks=marks,
        twin=line.get("twin") or "",
        injection=line.get("injection") or "",
        repeat=line.get("repeat") or 0,
        age_group=line.get("age_group") or "",
        reason=line.get("reason") or "",
    )


def _chosen(line: Mapping[str, Any]) -> Chosen | None:
    better = line.get("better")
    if line["kind"] != "pair" or better not in ("first", "second", "equal"):
        return None
    names = (line.get("role") or "", line.get("prompt") or "", line.get("first") or "", line.get("second") or "")
    return Chosen(*names, better, twin=line.get("twin") or "")
