"""Rules on the recipe's set-up: what is valid, runs, and still does not do what was meant."""

import numpy as np

from fabula.findings.curves.noise import noise_of
from fabula.findings.facts import Facts
from fabula.findings.rule import Outcome, Silent, number, recipe_rule, rule, share
from fabula.recipe.counts import count_parameters
from fabula.record.finding import Finding
from fabula.record.wording import plural

BFLOAT16_SPACING = 2.0**-7
"""Distance between neighbouring bfloat16 numbers relative to their size (7 bits of fraction)."""
LOST_BELOW = 0.5
"""A step below half of this distance is rounded away."""
FEW_STEPS = 200
"""AdamW's second moment (beta2 0.95 to 0.999) and a warmup need some hundred updates to work."""
NOISY_SHARE = 0.02
"""Evaluations that vary by more than 2 % cannot show what a phase changes ..."""
UP_AND_DOWN = 0.2
"""... where a fifth of them rise, by 1 % or more: a loss that falls all the time, now faster and now slower, has steps
of different size and no noise. `modern-portable` fell by 6 to 14 % from evaluation to evaluation, and never rose."""


@recipe_rule
def window(facts: Facts) -> Outcome:
    if facts.recipe is None:
        return Silent("needs the recipe (recipe.toml)")
    model = facts.recipe.model
    if not model.sliding_window or model.sliding_window < model.context:
        return []
    return [
        Finding(
            kind="window_never_binds",
            scope="recipe",
            severity="note",
            evidence={"sliding_window": model.sliding_window, "context": model.context},
            sentence=f"The sliding window of {model.sliding_window} tokens changes nothing: the context has only "
            f"{model.context}, and every layer sees all of it.",
        )
    ]


@recipe_rule
def rounding(facts: Facts) -> Outcome:
    if facts.recipe is None:
        return Silent("needs the recipe (recipe.toml)")
    recipe = facts.recipe
    if recipe.compute.weights != "bfloat16":
        return []
    wide = recipe.initialization.scheme in ("default", "normal_embedding", "zero_writers")
    size = 1.0 if wide else recipe.initialization.std
    spacing = size * BFLOAT16_SPACING
    rate = _highest_rate(facts)
    if rate is None:
        return Silent("needs the learning rates, which a function of its maker's own makes (own.schedule)")
    if rate >= LOST_BELOW * spacing:
        return []
    return [
        Finding(
            kind="updates_lost_to_rounding",
            scope="recipe",
            severity="warning",
            evidence={"learning_rate": rate, "weight_size": size, "spacing": spacing},
            sentence=f"Weights are stored in bfloat16. Near {number(size)}, the size of the "
            f"{'weights of the embedding' if wide else 'initial weights'}, neighbouring bfloat16 numbers are "
            f"{number(spacing)} apart, and an AdamW step of about {number(rate)} is rounded away.",
            alternatives=(
                "the embedding hardly moves and the layers learn around it",
                "only the large weights stay as they are",
            ),
            try_="`--set compute.weights=float32` with the same seed: compare the loss after a tenth of the steps",
        )
    ]


def _highest_rate(facts: Facts) -> float | None:
    """By the recipe; where a function of its maker's own makes the rates, of those that are known."""
    if (schedule := facts.schedule) is not None:
        return max(schedule.peak, schedule.floor if schedule.kind != "constant" else 0.0)
    return float(facts.learning_rate.finite.values.max(initial=0.0)) if facts.learning_rate is not None else None


@recipe_rule
def too_few_steps(facts: Facts) -> Outcome:
    if facts.num_steps is None:
        return Silent("needs the number of steps")
    if facts.num_steps >= FEW_STEPS:
        return []
    evidence: dict[str, float] = {"steps": facts.num_steps, "least": FEW_STEPS}
    if facts.recipe is not None and facts.recipe.vocabulary and not facts.recipe.own.model:
        parameters = count_parameters(facts.recipe.model, facts.recipe.vocabulary).total
        evidence["positions_per_parameter"] = round(facts.num_steps * facts.recipe.positions_per_step / parameters, 4)
    return [
        Finding(
            kind="too_few_steps",
            scope=facts.scope,
            severity="note",
            evidence=evidence,
            sentence=f"The run has only {plural(facts.num_steps, 'update')}: with fewer than {FEW_STEPS} it shows the "
            "start of a training and little else.",
        )
    ]


@rule
def evaluation_noise(facts: Facts) -> Outcome:
    if facts.val_loss is None or len(facts.val_loss.finite) < 12:
        return Silent("needs 12 evaluations or more")
    values = facts.val_loss.finite.values[len(facts.val_loss.finite) // 2 :]
    noise, level = noise_of(values), float(abs(sum(values) / len(values)))
    rises = float((np.diff(values) > 0.5 * NOISY_SHARE * level).mean())
    if noise <= NOISY_SHARE * level or rises < UP_AND_DOWN:
        return []
    moves = "the learning rate is high, and the model changes much from step to step"
    drawn = ("few stories are evaluated", "other stories are drawn each time", moves)
    return [
        Finding(
            kind="evaluation_too_noisy",
            scope="run",
            severity="warning",
            evidence={"noise": round(noise, 5), "level": round(level, 5)},
            sentence=f"From one evaluation to the next, the validation loss varies by {number(noise)} around "
            f"{number(level)} ({share(noise / level)}): a single value cannot show a smaller effect.",
            alternatives=(moves,) if facts.val_on_subset else drawn,
            try_="half of `schedule.peak` with the same seed: compare how far the last evaluations lie apart"
            if facts.val_on_subset  # the same stories each time
            else "evaluate one checkpoint twice: a difference means that the stories change",
        )
    ]


@recipe_rule
def end_of_text(facts: Facts) -> Outcome:
    closes = (facts.info.get("data") or {}).get("end_of_text")
    if closes is None and facts.recipe is not None:
        closes = facts.recipe.batch.end_of_text
    if closes is None:
        return Silent("needs to know whether stories end with an end-of-text token")
    if closes:
        return []
    return [
        Finding(
            kind="eot_missing",
            scope=facts.scope,
            severity="warning",
            evidence={"end_of_text": False},
            sentence="No end-of-text token separates the stories: the model cannot learn to stop, and one story "
            "runs into the next.",
            alternatives=("the recipe leaves it out on purpose", "it was filtered as a special token"),
            try_="`--set batch.end_of_text=true` with the same seed: compare the final losses, and where stories end",
        )
    ]
