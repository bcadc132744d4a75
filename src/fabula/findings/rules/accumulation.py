"""The rule on a logged loss that was multiplied or divided by the gradient accumulation."""

import math

import numpy as np

from fabula.findings.episodes import block_medians
from fabula.findings.facts import Curve, Facts
from fabula.findings.rule import Outcome, Silent, number, rule
from fabula.record.finding import Finding

SCALE_TOLERANCE = 0.08
"""A first loss within 8 % of ln V times (or over) the accumulation is such a product, not an unusual initialisation."""
BESIDE_TOLERANCE = 0.25
"""Training and validation loss of the same model differ by less than a quarter, so that a ratio of 2 or of 1/2 at nine
in ten evaluations comes from a factor."""
MIN_POINTS_BESIDE = 4


def is_scaled_by(facts: Facts, ratio: float) -> bool:
    accumulation = facts.accumulation or 1
    return accumulation > 1 and any(
        abs(ratio / factor - 1.0) < SCALE_TOLERANCE for factor in (accumulation, 1.0 / accumulation)
    )


@rule
def scaled_by_accumulation(facts: Facts) -> Outcome:
    if facts.train_loss is None and facts.held_train_loss is None and not facts.planned:
        return Silent("needs a training loss")
    if facts.accumulation is None:
        return Silent("needs the gradient accumulation", option="--accumulation")
    if facts.planned or facts.accumulation == 1:
        return []
    beside = _ratio_to_held_out(facts)
    if beside is not None:
        return _scaled(facts, "training loss", "the validation loss", beside) if _is_scaled(facts, beside) else []
    if facts.vocabulary is None:
        return Silent("needs the vocabulary's size", option="--vocab")
    if facts.from_scratch is False:
        return []
    train = facts.train_loss or facts.held_train_loss  # where a log has it at the evaluations only
    first = train.finite if train is not None else None
    if first is None or not len(first) or first.steps[0] > 1:
        return Silent("needs the training loss of the first step")
    ratio = float(first.values[0]) / math.log(facts.vocabulary)
    if not is_scaled_by(facts, ratio):
        return []
    start = Curve("ratio", first.steps[:1], np.array([ratio]))
    untrained = f"the loss of an untrained model ({math.log(facts.vocabulary):.2f})"
    return _scaled(facts, f"first training loss ({number(float(first.values[0]))})", untrained, start)


def _ratio_to_held_out(facts: Facts) -> Curve | None:
    """Training loss over validation loss at the evaluations; None where the record lacks one of them."""
    if facts.train_loss is None or facts.val_loss is None:
        return None
    train, val = block_medians(facts.train_loss), facts.val_loss.finite
    if not len(train):
        return None
    val = val.part(train.steps[0], train.steps[-1])
    if min(len(train), len(val)) < MIN_POINTS_BESIDE:
        return None
    return Curve("ratio", val.steps, np.interp(val.steps, train.steps, train.values) / np.maximum(val.values, 1e-9))


def _is_scaled(facts: Facts, ratios: Curve) -> bool:
    """Whether the ratio is the accumulation, or one over it, all along: overfitting lowers it only bit by bit."""
    accumulation = float(facts.accumulation or 1)
    low, high = np.quantile(ratios.values, [0.1, 0.9])
    return any(
        low > factor * (1.0 - BESIDE_TOLERANCE) and high < factor * (1.0 + BESIDE_TOLERANCE)
        for factor in (accumulation, 1.0 / accumulation)
    )


def _scaled(facts: Facts, what: str, of: str, ratios: Curve) -> list[Finding]:
    ratio = float(np.median(ratios.values))
    return [
        Finding(
            kind="loss_scaled_by_accumulation",
            scope="run",
            severity="warning",
            steps=(int(ratios.steps[0]), int(ratios.steps[-1])),
            evidence={"accumulation": facts.accumulation, "ratio": round(ratio, 4)},
            sentence=f"The {what} is {of} {'multiplied' if ratio > 1 else 'divided'} by {facts.accumulation}, the "
            "gradient accumulation: "
            + ("a sum was logged instead of a mean." if ratio > 1 else "the mean was divided once more."),
            alternatives=("only the log is scaled", "the gradient is scaled too, which changes what clipping does"),
            try_="repeat one step with accumulation 1 and the same stories: loss and gradient norm should not change",
        )
    ]
