"""What became of runs: the health of each by one stated rule, which are unfinished, and what was found in several."""

from collections.abc import Sequence
from dataclasses import dataclass

from fabula.record.finding import Finding
from fabula.record.wording import seeds_text, slug
from fabula.study.views import LadderView, PhaseView, RunView

STATES = ("healthy", "not judged", "with warnings", "failed", "not finished", "not there")
"""Every state of a run, in the order in which they are told."""


def health_of(view: RunView) -> str:
    """One of STATES: the verdict of the findings, and whether the run came to its end."""
    if view.diagnosis is None:
        return "not there"
    if view.diagnosis.verdict == "failed":
        return "failed"
    if view.diagnosis.verdict == "warning":
        return "with warnings"
    if not (view.finished or view.of("log_format")):
        return "not finished"
    return view.diagnosis.verdict


def lost_its_loss(view: RunView) -> bool:
    """Whether the loss left its level for more than a moment: a divergence, or values that are not finite."""
    if view.diagnosis is None:
        return False
    ended = [finding for finding in view.diagnosis.of("non_finite") if finding.severity == "failure"]
    return bool(view.diagnosis.of("divergence") or ended)


def state_text(view: RunView) -> str:
    """What became of a run that did not finish."""
    if view.run is None:
        return view.problem
    step = int(view.last.get("step", 0))
    planned = view.of("steps")
    return f"{view.run.status} at step {step:,}" + (f" of {planned:,}" if planned else "")


def unfinished_of(phase: PhaseView) -> list[tuple[str, str]]:
    """Seeds and what became of them, for the runs of a phase that are in no comparison."""
    states: dict[str, list[int]] = {}
    for view in phase.runs:
        if not view.finished:
            states.setdefault(state_text(view), []).append(view.seed)
    return [(seeds_text(seeds), state) for state, seeds in states.items()]


@dataclass(frozen=True)
class FoundGroup:
    """One kind of finding in one phase of a tier, over its seeds."""

    tier: str
    phase: str
    kind: str
    found: tuple[tuple[RunView, Finding], ...]

    @property
    def foreign(self) -> bool:
        """Found in a log of another program, which has no seeds."""
        return bool(self.found[0][0].of("log_format"))

    @property
    def anchor(self) -> str:
        return slug("finding", self.tier, self.phase, self.kind)

    @property
    def severity(self) -> str:
        order = ("good", "note", "warning", "failure")
        return max((finding.severity for _, finding in self.found), key=order.index)

    @property
    def seeds(self) -> list[int]:
        return list(dict.fromkeys(view.seed for view, _ in self.found))


def found_groups(ladder: LadderView) -> list[FoundGroup]:
    """Every finding of every run, grouped; in the order of tiers, phases and steps."""
    groups: dict[tuple[str, str, str], list[tuple[RunView, Finding]]] = {}
    for view in ladder.runs:
        for finding in view.diagnosis.findings if view.diagnosis else ():
            groups.setdefault((view.tier, view.phase, finding.kind), []).append((view, finding))
    return [FoundGroup(*key, tuple(found)) for key, found in groups.items()]


@dataclass(frozen=True)
class Unchecked:
    """Kinds that could not be looked for in some of the runs, for one reason."""

    lacks: str
    kinds: tuple[str, ...]
    num_runs: int


def unchecked(views: Sequence[RunView]) -> list[Unchecked]:
    """What was not checked: kinds together that lack the same in the same runs."""
    runs_of: dict[tuple[str, str], list[int]] = {}
    for number, view in enumerate(views):
        for silent in view.diagnosis.silent if view.diagnosis else ():
            for kind in silent.kinds:
                runs_of.setdefault((silent.lacks, kind), []).append(number)
    together: dict[tuple[str, tuple[int, ...]], list[str]] = {}
    for (lacks, kind), runs in runs_of.items():
        together.setdefault((lacks, tuple(dict.fromkeys(runs))), []).append(kind)
    return [Unchecked(lacks, tuple(kinds), len(runs)) for (lacks, runs), kinds in together.items()]
