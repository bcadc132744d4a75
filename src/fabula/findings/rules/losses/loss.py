"""Rules on loss curves: the start, the course, the end, and the gap between training and validation stories."""

import math
from typing import Any

import numpy as np

from fabula.findings.curves.episodes import block_medians, episodes
from fabula.findings.curves.epochs import epoch_length, without_stairs
from fabula.findings.curves.noise import noise_of
from fabula.findings.facts import Curve, Facts
from fabula.findings.judged import FEWEST_TOKENS, little_learned, worse_than_untrained
from fabula.findings.rule import Outcome, Silent, number, rule, share
from fabula.findings.rules.losses.accumulation import is_scaled_by
from fabula.findings.rules.settings.schedule import may_be_warming_up
from fabula.findings.rules.settings.setup import FEW_STEPS
from fabula.record.finding import Finding

INITIAL_TOLERANCE = 0.05
"""An untrained model that knows nothing gives every token the same chance: a loss of ln V. Embeddings from
N(0, 0.02) are within 1 % of it; 5 % leaves room for other good initialisations."""
EARLY_SHARE = 0.05
"""A record that begins within the first 5 % of the run shows whether its start was high, if it still is."""
FAST_SHARE, FAST_PART = 0.75, 0.15
"""A start is fast when three quarters of all that was learned was learned in the first 15 % of the run."""
MIN_POINTS_FOR_COURSE = 10
"""Thirds and tenths of a curve need at least this many points."""
FLAT_SHARE = 0.01
"""A third of a run that lowers the loss by less than 1 % of its level is a plateau; by less than 2 % where its noise is
so large that a level loss would seem to fall by that."""
UNTRAINED_SHARE = 0.05
"""A run that ends within 5 % of ln V, or above it, has learned almost nothing: if it has levelled off there, it has
failed."""
HARDLY_SHARE = 0.1
"""... and within 10 % also where it still fell, if all its steps are made, 200 or more: of 39 sound trainings of 200 to
300 steps none ended above 80 % of ln V; one in bfloat16, whose steps were rounded away, ended at 91 %."""
FLAT_AND_HIGH_SHARE = 0.15
"""... and within 15 % where such a run has levelled off: how often each token occurs, which is learned first of all,
brings 23 % of ln V on TinyStories with 2,048 tokens, 46 % with GPT-2's."""
IMPROVING_SHARE = 0.01
"""The last fifth is still improving where it lowers the loss by 1 % or more, and by three standard errors."""
PRINTED_DIGITS = 3.0
"""... and by three units of the last digit that the log prints."""
RATE_GONE = 0.02
"""A rate below 2 % of its peak has reached zero: the loss falls while the rate does, and no further."""
GAP_SHARE = 0.05
"""Training and validation loss within 5 % of each other: what was learned also works on new stories."""
OVERFIT_SHARE = 0.01
"""Validation loss 1 % above its lowest, and more than five times its noise, while training loss kept falling."""
OVERFIT_NOISE = 5.0
"""The lowest of some twenty values lies two deviations below their mean, and the end is known to one."""
FELL_ON = 0.05
"""... by a twentieth of that rise and three standard errors: the loss of stories known by heart cannot fall far."""
STAIR_FACTOR = 4.0
"""The mean drop at the ends of epochs counts if it is four standard errors, the trend on both sides subtracted ..."""
STAIR_SHARE = 0.01
"""... and 1 % of the level."""


