"""Cells and counts that several parts of a page share: a mean with its seeds, and the health of runs."""

from collections.abc import Iterable, Sequence

from fabula.findings.kinds import KINDS
from fabula.record.wording import DOT, NONE, kind_words, loss_text, plural, seeds_text
from fabula.report.render.blocks import Rich, Span, joined, quiet, rich, strong, toned
from fabula.report.tones import HEALTH_TONES
from fabula.study.health import STATES, health_of
from fabula.study.inference.statistics import mean_of
from fabula.study.views import RunView

RULE = (
    "Health says how the training went, not how good the model is. A run failed when its loss rose and did not come "
    "back or stopped being a number, its gradients exploded, it learned nothing, or it ended with an error. It has "
    "warnings when something else was found that usually costs quality. It is healthy when neither was found, and "
    "not judged when its loss has too few points to look at."
)
MOST_NAMED = 3
"""Recipes that a sentence names; the findings name all."""


def seeds_line(values: Sequence[float | None]) -> Span:
    """Every seed's own value below the mean; nothing for a single seed."""
    known = [value for value in values if value is not None]
    return quiet(DOT.join(loss_text(value) for value in known) if len(known) > 1 else "", own_line=True)


def mean_cell(values: Sequence[float | None]) -> Rich:
    """The mean, and below it the value of every seed."""
    mean = mean_of(values)
    return rich(strong(loss_text(mean)) if mean is not None else NONE, seeds_line(values))


def health_cell(views: Iterable[RunView], name_phase: bool) -> Rich:
    """How many runs are in which state, a line a state; what is wrong, with recipe, seeds and kind."""
    runs = list(views)
    spans: list[Span] = []
    for state in STATES:
        there = [view for view in runs if health_of(view) == state]
        if not there:
            continue
        if len(runs) == 1:
            diagnosis = runs[0].diagnosis
            said = state
            if diagnosis and state == "not judged":
                said = f"not judged: {diagnosis.unjudged}"
            elif diagnosis and diagnosis.caveat and state == "healthy":
                said = f"healthy, but {diagnosis.caveat}"
        elif len(there) == len(runs):
            said = f"all {plural(len(runs), 'run')} {state}"
        else:
            said = f"{len(there)} of {plural(len(runs), 'run')} {state}"
        if state in ("failed", "with warnings"):
            said += f" ({_named(there, state, name_phase and len(runs) > 1, len(runs) > 1)})"
        spans.append(toned(said, HEALTH_TONES[state], own_line=bool(spans)))
    return rich(*spans) if spans else rich(toned("not run", "unknown"))


def health_counts(views: Iterable[RunView]) -> Rich:
    """The same in short: `10 healthy, 2 failed`."""
    states = [health_of(view) for view in views]
    there = [state for state in STATES if state in states]
    if len(states) > 1 and len(there) == 1:
        return rich(toned(f"all {len(states)} {there[0]}", HEALTH_TONES[there[0]]))
    return joined([toned(f"{states.count(state)} {state}", HEALTH_TONES[state]) for state in there])


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
