"""Rules on instabilities: spikes, divergences, recoveries, and values that are not finite."""

import math
from dataclasses import replace

import numpy as np

from fabula.findings.causes import Shift, between, causes_of, experiment_of, shifts
from fabula.findings.curves.episodes import (
    MIN_POINTS,
    MIN_RISE_NATS,
    MIN_RISE_SHARE,
    NOISE_FACTOR,
    OVER_SHARE,
    Episode,
    block_medians,
    episodes,
)
from fabula.findings.curves.epochs import without_stairs
from fabula.findings.curves.noise import NEIGHBOURS
from fabula.findings.curves.short_curves import rise_of_few
from fabula.findings.facts import Curve, Facts
from fabula.findings.rule import Outcome, Silent, number, rule, share
from fabula.record.finding import Finding

SPIKE_EVALUATIONS = 2
"""A spike is back within two evaluations ..."""
SPIKE_SHARE_OF_RUN = 0.02
"""... or within 2 % of the run ..."""
SPIKE_STEPS = 10
"""... or within ten steps, whichever is longest; a longer rise cost training time and is a divergence."""
SLOW_RISE_SHARE = 0.15
"""On validation loss alone, a rise that needs more than 15 % of the run to reach its half is the slow climb of
overfitting, not an instability."""


@rule
def instabilities(facts: Facts) -> Outcome:
    curves = [curve for curve in facts.loss_curves if len(curve.finite) >= MIN_POINTS]
    if not curves:
        rise = rise_of_few(facts)
        return (
            _findings_of(rise, 0.0, facts) if rise else Silent(f"needs a loss curve with {MIN_POINTS} points or more")
        )
    whole = max(curve.steps[-1] for curve in curves) - min(curve.steps[0] for curve in curves)
    spacing = max((curve.spacing for curve in curves if curve.name != "loss"), default=0.0)
    longest_spike = max(SPIKE_EVALUATIONS * spacing, SPIKE_SHARE_OF_RUN * whole, SPIKE_STEPS)
    moved = [shift for curve in curves for shift in shifts(facts, curve)]
    parts = [(curve, part) for curve in curves for part in between(without_stairs(facts, curve), _rising(moved, curve))]
    merged = _merge(
        [each for curve, part in parts for each in episodes(part) if not _is_overfitting(each, curve, facts)]
    )
    findings = [finding for each in merged for finding in _findings_of(each, longest_spike, facts)]
    findings += _where_data_changes(moved, facts)
    lost = any(not np.isfinite(curve.values).all() for curve in facts.loss_curves)
    # A loss that never moves, or that no cross-entropy can have, is not praised for its calm.
    odd = any(curve.finite.values.min() < 0.0 or np.ptp(curve.finite.values) == 0.0 for curve in curves)
    if not findings and not lost and not odd:
        findings.append(_stable(curves))
    return findings


def _is_overfitting(episode: Episode, curve: Curve, facts: Facts) -> bool:
    """A rise of validation loss that training loss does not share is overfitting, which has its own rule."""
    if curve.name != "val_loss":
        return False
    training = facts.held_train_loss or facts.train_loss
    if training is not None and len(training.finite) >= MIN_POINTS:
        points = block_medians(training)
        before = points.part(-1.0, episode.first - 1)
        during = points.part(episode.first, episode.last + curve.spacing).values
        if not len(before) or not len(during):
            return False
        # Medians: of hundreds of noisy values the highest lies above the lowest whatever the loss does. Those of what
        # came before lie above the level where both losses still fell.
        beside = curve.finite.part(before.steps[-NEIGHBOURS:][0], episode.first - 1).values
        fell = max(0.0, float(np.median(beside)) - episode.level) if len(beside) else 0.0
        rose = float(np.median(during) - np.median(before.values[-NEIGHBOURS:]))
        return rose + fell < OVER_SHARE * episode.rise
    half = curve.finite.part(episode.first, episode.peak_step)
    reached = half.steps[half.values >= episode.level + 0.5 * episode.rise]
    return bool(len(reached)) and reached[0] - episode.first > SLOW_RISE_SHARE * facts.last_step


