"""Rules on losses that are not what they seem: scaled by the gradient accumulation, or measured in another way."""

import math

import numpy as np

from fabula.findings.curves.episodes import block_medians
from fabula.findings.facts import Curve, Facts
from fabula.findings.rule import Outcome, Silent, number, rule
from fabula.record.finding import Finding

SCALE_TOLERANCE = 0.08
"""A first loss within 8 % of ln V times (or over) the accumulation is such a product, not an unusual initialisation."""
BELOW_SHARE = 0.05
"""Of the validation loss: less is a matter of which stories were drawn."""
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


@rule
def validation_below(facts: Facts) -> Outcome:
    """Validation loss clearly below training loss over the later half: what the two do not have in common."""
    if facts.val_loss is None or len(facts.val_loss.finite) < 4:
        return Silent("needs a validation loss at 4 evaluations or more")
    given = facts.held_train_loss or facts.train_loss
    if given is None or len(given.finite) < 4:
        return Silent("needs a training loss beside the validation loss")
    val, train = facts.val_loss.finite, block_medians(given)
    late = val.part(0.5 * (val.steps[0] + val.steps[-1]), np.inf)
    late = late.part(train.steps[0], train.steps[-1])
    if len(late) < 3 or (late.values <= 0).any():
        return []
    beside = np.interp(late.steps, train.steps, _smooth(train.values))
    shares = (beside - late.values) / late.values
    if np.median(shares) <= BELOW_SHARE or np.quantile(shares, 0.1) <= 0.0:
        return []
    ratio = float(np.median(beside / late.values))
    factor = facts.accumulation or round(ratio)
    if factor > 1 and is_scaled_by(facts, ratio):
        return []  # told by a rule of its own
    own = facts.held_train_loss is not None and not facts.info.get("log_format")
    before = train.part(-np.inf, late.steps[-1] - 0.5 * late.spacing).values
    falls = len(before) > 3 and float(before[-1]) - float(train.values[-1]) > 0.5 * (beside[-1] - late.values[-1])
    averaged = "the training loss is an average since the last report or over the epoch, while it was falling"
    causes = [
        "the validation stories are easier, or other ones than those that are trained on",
        "the two losses are not of the same ruler: other tokens count, label smoothing or another term is added",
    ]
    if not own:
        dropout = "dropout is on while training, and off while validating"
        causes = [averaged, dropout, *causes] if falls else [dropout, averaged, *causes]
        if factor > 1 and abs(ratio / factor - 1.0) < SCALE_TOLERANCE:
            causes.insert(0, f"the training loss is a sum over {factor} batches: it is {number(ratio)} times as high")
    return [
        Finding(
            kind="validation_below_training",
            scope="run",
            severity="note",
            steps=(int(late.steps[0]), int(late.steps[-1])),
            evidence={"validation": float(late.values[-1]), "training": float(beside[-1]), "ratio": round(ratio, 4)},
            sentence=f"The validation loss ({number(float(late.values[-1]))}) lies below the {facts.name_of(train)} "
            f"({number(float(beside[-1]))}), over the whole later half of the run. New stories are rarely easier than "
            "those trained on: the two may be measured in different ways, and their gap says little of overfitting.",
            alternatives=tuple(causes),
            try_="evaluate the last checkpoint on training stories in just the same way as on validation stories: if "
            "the losses agree, the way of measuring was the cause",
        )
    ]


def _smooth(values: np.ndarray) -> np.ndarray:
    width = max(1, round(0.03 * len(values)))
    return np.array([np.median(values[max(0, at - width) : at + width + 1]) for at in range(len(values))])
