"""Rules on the global gradient norm, taken before clipping."""

import numpy as np

from fabula.findings.curves.episodes import block_medians
from fabula.findings.curves.humps import Hump, hump_of
from fabula.findings.curves.rates import climbs
from fabula.findings.facts import Curve, Facts
from fabula.findings.rule import Outcome, Silent, number, rule, share
from fabula.record.finding import Finding

MIN_POINTS = 20
"""Fewer norms show no trend."""
START_PART = 0.1
"""The start is the first tenth of the run."""
START_FACTOR = 3.0
"""A norm three times the later one at the start is the usual spike of an untrained model."""
GROWTH_FACTOR = 2.0
"""The norm doubled between the middle of the run and its end: the loss surface is getting steeper, often before a
divergence. A slow rise below that is common late in healthy runs."""
EXPLOSION_FACTOR = 50.0
"""Fifty times the usual norm in several steps is more than one unusual batch; clipping then hides a broken run."""
EXPLOSION_STEPS = 3
RISEN_FACTOR = 4.0
"""... and has risen to that: the first fall of a norm may end at a fiftieth of what it is after the first tenth."""
NUM_LEVELS = 9
"""Medians over ninths of the second half are its level: single steps scatter by tens of per cent."""
SETTLED_SPREAD = 0.5
"""Settled: over the second half the norm's level changes by less than half of itself."""
DOMINATES = 0.5
"""If more than half of the later steps are cut to less than half, clipping sets their size. A norm that lies
just above the clip is scaled by a factor near 1, which AdamW, dividing by its own average, hardly notices."""
CUT_FACTOR = 2.0


def _ends(curve: Curve) -> tuple[int, int]:
    return int(curve.steps[0]), int(curve.steps[-1])


def _norms(facts: Facts) -> Curve | Silent:
    curve = facts.grad_norm
    if curve is None or len(curve.finite) < MIN_POINTS:
        return Silent(f"needs the gradient norm of {MIN_POINTS} steps or more")
    return curve.finite


@rule
def norms(facts: Facts) -> Outcome:
    curve = _norms(facts)
    if isinstance(curve, Silent):
        return curve
    first, last = float(curve.steps[0]), float(curve.steps[-1])
    start_end = first + START_PART * (last - first)
    start, later = curve.part(first, start_end), curve.part(start_end, last)
    half = block_medians(curve.part(first + 0.5 * (last - first), last), NUM_LEVELS)
    second = half.values
    if len(later) < 5 or len(second) < 4:
        return Silent(f"needs the gradient norm of {MIN_POINTS} steps or more")
    median = float(np.median(later.values))
    found = []
    if len(start) and start.values.max() >= START_FACTOR * median:
        at = int(start.steps[int(np.argmax(start.values))])
        found.append(
            Finding(
                kind="gradient_spike_at_start",
                scope="run",
                severity="note",
                steps=_ends(start),
                evidence={"peak": float(start.values.max()), "peak_step": at, "later_median": median},
                sentence=f"The gradient norm was high at the start (up to {number(float(start.values.max()))}, at step "
                f"{at:,}) and fell to about {number(median)}. This is usual for an untrained model.",
            )
        )
    usual = float(np.quantile(later.values, 0.25))  # a norm that stays exploded must not become what is usual
    levels = block_medians(curve)
    lowest = np.r_[levels.values[0], np.minimum.accumulate(levels.values)]
    before = lowest[np.searchsorted(levels.steps, later.steps, "left")]
    is_high = later.values > EXPLOSION_FACTOR * max(usual, 1e-12)
    exploded = later.steps[is_high & (later.values > RISEN_FACTOR * before)]
    if len(exploded) >= EXPLOSION_STEPS:
        return [*found, _explosion(later, exploded, usual)]
    middle, end = float(second[:2].mean()), float(second[-2:].mean())
    if median == 0.0:
        return found  # a column of zeros is no gradient: it neither grows nor settles
    if end >= GROWTH_FACTOR * middle:
        found.append(_growth(half, middle, end))
    elif second.max() - second.min() <= SETTLED_SPREAD * np.median(second):
        found.append(
            Finding(
                kind="gradient_settled",
                scope="run",
                severity="good",
                steps=_ends(half),
                evidence={"low": float(second.min()), "high": float(second.max())},
                sentence=f"In the second half of the run the gradient norm stayed between "
                f"{number(float(second.min()))} and {number(float(second.max()))}.",
            )
        )
    return found