def _merge(found: list[Episode]) -> list[Episode]:
    """One episode for all curves that show it: what overlaps is one event, told by the curve that shows it best."""
    merged: list[Episode] = []
    for episode in sorted(found, key=lambda each: each.first):
        if merged and episode.first <= (merged[-1].over_at or math.inf):
            merged[-1] = _better(merged[-1], episode)
        else:
            merged.append(episode)
    return merged


def _better(first: Episode, second: Episode) -> Episode:
    """Of two views of one event that on the validation stories; an end that either of them misses stays missing."""
    above = first.ends_above or second.ends_above
    order = ["val_loss", "train_loss", "loss"]
    told = min(first, second, key=lambda each: (order.index(each.curve) if each.curve in order else 9, -each.rise))
    if first.over_at is None or second.over_at is None:
        worst = first if first.over_at is None else second
        return replace(told, last=max(told.last, worst.last), over_at=None, recovered_at=None)
    return replace(told, ends_above=above)


def _findings_of(episode: Episode, longest_spike: float, facts: Facts) -> list[Finding]:
    length = (episode.over_at if episode.over_at is not None else episode.last) - episode.first
    evidence = {
        "curve": episode.curve,
        "level_before": round(episode.level, 5),
        "peak": round(episode.peak, 5),
        "peak_step": episode.peak_step,
        "rise": round(episode.rise, 5),
        "noise": round(episode.noise, 6),
    }
    where = f"from {number(episode.level)} to {number(episode.peak)} at step {episode.peak_step:,}"
    steps = (episode.first, episode.last)
    curve = next((curve for curve in facts.loss_curves if curve.name == episode.curve), None)
    spacing = block_medians(curve).spacing if curve is not None else 1.0
    causes = causes_of(facts, episode.first, spacing)
    experiment = experiment_of(facts, episode.first, spacing)
    never = episode.over_at is None or (episode.ends_above and length <= longest_spike)
    if not never and length <= longest_spike:
        if episode.recovered_at == episode.over_at:
            told, evidence["back_at"] = f"was back by step {episode.over_at:,}", episode.over_at
        else:
            told = f"by step {episode.over_at:,} most of the rise was gone"
        sentence = f"The {facts.name_of(episode.curve)} jumped {where}, and {told}."
        return [
            Finding(
                kind="spike",
                scope="run",
                severity="warning",
                sentence=sentence,
                steps=steps,
                evidence=evidence,
                alternatives=causes,
                try_=experiment,
            )
        ]
    if never:
        evidence["final"] = round(episode.end, 5)
        ending = f", and did not come back: it ended at {number(episode.end)}."
    elif episode.ends_above:
        evidence["final"] = round(episode.end, 5)
        ending = f", stayed high until step {episode.last:,}, and ended at {number(episode.end)}, still above."
    else:
        ending = f", and stayed high until step {episode.last:,}."
    divergence = Finding(
        kind="divergence",
        scope="run",
        severity="failure" if episode.unfinished else "warning",
        sentence=f"The {facts.name_of(episode.curve)} rose {where}{ending}",
        steps=steps,
        evidence=evidence,
        alternatives=causes,
        try_=experiment,
    )
    if never or episode.over_at is None:
        return [divergence]
    until = episode.recovered_at if episode.recovered_at is not None else episode.over_at
    told = (
        f"By step {episode.over_at:,} most of the rise was gone; at step {until:,} the loss was back at its old level."
        if episode.recovered_at is not None
        else f"By step {episode.over_at:,} most of the rise was gone, but the loss did not return to its old level of "
        f"{number(episode.level)}."
    )
    recovery = Finding(
        kind="recovery",
        scope="run",
        severity="note",
        sentence=told,
        steps=(episode.over_at, until),
        evidence={"level_before": round(episode.level, 5), "complete": episode.recovered_at is not None},
    )
    return [divergence, recovery]