@rule
def initial_loss(facts: Facts) -> Outcome:
    if facts.vocabulary is None:
        return Silent("needs the vocabulary's size", option="--vocab")
    if facts.planned or facts.from_scratch is False:
        return []
    expected = math.log(facts.vocabulary)
    first_loss, began = facts.first_loss, 0
    if first_loss is None:
        began, first_loss = _still_high(facts, expected)
    if first_loss is None:
        return Silent("needs the loss before the first update")
    ratio = first_loss / expected
    high = ratio > 1.0 + INITIAL_TOLERANCE
    # Worse than knowing nothing is wrong for any model; better is wrong only for one that has learned nothing yet.
    if facts.from_scratch is None and not high:
        return Silent("needs to know that the model started from scratch", option="--from-scratch")
    if abs(ratio - 1.0) <= INITIAL_TOLERANCE or is_scaled_by(facts, ratio):
        return []
    causes = (
        (
            "the embedding or the output layer starts with large weights (the framework's default is N(0, 1))",
            "the logits are multiplied by a factor",
        )
        if high
        else (
            "the model did not start from scratch",
            "the targets leak into the inputs",
            "padding is counted, and is easy to predict",
        )
    )
    if began:
        causes = ("the first steps were too large", *causes)
    little = little_learned(facts) if high else ""
    start = f"The {'untrained model' if facts.from_scratch else 'run'} starts at"
    if began:
        start = f"The record begins at step {began:,} with"
    return [
        Finding(
            kind="initial_loss_off",
            scope="run",
            severity="failure" if little else "warning",
            steps=(began, began),
            evidence={"first_loss": first_loss, "expected": round(expected, 4), "ratio": round(ratio, 4)},
            sentence=f"{start} a loss of {number(first_loss)}. A model that gives every token the same chance has "
            f"ln {facts.vocabulary:,} = {expected:.2f}.{little}",
            alternatives=causes,
            try_="draw the embedding and the linear weights from N(0, 0.02), and look at the loss of step 0 again"
            if high
            else "evaluate the untrained model on random tokens: a loss below ln V there means a leak",
        )
    ]


def _still_high(facts: Facts, expected: float) -> tuple[int, float | None]:
    """The first step and its loss of a record that begins after the run did, but early, where that is already more
    than `expected`: an untrained model was hardly better. Lower, it says nothing of the start."""
    curve = facts.train_loss or facts.val_loss
    if curve is None or not len(curve.finite) or curve.finite.steps[0] > EARLY_SHARE * facts.last_step:
        return 0, None
    step, loss = int(curve.finite.steps[0]), float(curve.finite.values[0])
    return (step, loss) if loss > (1.0 + INITIAL_TOLERANCE) * expected else (0, None)


def _course(facts: Facts) -> Curve | Silent:
    """The curve that tells how a run went: validation loss, else training loss as block medians."""
    for curve in (facts.val_loss, facts.train_loss):
        if curve is not None and len(curve.finite) >= MIN_POINTS_FOR_COURSE:
            return block_medians(curve)
    return Silent(f"needs a loss curve with {MIN_POINTS_FOR_COURSE} points or more")


@rule
def fast_start(facts: Facts) -> Outcome:
    curve = _course(facts)
    if isinstance(curve, Silent):
        return curve
    start, best = float(curve.values[0]), float(curve.values.min())
    if best < 0.0 or start <= 0.0:
        return []  # no cross-entropy: nothing is known of its fall
    # A record that begins in the middle of a run has no start to speak of.
    if curve.steps[0] > 0.02 * curve.steps[-1] or start - best < 0.1 * start:
        return []
    known = math.log(facts.vocabulary) if facts.vocabulary is not None else math.inf
    # What an oversized initialisation costs at first is no learning: the fall counts from equal chances on.
    begin, start = start, known if best < known and start > known * (1.0 + INITIAL_TOLERANCE) else start
    target = start - FAST_SHARE * (start - best)
    at = int(curve.steps[int(np.argmax(curve.values <= target))])
    if at > FAST_PART * curve.steps[-1]:
        return []
    return [
        Finding(
            kind="fast_start",
            scope="run",
            severity="good",
            steps=(int(curve.steps[0]), at),
            evidence={"curve": curve.name, "start": begin, "from": start, "at": at, "value": target, "best": best},
            sentence=f"The {facts.name_of(curve)} fell fast at first: by step {at:,} ({share(at / curve.steps[-1])} of "
            f"the run) it had made three quarters of its fall from {number(start)} to {number(best)}."
            + ("" if begin == start else f" ({number(start)}, ln V, is the loss of a model that knows nothing yet.)"),
        )
    ]


