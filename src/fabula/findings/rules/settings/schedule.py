"""Rules on the learning rate: the planned one before step 0, the recorded one after."""

import numpy as np

from fabula.findings.curves.rates import climbs, is_one_cycle
from fabula.findings.facts import Curve, Facts
from fabula.findings.judged import little_learned
from fabula.findings.rule import Outcome, Silent, number, recipe_rule, rule, share
from fabula.record.finding import Finding

MIN_POINTS = 5
"""Fewer recorded rates show no schedule."""
FIXED_TOLERANCE = 1e-3
"""Rates that differ by less than 0.1 % are the same rate, written with few digits."""
RISE_TOLERANCE = 0.05
"""A rate that grows by 5 % after its warmup does so by plan or by mistake, not by rounding."""
LONG_WARMUP = 0.2
"""Warmups of a few per cent are common; above a fifth of the run the peak comes late and the decay is cut short."""
DECAYED = 0.5
"""A schedule has decayed when at most half of the peak is left; the usual floors are a tenth or zero."""
LOW_START = 0.5
"""A warmup begins below half of the peak."""
EARLY_RECORD = 0.005
"""A record whose first rate is that of step 0 or 1, or of the first 0.5 % of the run, shows how the run began."""
JUMP = 0.1
"""A resumed schedule continues within 10 % of the line through its last two rates."""
LINEAR_FIT = 0.999
"""A warmup that never ends is a straight line from near zero: its correlation with the step is above this."""
WEIGHT_SIZE = 0.02
"""What embeddings and linear weights usually begin at, N(0, 0.02). A step of AdamW moves a weight by about the learning
rate (Kingma and Ba 2015, section 2.1): from here on, one step replaces the weights."""


def warmup_end(facts: Facts, curve: Curve) -> int | None:
    """The step at which the rate has risen to its warmup's end; 0: it begins without one; None: not to be seen."""
    if facts.recipe is not None and (schedule := facts.schedule) is not None:
        if schedule.kind == "constant":
            return 0
        return schedule.warmup // (facts.recipe.batch.accumulation if schedule.unit == "micro_step" else 1)
    values = curve.values
    if values[0] >= LOW_START * values.max():
        if sees_the_start(curve):
            return 0
        if values.max() <= values[0] * (1.0 + RISE_TOLERANCE):
            return None
    return int(curve.steps[int(np.argmax(values >= values.max() * (1.0 - FIXED_TOLERANCE)))])


def sees_the_start(curve: Curve) -> bool:
    return bool(curve.steps[0] <= max(1.0, EARLY_RECORD * curve.steps[-1]))


def may_be_warming_up(facts: Facts) -> bool:
    """Of a run that goes on and does not say how long, nobody knows."""
    if facts.num_steps is None:
        return facts.info.get("status") == "running"
    return facts.last_step < LONG_WARMUP * facts.num_steps and facts.info.get("status") != "finished"


def warmup_share(facts: Facts, curve: Curve, warmup: int) -> float:
    """How much of the run its warmup takes, at least. Of a recipe it is known; of a record, which may begin in the
    middle of a run and hold few of its steps, it reaches at least to the last rate before the peak."""
    if facts.schedule is not None:
        return warmup / (facts.num_steps or int(curve.steps[-1]))
    begin = 0.0 if sees_the_start(curve) else float(curve.steps[0])
    end = max(float(curve.steps[-1]), float(facts.num_steps or 0) if begin == 0.0 else 0.0)
    before = curve.steps[curve.steps < warmup]
    return (float(before[-1]) - begin) / (end - begin) if len(before) and end > begin else 0.0


def is_fixed(curve: Curve) -> bool:
    values = curve.values
    return bool(values.max() - values.min() <= FIXED_TOLERANCE * values.max())


def never_left_warmup(facts: Facts, curve: Curve) -> bool:
    """Whether the warmup is not over when the run is."""
    if facts.recipe is not None and facts.schedule is not None:
        end = warmup_end(facts, curve)
        return end is not None and end > facts.recipe.steps and not is_fixed(curve)
    values = curve.values
    if is_fixed(curve) or values[-1] < values.max() or values[0] > 0.35 * values[-1]:
        return False
    return float(np.corrcoef(curve.steps, values)[0, 1]) > LINEAR_FIT