def _rising(moved: list[Shift], curve: Curve) -> list[Shift]:
    return [shift for shift in moved if shift.rises and shift.curve == curve.name]


def _where_data_changes(moved: list[Shift], facts: Facts) -> list[Finding]:
    """One finding a change, told by the first curve that shows it: other data has another loss."""
    by_step: dict[int, Shift] = {}
    for shift in moved:
        by_step.setdefault(shift.change.step, shift)
    return [
        Finding(
            kind="data_changed",
            scope="run",
            severity="note",
            steps=(step, step),
            evidence={
                "curve": shift.curve,
                "column": shift.change.column,
                "before": shift.change.before,
                "after": shift.change.after,
                "level_before": round(shift.before, 5),
                "level_after": round(shift.after, 5),
            },
            sentence=f"The {facts.name_of(shift.curve)} {'rises' if shift.rises else 'drops'} from "
            f"{number(shift.before)} to {number(shift.after)} at step {step:,}, where {shift.change.told}. A loss "
            "on other data, or of other batches, is another loss.",
        )
        for step, shift in sorted(by_step.items())
    ]


def _stable(curves: list[Curve]) -> Finding:
    first, last = int(min(curve.steps[0] for curve in curves)), int(max(curve.steps[-1] for curve in curves))
    evidence = {
        "points": {curve.name: len(curve) for curve in curves},
        "largest_rise_allowed": f"{MIN_RISE_NATS} nats, {share(MIN_RISE_SHARE)} of the level and {NOISE_FACTOR:g} x "
        "noise",
    }
    return Finding(
        kind="stable",
        scope="run",
        severity="good",
        steps=(first, last),
        evidence=evidence,
        sentence=f"No spikes: between steps {first:,} and {last:,} the loss never rose suddenly.",
    )


@rule
def non_finite(facts: Facts) -> Outcome:
    curves = [*facts.loss_curves, *([facts.grad_norm] if facts.grad_norm is not None else [])]
    if not curves:
        return Silent("needs a loss or a gradient norm")
    bad_steps: set[int] = set()
    bad_curves: set[str] = set()
    ends_badly = False
    names = []
    finite_until = max((float(each.finite.steps[-1]) for each in curves if len(each.finite)), default=-math.inf)
    for curve in curves:
        bad = ~np.isfinite(curve.values)
        if bad.any():
            names.append(facts.name_of(curve))
            bad_curves.add(curve.name)
            bad_steps |= {int(step) for step in curve.steps[bad]}
            # Where a curve stops at such a value and others go on, the training did not end there.
            ends_badly |= bool(bad[-1] and curve.steps[-1] + curve.spacing >= finite_until)
    if not bad_steps:
        return []
    first, last = min(bad_steps), max(bad_steps)
    were = "was" if len(names) == 1 else "were"
    told = f"at step {first:,}" if first == last else f"at {len(bad_steps):,} steps from {first:,} to {last:,}"
    ending = "up to the end of the record" if ends_badly else "later values are finite again"
    return [
        Finding(
            kind="non_finite",
            scope="run",
            severity="failure" if ends_badly else "warning",
            steps=(first, last),
            sentence=f"The {' and the '.join(names)} {were} not finite (NaN or infinity) {told}, {ending}.",
            evidence={"curves": sorted(bad_curves), "num_steps": len(bad_steps), "until_the_end": ends_badly},
            alternatives=(
                "the learning rate is too high",
                "a number became too large for the precision used (overflow)",
                "a damaged batch",
            ),
            try_="repeat the steps before it in float32 with the same seed: if the values stay finite, precision was "
            "the cause; if not, halve the learning rate",
        )
    ]