@rule
def stopping_point(facts: Facts) -> Outcome:
    curve = _course(facts)
    if isinstance(curve, Silent):
        return curve
    last, steps = float(curve.steps[-1]), curve.steps
    lost = any(not np.isfinite(each.values[-1]) for each in facts.loss_curves)
    if lost or any(each.unfinished for each in episodes(without_stairs(facts, curve))):
        return []  # a run that ends in a divergence has no stopping point to judge
    fifth, third = curve.part(0.8 * last, last), curve.part(last * 2 / 3, last)
    if len(third) < 4:
        return Silent("needs 4 evaluations or more in the last third of the run")
    fall_third, fall_fifth = _fall(third), _fall(fifth)
    level, noise = float(np.median(third.values)), noise_of(curve.values[len(curve) // 2 :])
    error = noise * math.sqrt(12.0 / len(fifth))  # of the fall of a least-squares line through evenly spaced points
    evidence = {"curve": curve.name, "fall_last_third": round(fall_third, 5), "fall_last_fifth": round(fall_fifth, 5)}
    start = 0.0 if curve.name == "val_loss" else float(curve.values[0])  # a training loss may be logged as a sum
    known = math.log(facts.vocabulary) if facts.vocabulary is not None else math.inf
    untrained = level > (1.0 - UNTRAINED_SHARE) * max(known, start)
    epochs = (facts.info.get("layout") or {}).get("epochs")
    least = FLAT_SHARE * level - (fall_third - fall_fifth) if epochs and epochs < 1.0 else IMPROVING_SHARE * level
    improves = fall_fifth > max(least, 3.0 * error, PRINTED_DIGITS * _resolution(curve.values))
    usual_start = facts.first_loss is None or facts.first_loss <= (1.0 + INITIAL_TOLERANCE) * known
    judged = usual_start and _made_to_its_end(facts) and (facts.vocabulary or 0) >= FEWEST_TOKENS
    hardly = judged and level > (1.0 - HARDLY_SHARE) * known
    flat_and_high = judged and level > (1.0 - FLAT_AND_HIGH_SHARE) * known
    if hardly or (not improves and (untrained or flat_and_high)):
        return [] if may_be_warming_up(facts) else [_learned_nothing(facts, third, level, evidence)]
    if improves and not _more_steps_help(facts, curve, noise):
        return []
    if improves:
        return [
            Finding(
                kind="still_improving",
                scope="run",
                severity="note",
                steps=(int(fifth.steps[0]), int(last)),
                evidence=evidence,
                sentence=f"The {facts.name_of(curve)} was still falling at the end: by {number(fall_fifth)} in the "
                "last fifth of the run. More steps would probably lower it further.",
            )
        ]
    flat = FLAT_SHARE * abs(level) + min(FLAT_SHARE * abs(level), 2.0 * noise * math.sqrt(12.0 / len(third)))
    if abs(fall_third) < flat and steps[0] < 0.5 * last:
        return [
            Finding(
                kind="plateau",
                scope="run",
                severity="note",
                steps=(int(third.steps[0]), int(last)),
                evidence=evidence,
                sentence=f"The {facts.name_of(curve)} had levelled off: over the last third of the run it "
                f"{'fell' if fall_third > 0 else 'rose'} by {number(abs(fall_third))} "
                f"({share(abs(fall_third) / level)}).",
            )
        ]
    return []


def _made_to_its_end(facts: Facts) -> bool:
    """Whether a run that began untrained has made all of its steps, and enough to learn from."""
    return facts.from_scratch is True and facts.last_step >= max(FEW_STEPS, facts.num_steps or math.inf)


def _resolution(values: np.ndarray) -> float:
    """The last digit that a loss was printed with: the smallest distance between two of its values."""
    steps = np.diff(np.unique(np.round(values, 12)))
    return float(steps.min()) if len(steps) else 0.0


def _more_steps_help(facts: Facts, curve: Curve, noise: float) -> bool:
    """Whether a falling end speaks for more steps: not where the fall is that of a rate going to zero, where the run
    only learns by heart, or where it only recovers to what it had reached before."""
    rate = facts.learning_rate.finite if facts.learning_rate is not None else None
    if rate is not None and len(rate) and rate.values[-1] <= RATE_GONE * rate.values.max():
        return False
    found = generalisation.look(facts)
    if not isinstance(found, Silent) and any(each.kind == "overfitting" for each in found):
        return False
    fifth = int(np.searchsorted(curve.steps, 0.8 * curve.steps[-1]))
    before, end = curve.values[:fifth], float(np.median(curve.values[-3:]))
    return not len(before) or end <= float(before.min()) + 3.0 * noise


def _learned_nothing(facts: Facts, third: Curve, level: float, evidence: dict[str, Any]) -> Finding:
    expected = math.log(facts.vocabulary or 1)
    return Finding(
        kind="plateau",
        scope="run",
        severity="failure",
        steps=(int(third.steps[0]), int(third.steps[-1])),
        evidence={**evidence, "level": round(level, 5), "expected": round(expected, 5)},
        sentence=f"Almost nothing was learned: in the last third of the run the {facts.name_of(evidence['curve'])} was "
        f"about {number(level)}. A model that gives every token the same chance has ln {facts.vocabulary:,} = "
        f"{expected:.2f}.",
        alternatives=(
            "the learning rate is too low, or the optimizer does not get the weights",
            "the targets do not belong to the inputs",
            "one step was too large and ruined the weights",
        ),
        try_="train on a single batch again and again: if its loss does not fall, check targets and optimizer; if it "
        "falls, check the learning rate",
    )


def _fall(part: Curve) -> float:
    """How far the least-squares line through a part falls from its first step to its last."""
    if len(part) < 2:
        return 0.0
    slope = np.polyfit(part.steps - part.steps[0], part.values, 1)[0]
    return float(-slope * (part.steps[-1] - part.steps[0]))


@rule
def generalisation(facts: Facts) -> Outcome:
    if facts.val_loss is None or len(facts.val_loss.finite) < 4:
        return Silent("needs a validation loss at 4 evaluations or more")
    train = facts.held_train_loss or facts.train_loss
    if train is None or len(train.finite) < 4:
        return Silent("needs a training loss beside the validation loss")
    val, train = facts.val_loss.finite, block_medians(train)
    at = int(np.argmin(val.values))
    best, final = float(val.values[at]), float(np.median(val.values[-3:]) if len(val) - at > 3 else val.values[-1])
    train_then, train_end, train_error = _then_and_end(train, float(val.steps[at]))
    noise = noise_of(val.values[len(val) // 2 :])
    evidence = {
        "best_val": best,
        "best_step": int(val.steps[at]),
        "final_val": final,
        "train_at_best": train_then,
        "final_train": train_end,
    }
    fell_on = train_then - train_end > max(FELL_ON * (final - best), 3.0 * train_error)
    if fell_on and final - best > max(OVERFIT_SHARE * best, OVERFIT_NOISE * noise):
        ruined = worse_than_untrained(facts, final / (1.0 + OVERFIT_SHARE))
        return [
            Finding(
                kind="overfitting",
                scope="run",
                severity="failure" if ruined else "warning",
                steps=(int(val.steps[at]), int(val.steps[-1])),
                evidence=evidence,
                sentence=f"The validation loss{' (on its fixed subset)' if facts.val_on_subset else ''} was lowest at "
                f"step {int(val.steps[at]):,} ({number(best)}) and rose to {number(final)}, while the "
                f"{facts.name_of(train)} kept falling, to {number(train_end)}: the model memorises its training "
                f"stories.{ruined}",
                alternatives=(
                    "the training stories are repeated too often",
                    "the model is too large for so little text",
                ),
                try_="train half as many epochs on the same data: if the lowest validation loss stays the same, the "
                "later steps only memorise",
            )
        ]
    held, trained = _at_the_end(facts, val, train)
    gap = held - trained
    if abs(gap) > GAP_SHARE * held:
        return []
    return [
        Finding(
            kind="generalizes",
            scope="run",
            severity="good",
            steps=(int(val.steps[0]), int(val.steps[-1])),
            evidence={**evidence, "gap": round(gap, 5)},
            sentence=f"At the end the validation loss ({held:.3f}) and the {facts.name_of(train)} ({trained:.3f}) are "
            "close: what was learned also works on new stories.",
        )
    ]


def _at_the_end(facts: Facts, val: Curve, train: Curve) -> tuple[float, float]:
    """Validation and training loss of the last evaluation, where it was a full one: the loss that the report ranks by.
    Else medians over the same steps: a run that moves fast at its end has no gap for that."""
    if facts.final_val_loss is not None and train.name == "train_loss" and train.steps[-1] == val.steps[-1]:
        return facts.final_val_loss, float(train.values[-1])
    late = train.part(float(val.steps[-3]), np.inf).values
    return float(np.median(val.values[-3:])), float(np.median(late if len(late) >= 3 else train.values[-3:]))


def _then_and_end(train: Curve, step: float) -> tuple[float, float, float]:
    """Training loss around `step` and at the end, medians over a twentieth of the points each, and the standard error
    of their difference."""
    width = max(3, round(0.05 * len(train)))
    at = int(np.searchsorted(train.steps, step))
    first = min(max(0, at - width // 2), max(0, len(train) - width))
    error = 1.2533 * noise_of(train.values[len(train) // 2 :]) * math.sqrt(2.0 / width)  # a median's: sqrt(pi / 2)
    return float(np.median(train.values[first : first + width])), float(np.median(train.values[-width:])), error


@rule
def staircase(facts: Facts) -> Outcome:
    length = epoch_length(facts)
    if length is None:
        return Silent("needs the number of epochs")
    if facts.train_loss is None:
        return Silent("needs the training loss of each step")
    total = facts.num_steps or facts.last_step
    if total < 1.1 * length:
        return []
    curve = facts.train_loss.finite
    window = 0.1 * length
    drops, variances, levels = [], [], []
    # Only where there is a value just behind it: a log may speak of more epochs than it has lines.
    begun = np.unique(np.floor(curve.steps / length)) * length
    for boundary in begun[(begun >= length) & (begun < total - 0.5 * window)]:
        before, after = curve.part(boundary - window, boundary - 1), curve.part(boundary + 1, boundary + window)
        if min(len(before), len(after)) < 5:
            continue
        # The lines through both windows, led on to the boundary; each end varies as 4 sigma^2 / n.
        trend = 0.5 * (_fall(before) + _fall(after))
        drops.append((int(boundary), float(before.values.mean() - after.values.mean()) - trend))
        variances.append(4.0 * (noise_of(before.values) ** 2 / len(before) + noise_of(after.values) ** 2 / len(after)))
        levels.append(float(after.values.mean()))
    if not drops:
        return []
    mean = math.fsum(drop for _, drop in drops) / len(drops)
    error = math.sqrt(math.fsum(variances)) / len(drops)
    if mean <= max(STAIR_FACTOR * error, STAIR_SHARE * float(np.mean(levels))):
        return []
    where = f"step {drops[0][0]:,}" if len(drops) == 1 else f"{len(drops)} times, first at step {drops[0][0]:,}"
    return [
        Finding(
            kind="epoch_staircase",
            scope="run",
            severity="note",
            steps=(drops[0][0], drops[-1][0]),
            evidence={
                "mean_drop": round(mean, 5),
                "standard_error": round(error, 5),
                "drops": [(step, round(drop, 5)) for step, drop in drops],
                "steps_per_epoch": round(length, 1),
            },
            sentence=f"The {facts.name_of(curve)} drops by {number(mean)} where an epoch ends ({where}): the model "
            "remembers stories that it has seen before.",
        )
    ]
