"""Rules on a learning rate that is raised again after its warmup: a jump, a second schedule, restarts."""

import math

from fabula.findings.curves.rates import Climb, climbs
from fabula.findings.facts import Facts
from fabula.findings.rule import Outcome, Silent, number, plural, rule
from fabula.findings.rules.settings.schedule import MIN_POINTS, RISE_TOLERANCE
from fabula.record.finding import Finding


@rule
def raised_again(facts: Facts) -> Outcome:
    curve = facts.learning_rate
    if facts.follows_recipe:
        return Silent("applies only to rates that no recipe plans")
    if curve is None or len(curve.finite) < MIN_POINTS:
        return Silent(f"needs the learning rate at {MIN_POINTS} steps or more")
    resumed = [int(event["step"]) for event in facts.events if event.get("event") == "resumed"]
    # A jump at a resume has a rule of its own.
    found = [
        each
        for each in climbs(curve.finite)
        if not (each.at_once and any(each.start <= step <= each.end for step in resumed))
    ]
    above = [each for each in found if each.high > each.earlier_peak * (1.0 + RISE_TOLERANCE)]
    if above:
        return [_raised(above)]
    return [_restarts(found)] if found else []


def _evidence(found: list[Climb]) -> dict[str, object]:
    first = found[0]
    return {
        "times": len(found),
        "before": first.low,
        "after": first.high,
        "factor": round(first.times, 3) if math.isfinite(first.times) else None,
        "climbs": [(each.start, each.end, each.low, each.high) for each in found],
    }


def _fold(times: float) -> str:
    return f"{times:,.0f}-fold" if times >= 10 else f"{times:.2g}-fold"


def _raised(found: list[Climb]) -> Finding:
    first = found[0]
    size = f" {_fold(first.times)}" if math.isfinite(first.times) else ""
    told = f"from {number(first.low)} to {number(first.high)}"
    if first.at_once:
        sentence = f"The learning rate jumped{size} at step {first.end:,}, {told}."
    else:
        sentence = f"The learning rate rose again between steps {first.start:,} and {first.end:,}, {told}."
    more = f" It was raised {plural(len(found) - 1, 'more time')} later." if len(found) > 1 else ""
    return Finding(
        kind="lr_raised",
        scope="run",
        severity="warning",
        steps=(first.end if first.at_once else first.start, found[-1].end),
        evidence=_evidence(found),
        sentence=sentence + more,
        alternatives=(
            "a second training with a schedule of its own stands in the same log",
            "the schedule was set up anew instead of restored",
            "the rate was raised on purpose",
        ),
        try_=f"look up what was started or changed at step {first.end:,}; train from the checkpoint before it once "
        "with the old rate: compare the losses",
    )


def _restarts(found: list[Climb]) -> Finding:
    first = found[0]
    how_often = "once" if len(found) == 1 else f"{len(found)} times, first"
    where = f"at step {first.end:,}" if first.at_once else f"from step {first.start:,} to {first.end:,}"
    return Finding(
        kind="lr_restarts",
        scope="run",
        severity="note",
        steps=(first.start, found[-1].end),
        evidence=_evidence(found),
        sentence=f"After it had fallen, the learning rate was raised again {how_often} {where} (from "
        f"{number(first.low)} to {number(first.high)}), never above its earlier peak, as in a schedule with restarts.",
    )