def _explosion(later: Curve, exploded: np.ndarray, usual: float) -> Finding:
    worst = int(np.argmax(later.values))
    return Finding(
        kind="gradient_explosion",
        scope="run",
        severity="failure",
        steps=(int(exploded[0]), int(exploded[-1])),
        evidence={
            "peak": float(later.values[worst]),
            "peak_step": int(later.steps[worst]),
            "usual": usual,
            "num_steps": len(exploded),
        },
        sentence=f"The gradient norm exploded: it reached {number(float(later.values[worst]))} at step "
        f"{int(later.steps[worst]):,}; usual in this run is {number(usual)}.",
        alternatives=(
            "the learning rate is too high",
            "a number became too large for the precision used (overflow)",
            "a damaged batch",
        ),
        try_="resume from a checkpoint before it with half the learning rate: if the norm stays low, the learning rate "
        "was the cause",
    )


def _growth(half: Curve, middle: float, end: float) -> Finding:
    return Finding(
        kind="gradient_growth",
        scope="run",
        severity="warning",
        steps=_ends(half),
        evidence={"middle": middle, "end": end, "factor": round(end / max(middle, 1e-12), 3)},
        sentence=f"The gradient norm grew from about {number(middle)} in the middle of the run to {number(end)} at "
        "its end.",
        alternatives=(
            "the learning rate is too high for this stage",
            "the weights grow, because weight decay is too weak",
            "the loss is low, and a few stories dominate the gradient",
        ),
        try_="repeat the last fifth from its checkpoint with a third of the learning rate, and compare the norms",
    )


@rule
def clipping(facts: Facts) -> Outcome:
    curve = _norms(facts)
    if isinstance(curve, Silent):
        return curve  # a threshold would not help
    if facts.clip is None:
        return Silent("needs the clipping threshold", option="--clip")
    if facts.clip == 0:
        return []
    later = curve.part(START_PART * curve.steps[-1], curve.steps[-1])
    clipped = float((later.values > CUT_FACTOR * facts.clip).mean()) if len(later) else 0.0
    if clipped <= DOMINATES:
        return []
    median = float(np.median(later.values))
    return [
        Finding(
            kind="clipping_dominates",
            scope="run",
            severity="warning",
            steps=_ends(later),
            evidence={"clip": facts.clip, "share_cut_by_half": round(clipped, 4), "median_norm": median},
            sentence=f"After the start, {share(clipped)} of the steps had a gradient norm above "
            f"{number(CUT_FACTOR * facts.clip)} and were clipped to {number(facts.clip)}; the median norm before "
            f"clipping is {number(median)}. So the clipping, not the schedule, sets how far a step goes.",
            alternatives=(
                "the clipping threshold is lower than the usual norm of this model",
                "the norm is high because the loss is scaled",
            ),
            try_="raise the threshold to twice the median norm, with the same seed: compare the final losses",
        )
    ]


@rule
def hump(facts: Facts) -> Outcome:
    """A norm that rises slowly in the midst of the run, and falls again."""
    curve = _norms(facts)
    if isinstance(curve, Silent):
        return curve
    found = hump_of(curve, _warmed_up(facts))
    return [] if found is None else [_hump(facts, found)]


def _warmed_up(facts: Facts) -> float:
    """The step at which a recorded learning rate has reached its first peak; 0 where there is none."""
    rate = facts.learning_rate.finite if facts.learning_rate is not None else None
    if rate is None or not len(rate):
        return 0.0
    return float(rate.steps[int(np.argmax(rate.values >= 0.99 * rate.values.max()))])


def _hump(facts: Facts, hump: Hump) -> Finding:
    rate = facts.learning_rate.finite if facts.learning_rate is not None else None
    raised = [
        f"the learning rate was raised from {number(each.low)} to {number(each.high)} by step {each.end:,}"
        for each in (climbs(rate) if rate is not None and len(rate) else [])
        if each.start < hump.top_step and each.end > hump.from_step - 0.1 * (hump.top_step - hump.from_step)
    ]
    return Finding(
        kind="gradient_hump",
        scope="run",
        severity="note",
        steps=(hump.from_step, hump.back_step),
        evidence={
            "from": hump.low,
            "from_step": hump.from_step,
            "top": hump.top,
            "top_step": hump.top_step,
            "back_step": hump.back_step,
            "end": hump.end,
            "factor": round(hump.top / max(hump.low, 1e-12), 3),
        },
        sentence=f"After its first fall the gradient norm rose again, from {number(hump.low)} at step "
        f"{hump.from_step:,} to {number(hump.top)} at step {hump.top_step:,} ({number(hump.top / hump.low)} times as "
        f"much), and was down again by step {hump.back_step:,}; it ended at {number(hump.end)}.",
        alternatives=(
            *raised,
            "the learning rate was too high for this stage, and the loss surface became steeper",
            "the model was learning something new in these steps",
            "other data in these steps",
        ),
        try_="repeat these steps with half the learning rate and the same seed: if the norm stays low, the rate was "
        "the cause",
    )
