"""A finding: one claim with its evidence. What the reading wing derives, and what the page prints."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Scope = Literal["recipe", "run", "ladder", "completions"]
Severity = Literal["good", "note", "warning", "failure"]
Verdict = Literal["healthy", "not judged", "warning", "failed"]
"""From the best to the worst: of a run that could not be judged nobody can say that it is well."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One claim with the numbers that carry it.

    `steps` is the inclusive range [first, last] the claim speaks of, in optimizer updates; None where a
    claim has no place in time. Warnings and failures name the possible causes (`alternatives`) and the one
    cheapest experiment that tells them apart (`try_`, written as "try").
    """

    kind: str
    scope: Scope
    severity: Severity
    sentence: str
    steps: tuple[int, int] | None = None
    evidence: dict[str, Any] = field(default_factory=dict)
    alternatives: tuple[str, ...] = ()
    try_: str = ""

    def __post_init__(self) -> None:
        if self.severity in ("warning", "failure"):
            assert self.alternatives and self.try_, f"{self.kind}: a {self.severity} names causes and an experiment"

    def as_json(self) -> dict[str, Any]:
        document = asdict(self)
        document["try"] = document.pop("try_")
        document["steps"] = list(self.steps) if self.steps else None
        document["alternatives"] = list(self.alternatives)
        return document


def verdict(findings: list[Finding], judged: bool = True) -> Verdict:
    """A run's verdict: the worst severity among its findings. Where nothing speaks against it, it is healthy only if
    its loss could be judged."""
    severities = {finding.severity for finding in findings}
    if "failure" in severities:
        return "failed"
    if "warning" in severities:
        return "warning"
    return "healthy" if judged else "not judged"
