"""What became of a run: the cell "Stability" by a stated rule, what is unfinished, and findings grouped for a page."""

from collections.abc import Iterable
from dataclasses import dataclass

from fabula.record.finding import Finding
from fabula.report.blocks import Rich, Span, Tone, rich, toned
from fabula.report.views import LadderView, PhaseView, RunView
from fabula.report.wording import seeds_text, slug

RULE = (
    "Stability of a run: no spikes, if no loss curve left its level; spikes, if one did and was back within two "
    "evaluations or 2 % of the run; recovered, if that took longer; diverged, if the loss did not come back, or the "
    "record ends in a value that is not finite. A run that failed in another way is named by it: gradients exploded, "
    "learned nothing, or failed with an error."
)
EPISODES = ("divergence", "spike", "non_finite", "gradient_explosion")
"""Kinds that get a row of their own in the timeline."""
FAILED = {
    "divergence": "diverged",
    "non_finite": "diverged",
    "gradient_explosion": "gradients exploded",
    "plateau": "learned nothing",
}
"""What a failed run is called, by the kinds that are failures. The verdict counts these failures too, so that the two
never disagree."""
STOPPED = "failed"
"""Any other failure: the run ended with an error."""
CALM = "no spikes"
NOT_KNOWN = "not known"
TONES: dict[str, Tone] = {
    **dict.fromkeys([*FAILED.values(), STOPPED], "failure"),
    "recovered": "warning",
    "spikes": "warning",
    CALM: "good",
    NOT_KNOWN: "unknown",
}


def stability_of(view: RunView) -> str:
    """One of TONES. A run has a failure here exactly where its verdict is `failed`."""
    if view.diagnosis is None:
        return NOT_KNOWN
    diagnosis = view.diagnosis
    failures = {finding.kind for finding in diagnosis.findings if finding.severity == "failure"}
    if failures:
        return next((word for kind, word in FAILED.items() if kind in failures), STOPPED)
    if diagnosis.of("divergence"):
        return "recovered"
    if diagnosis.of("spike", "non_finite"):
        return "spikes"
    return CALM if diagnosis.of("stable") else NOT_KNOWN


def stability_cell(views: Iterable[RunView], name_phase: bool) -> Rich:
    """How many runs were what, the worst named with phase and seeds."""
    runs = [view for view in views if view.run is not None]
    spans: list[Span] = []
    for state, tone in TONES.items():
        there = [view for view in runs if stability_of(view) == state]
        if not there:
            continue
        told = f"{state} in {len(there)} of {len(runs)} runs" if len(runs) > 1 else state
        if state not in (CALM, NOT_KNOWN) and len(runs) > 1:
            told += f" ({_named(there, name_phase)})"
        spans.append(toned(told, tone, own_line=bool(spans)))
    return rich(*spans) if spans else rich(toned("not run", "unknown"))


def _named(views: list[RunView], name_phase: bool) -> str:
    phases = list(dict.fromkeys(view.phase for view in views))
    parts = []
    for phase in phases:
        seeds = seeds_text([view.seed for view in views if view.phase == phase])
        parts.append(f"{phase}, {seeds}" if name_phase else seeds)
    return "; ".join(parts)


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
