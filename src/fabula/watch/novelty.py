"""Which findings are new: told once each, also where an episode's steps move a little as the record grows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fabula.findings.kinds import KINDS
from fabula.record.finding import Finding

SAME_PLACE = 0.02
"""Share of the run's steps by which the begin of one and the same episode may move from one reading to the next, and
from a run to its resumption."""


@dataclass(frozen=True)
class Told:
    """A finding that was told. `run`: by which its run is known where several are told of together."""

    run: str
    kind: str
    severity: str
    begins: int
    ends: int

    @classmethod
    def of(cls, run: str, finding: Finding) -> "Told":
        begins, ends = finding.steps or (0, 0)
        return cls(run, finding.kind, finding.severity, begins, ends)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Told":
        """Raises KeyError, TypeError and ValueError for what is no such thing."""
        run, kind, severity = (str(value[name]) for name in ("run", "kind", "severity"))
        return cls(run, kind, severity, int(value["begins"]), int(value["ends"]))

    def covers(self, other: "Told", last_step: int) -> bool:
        """Whether `other` is the same again. An episode may come a second time, elsewhere, and so may an end before
        the time; all else is said once."""
        if (self.run, self.kind, self.severity) != (other.run, other.kind, other.severity):
            return False
        if self.kind != "interrupted" and not (self.kind in KINDS and KINDS[self.kind].is_episode):
            return True
        slack = max(1.0, SAME_PLACE * last_step)
        return self.begins - slack <= other.begins <= self.ends + slack


def was_told(finding: Finding, run: str, last_step: int, told: Sequence[Told]) -> bool:
    return any(each.covers(Told.of(run, finding), last_step) for each in told)


def new_among(findings: Iterable[Finding], run: str, last_step: int, told: Sequence[Told]) -> list[Finding]:
    """Those that were not told before."""
    return [finding for finding in findings if not was_told(finding, run, last_step, told)]