def rises_after_warmup(facts: Facts, curve: Curve) -> bool:
    if is_fixed(curve) or never_left_warmup(facts, curve):
        return False
    if facts.schedule is not None:
        after = curve.part((warmup_end(facts, curve) or 0) + 1, np.inf).values
        return len(after) >= 2 and bool(
            after[-1] > after[0] * (1.0 + RISE_TOLERANCE) and np.argmax(after) > len(after) / 2
        )
    # Without the recipe: still rising in the second half of the run, where no warmup is.
    second = curve.values[len(curve) // 2 :]
    return bool(second[-1] > second[0] * (1.0 + RISE_TOLERANCE) and second[-1] >= second.max() * 0.999)


def _rates(facts: Facts) -> Curve | Silent:
    curve = facts.planned_rate
    if curve is None and facts.planned:
        return Silent("needs the learning rates, which a function of its maker's own makes (own.schedule)")
    if curve is None or len(curve.finite) < MIN_POINTS or curve.finite.values.max() <= 0:
        return Silent(f"needs the learning rate at {MIN_POINTS} steps or more")
    return curve.finite


def _was(facts: Facts) -> str:
    return "is" if facts.planned else "was"


@recipe_rule
def shape(facts: Facts) -> Outcome:
    curve = _rates(facts)
    if isinstance(curve, Silent):
        return curve
    peak, first, last = float(curve.values.max()), float(curve.values[0]), float(curve.values[-1])
    steps = (int(curve.steps[0]), int(curve.steps[-1]))
    evidence = {"first": first, "peak": peak, "last": last}
    if is_fixed(curve):
        return [
            Finding(
                kind="lr_fixed",
                scope=facts.scope,
                severity="note",
                steps=steps,
                evidence=evidence,
                sentence=f"The learning rate {_was(facts)} {number(peak)} at every step, without warmup or decay.",
            )
        ]
    if not facts.follows_recipe and climbs(curve):
        return []  # several schedules one after the other, or restarts: told by a rule of their own
    if never_left_warmup(facts, curve):
        if facts.recipe is None and facts.info.get("status") == "running":
            return []  # it goes on, and the warmup may end yet
        return [_peak_not_reached(facts, curve, steps, evidence)]
    if rises_after_warmup(facts, curve):
        return [_rising(facts, curve, steps, evidence)]
    return _of_decaying(facts, curve, steps, evidence)


def _peak_not_reached(facts: Facts, curve: Curve, steps: tuple[int, int], evidence: dict) -> Finding:
    planned = ""
    if facts.schedule is not None:
        evidence = {**evidence, "planned_peak": facts.schedule.peak, "warmup": facts.schedule.warmup}
        planned = f" of the planned peak of {number(facts.schedule.peak)}"
    return Finding(
        kind="lr_peak_not_reached",
        scope=facts.scope,
        severity="warning",
        steps=steps,
        evidence=evidence,
        sentence=f"At the last step the learning rate {_was(facts)} still in its warmup, at "
        f"{number(evidence['last'])}{planned}.",
        alternatives=(
            "the run is shorter than its warmup",
            "the warmup was not counted in steps",
            "the run was stopped early",
        ),
        try_="set the warmup to 5 % of the steps and repeat: if the final loss is lower, the warmup was too long",
    )


def _rising(facts: Facts, curve: Curve, steps: tuple[int, int], evidence: dict) -> Finding:
    start = max(curve.steps[0], float(warmup_end(facts, curve) or 0)) if facts.schedule is not None else curve.steps[0]
    after = curve.part(start, np.inf)
    evidence = {**evidence, "after_warmup": float(after.values[0])}
    return Finding(
        kind="lr_rising",
        scope=facts.scope,
        severity="warning",
        steps=(int(after.steps[0]), steps[1]),
        evidence=evidence,
        sentence=f"The learning rate {'rises' if facts.planned else 'rose'} from {number(float(after.values[0]))} "
        f"at step {int(after.steps[0]):,} to {number(evidence['last'])} at the end. Usually it falls.",
        alternatives=("the schedule's floor is higher than its peak", "the warmup is far longer than meant"),
        try_="swap peak and floor, and run both with the same seeds: the difference shows what the rise costs",
    )


def _of_decaying(facts: Facts, curve: Curve, steps: tuple[int, int], evidence: dict) -> list[Finding]:
    found = []
    warmup = warmup_end(facts, curve)
    taken = warmup_share(facts, curve, warmup) if warmup else 0.0
    peak = evidence["peak"]
    if warmup == 0:
        found.append(
            Finding(
                kind="warmup_missing",
                scope=facts.scope,
                severity="note",
                steps=(steps[0], steps[0]),
                evidence=evidence,
                sentence=f"The learning rate {'begins' if facts.planned else 'began'} at {number(evidence['first'])}, "
                "without a warmup.",
            )
        )
    one_cycle = facts.schedule is None and sees_the_start(curve) and is_one_cycle(curve)
    too_long = taken > LONG_WARMUP and not one_cycle
    if too_long:
        found.append(
            Finding(
                kind="warmup_too_long",
                scope=facts.scope,
                severity="warning",
                steps=(steps[0], int(warmup or 0)),
                evidence={**evidence, "warmup": warmup, "share": round(taken, 4)},
                sentence=f"The warmup {'takes' if facts.planned else 'took'} {share(taken)} of the run; "
                "a few per cent are usual.",
                alternatives=("the run was shortened and its warmup was not", "the warmup was not counted in steps"),
                try_="set the warmup to 5 % of the steps and repeat with the same seed: compare the final losses",
            )
        )
    after = curve.values[int(np.argmax(curve.values)) :]
    falls = bool((np.diff(after) <= FIXED_TOLERANCE * peak).all())
    if falls and warmup is None:
        found.append(_start_not_seen(facts, steps, evidence))
    elif falls and evidence["last"] <= DECAYED * peak and warmup != 0 and not too_long:
        found.append(
            Finding(
                kind="schedule_ok",
                scope=facts.scope,
                severity="good",
                steps=steps,
                evidence={**evidence, "warmup": warmup, **({"one_cycle": True} if one_cycle else {})},
                sentence=f"The learning rate {'rises' if facts.planned else 'rose'} to {number(peak)}"
                + (f" by step {warmup:,}" if warmup else "")
                + f" and then {'falls' if facts.planned else 'fell'} to {number(evidence['last'])}."
                + (" Its long rise is that of a one-cycle schedule." if one_cycle else ""),
            )
        )
    return found


def _start_not_seen(facts: Facts, steps: tuple[int, int], evidence: dict) -> Finding:
    return Finding(
        kind="lr_start_not_seen",
        scope=facts.scope,
        severity="note",
        steps=steps,
        evidence=evidence,
        sentence=f"In the record the learning rate only fell, from {number(evidence['first'])} at step {steps[0]:,} to "
        f"{number(evidence['last'])}; whether it was warmed up before step {steps[0]:,} cannot be seen.",
    )


@recipe_rule
def floor_above_peak(facts: Facts) -> Outcome:
    if (schedule := facts.schedule) is None:
        return Silent("needs a recipe (recipe.toml) that plans the learning rates itself")
    if schedule.kind == "constant" or schedule.floor <= schedule.peak:
        return []
    return [
        Finding(
            kind="lr_floor_above_peak",
            scope="recipe",
            severity="warning",
            evidence={"peak": schedule.peak, "floor": schedule.floor},
            sentence=f"The schedule's floor ({number(schedule.floor)}) is higher than its peak "
            f"({number(schedule.peak)}): after the warmup the learning rate rises instead of falling.",
            alternatives=("peak and floor were swapped", "a digit is wrong in one of the two"),
            try_="set the floor to a tenth of the peak (`--set schedule.floor=...`), with the same seed: compare the "
            "final losses",
        )
    ]


def _optimizer(facts: Facts) -> str:
    """By the recipe, or by what a loop said of itself; empty where nobody says. The Trainer's default is AdamW."""
    if facts.recipe is not None:
        return facts.recipe.optimizer.kind
    settings = facts.info.get("settings") or {}
    named = str(settings.get("optimizer") or settings.get("optim") or "").lower()
    return named or ("adamw" if facts.info.get("log_format") == "trainer" else "")


@recipe_rule
def too_high(facts: Facts) -> Outcome:
    optimizer = _optimizer(facts)
    if not optimizer.startswith("adamw"):  # SGD learns with 0.1
        return Silent("applies only to AdamW" + ("" if optimizer else ", and this log does not name its optimizer"))
    curve = _rates(facts)
    if isinstance(curve, Silent):
        return curve
    peak = float(curve.values.max())
    if peak < WEIGHT_SIZE:
        return []
    at = int(curve.steps[int(np.argmax(curve.values))])
    little = little_learned(facts)
    return [
        Finding(
            kind="lr_too_high",
            scope=facts.scope,
            severity="failure" if little else "warning",
            steps=(at, at),
            evidence={"peak": peak, "weight_size": WEIGHT_SIZE},
            sentence=f"The learning rate {'reaches' if facts.planned else 'reached'} {number(peak)}. One step of "
            f"AdamW moves each weight by about the learning rate, and weights usually start at about "
            f"{number(WEIGHT_SIZE)}: one step can replace them.{little}",
            alternatives=("a digit of the learning rate is wrong", "a rate meant for another optimizer, such as SGD"),
            try_="train with a tenth of the peak and the same seed: compare the losses after a tenth of the steps",
        )
    ]


@recipe_rule
def micro_steps(facts: Facts) -> Outcome:
    curve = _rates(facts)
    if facts.schedule is None and isinstance(curve, Silent):
        return curve  # the accumulation would not help
    if facts.accumulation is None:
        return Silent("needs the gradient accumulation", option="--accumulation")
    if facts.accumulation == 1:
        return []
    if (schedule := facts.schedule) is not None:
        if schedule.unit != "micro_step" or schedule.kind == "constant":
            return []
        warmup = schedule.warmup / facts.accumulation
        evidence = {"accumulation": facts.accumulation, "warmup_in_updates": round(warmup, 2)}
        told = f"its warmup of {schedule.warmup:,} lasts only {number(warmup)} updates"
    else:
        assert isinstance(curve, Curve)
        top = int(np.argmax(curve.values))
        lowest = curve.values[top:].min()
        floor_from = top + int(np.argmax(curve.values[top:] <= lowest * (1 + FIXED_TOLERANCE) + 1e-30))
        reached = float(curve.steps[floor_from] / curve.steps[-1])
        flat = bool((curve.values[floor_from:] <= lowest * (1 + 2 * FIXED_TOLERANCE) + 1e-30).all())
        expected = 1.0 / facts.accumulation
        if is_fixed(curve) or floor_from == top or not flat or not 0.8 * expected <= reached <= 1.2 * expected:
            return []
        evidence = {"accumulation": facts.accumulation, "floor_reached_at": reached}
        told = (
            f"the learning rate reached its floor after {share(reached)} of the run, about 1/{facts.accumulation} of it"
        )
    return [
        Finding(
            kind="schedule_in_micro_steps",
            scope=facts.scope,
            severity="warning",
            evidence=evidence,
            sentence=f"The schedule counts micro-steps (forward-backward passes), and {facts.accumulation} of them "
            f"make one update: {told}.",
            alternatives=("the scheduler is stepped after each pass", "its numbers were meant as micro-steps"),
            try_="print the learning rate of the first 50 updates and compare it with the plan",
        )
    ]


@rule
def jump_on_resume(facts: Facts) -> Outcome:
    curve = _rates(facts)
    if isinstance(curve, Silent):
        return curve
    resumed = [int(event["step"]) for event in facts.events if event.get("event") == "resumed"]
    if not resumed:
        return [] if facts.recipe is not None else Silent("needs the steps at which the run was resumed")
    found = []
    for step in resumed:
        before, after = curve.part(-1, step), curve.part(step + 1, np.inf)
        if len(before) < 2 or not len(after):
            continue
        old, new = float(before.values[-1]), float(after.values[0])
        slope = (old - float(before.values[-2])) / (before.steps[-1] - before.steps[-2])
        expected = old + slope * (after.steps[0] - before.steps[-1])
        if abs(new - expected) <= JUMP * max(expected, new):
            continue
        found.append(
            Finding(
                kind="lr_jump_on_resume",
                scope="run",
                severity="warning",
                steps=(step, int(after.steps[0])),
                evidence={"before": old, "after": new},
                sentence=f"When the run was resumed at step {step:,}, the learning rate jumped from {number(old)} "
                f"to {number(new)}.",
                alternatives=("the number of steps was changed", "the schedule's state was not restored"),
                try_="compare the number of steps in the recipe before and after the resume",
            )
        )
    return found
