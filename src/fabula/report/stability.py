"""What became of a run: its health by one stated rule, what is unfinished, and findings grouped for a page."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fabula.findings.kinds import KINDS
from fabula.record.finding import Finding
from fabula.report.render.blocks import Part, Rich, Span, Tone, rich, toned
from fabula.report.wording import kind_words, plural, seeds_text, slug
from fabula.study.views import LadderView, PhaseView, RunView

RULE = (
    "Health says how the training went, not how good the model is. A run failed when its loss rose and did not come "
    "back or stopped being a number, its gradients exploded, it learned nothing, or it ended with an error. It has "
    "warnings when something else was found that usually costs quality. It is healthy when neither was found."
)
HEALTH: dict[str, Tone] = {
    "healthy": "good",
    "with warnings": "warning",
    "failed": "failure",
    "not finished": "unknown",
    "not there": "unknown",
}
"""Every state of a run with its colour, in the order in which they are told."""
MOST_NAMED = 3
"""Recipes that a sentence names; the findings name all."""


def health_of(view: RunView) -> str:
    """One of HEALTH: the verdict of the findings, and whether the run came to its end."""
    if view.diagnosis is None:
        return "not there"
    if view.diagnosis.verdict == "failed":
        return "failed"
    if view.diagnosis.verdict == "warning":
        return "with warnings"
    return "healthy" if view.finished or view.of("log_format") else "not finished"


def health_cell(views: Iterable[RunView], name_phase: bool) -> Rich:
    """How many runs are in which state, a line a state; what is wrong, with recipe, seeds and kind."""
    runs = list(views)
    spans: list[Span] = []
    for state, tone in HEALTH.items():
        there = [view for view in runs if health_of(view) == state]
        if not there:
            continue
        if len(runs) == 1:
            diagnosis = runs[0].diagnosis
            said = (
                f"healthy, but {diagnosis.caveat}" if state == "healthy" and diagnosis and diagnosis.caveat else state
            )
        elif len(there) == len(runs):
            said = f"all {plural(len(runs), 'run')} {state}"
        else:
            said = f"{len(there)} of {plural(len(runs), 'run')} {state}"
        if state in ("failed", "with warnings"):
            said += f" ({_named(there, state, name_phase and len(runs) > 1, len(runs) > 1)})"
        spans.append(toned(said, tone, own_line=bool(spans)))
    return rich(*spans) if spans else rich(toned("not run", "unknown"))


def health_counts(views: Iterable[RunView]) -> Rich:
    """The same in short: `10 healthy, 2 failed`."""
    states = [health_of(view) for view in views]
    there = [(state, tone) for state, tone in HEALTH.items() if state in states]
    if len(states) > 1 and len(there) == 1:
        ((state, tone),) = there
        return rich(toned(f"all {len(states)} {state}", tone))
    spans: list[Part] = []
    for state, tone in there:
        spans += [", " if spans else "", toned(f"{states.count(state)} {state}", tone)]
    return rich(*spans)


def _named(views: Sequence[RunView], state: str, name_phase: bool, name_seeds: bool) -> str:
    """`baseline, seeds 0 and 1: gradient explosion; init, seed 2: spike`."""
    severity = "failure" if state == "failed" else "warning"
    groups: dict[tuple[str, str], list[int]] = {}
    for view in views:
        findings = view.diagnosis.findings if view.diagnosis else ()
        wrong = [each.kind for each in findings if each.severity == severity]
        kinds = dict.fromkeys(KINDS[kind].health or kind_words(kind) for kind in wrong)
        groups.setdefault((view.phase, ", ".join(kinds)), []).append(view.seed)
    parts = []
    for (phase, kinds_text), seeds in groups.items():
        of_a_log = all(view.of("log_format") for view in views)
        who = [phase] if name_phase else []
        who += [seeds_text(seeds)] if name_seeds and not of_a_log else []
        parts.append(f"{', '.join(who)}: {kinds_text}" if who else kinds_text)
    more = len(parts) - MOST_NAMED
    return "; ".join(parts[:MOST_NAMED]) + (f"; and {more} more" if more > 0 else "")


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
