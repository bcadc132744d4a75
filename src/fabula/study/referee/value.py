"""Which number stands for a run: one rule for all groups of a comparison, made before any of them is looked at.

The validation loss where all groups log one, else the training loss; at the runs' ends where these are equal, else at
the most tokens (or steps) that all of them have.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fabula.errors import InputError
from fabula.findings.facts import Curve
from fabula.record.wording import plural
from fabula.study.inference.effects import SAME_POSITIONS
from fabula.study.referee.members import Group, Member

Loss = Literal["validation", "training"]
By = Literal["end", "tokens", "steps", "seconds"]
COLUMN = {"tokens": "tokens", "steps": "step", "seconds": "seconds"}
TAIL = 0.1
"""Of the way, over which a training loss is averaged: a batch alone is mostly luck."""
LOST = 3
"""Values at the end of a training loss that are not finite, all of them: one may be a batch that was skipped."""
LEAST_COMMON = 0.5
"""Of the longer way: a run that stopped before half of it, where another was still to learn, shows another training."""
PER_GPT2_TOKEN = "val_loss_gpt2"


@dataclass(frozen=True)
class Asked:
    """What the user wants compared; None: by the rule."""

    loss: Loss | None = None
    by: By | None = None
    last: int = 1
    """Evaluations, up to the place of the comparison, whose mean it is."""


@dataclass(frozen=True)
class Rule:
    loss: Loss
    by: By
    at: float | None
    """So many tokens, steps or seconds; None at each run's end."""
    last: int = 1
    final: str = ""
    """The column of the final evaluation on all validation stories, where fabula made all runs and all have it; empty:
    the logged curve, for all of them."""
    why: str = ""
    """What decided it, where that is not what is usual."""

    def sentence(self) -> str:
        if self.loss == "training":
            what = f"the mean training loss over the last {TAIL:.0%} of the way".replace("%", " %")
        elif self.last > 1:
            what = f"the mean of the last {self.last} validation losses"
        else:
            what = "the loss on all validation stories" if self.final else "the validation loss"
        if self.final == PER_GPT2_TOKEN:
            what += ", per GPT-2 token since the tokenizers differ"
        where = "at the end of each run" if self.at is None else f"at {self.at:,.0f} {self.by}, which all runs reached"
        return f"{what}, {where}" + (f" ({self.why})" if self.why else "")


def rule_for(groups: Sequence[Group], asked: Asked) -> Rule:
    """Raises InputError where what was asked for is not in the logs."""
    members = [member for group in groups for member in group.members if not failure(member)]
    if not members:
        return Rule(asked.loss or "validation", "end", None, asked.last)
    loss, why = _loss(members, asked)
    there = [member for member in members if curve_of(member, loss) is not None]
    if not there:
        raise InputError(f"no run has a {loss} loss; say which column it is with --columns")
    if asked.last > 1 and loss == "training":
        raise InputError("--last counts evaluations, and it is the training loss that is compared; leave it out")
    by = asked.by or _by(there, loss)
    if asked.by is None and by != "end":
        why = "; ".join([each for each in (why, "the runs did not go equally far") if each])
    if by == "end":
        return Rule(loss, by, None, asked.last, _final(there, loss, asked), why)
    for member in there:
        if _way(member, by) is None:
            raise InputError(f"of {member.label} no {by} are known; choose another --by (end, tokens, steps, seconds)")
    return Rule(loss, by, min(end_of(member, loss, by) for member in there), asked.last, why=why)


def _loss(members: Sequence[Member], asked: Asked) -> tuple[Loss, str]:
    if asked.loss is not None:
        return asked.loss, ""
    if all(curve_of(member, "validation") is not None for member in members):
        return "validation", ""
    without = next(member for member in members if curve_of(member, "validation") is None)
    if all(curve_of(member, "training") is not None for member in members):
        return "training", f"{without.label} has no validation loss"
    some = any(curve_of(member, "validation") is not None for member in members)
    return ("validation" if some else "training"), ""


def _by(members: Sequence[Member], loss: Loss) -> By:
    """At the end where all runs made equally many steps, positions and tokens, as far as they say."""
    own = not any(member.foreign for member in members)
    ways: list[By] = ["steps", "tokens"]
    known = [by for by in ways if all(_way(member, by) is not None for member in members)]
    if own:  # of rows that are padded a step has fewer tokens, and costs as much
        ends = [[end_of(member, loss, "steps") for member in members], [_positions(member) for member in members]]
    else:
        ends = [[end_of(member, loss, by) for member in members] for by in known]
    if all(max(each) - min(each) <= SAME_POSITIONS * max(each) for each in ends):
        return "end"
    return "tokens" if "tokens" in known else "steps"


def _positions(member: Member) -> float:
    return float(np.nanmax(member.run.evals.get("positions", np.zeros(1)), initial=0.0))


def _final(members: Sequence[Member], loss: Loss, asked: Asked) -> str:
    """Runs of other tokenizers on the same text have one loss in common."""
    if loss == "training" or asked.last > 1 or any(member.foreign for member in members):
        return ""
    if len({member.content.measured.tokenizer for member in members}) > 1:
        return PER_GPT2_TOKEN if all(PER_GPT2_TOKEN in member.facts.final for member in members) else ""
    return "val_loss" if all("val_loss" in member.facts.final for member in members) else ""


def curve_of(member: Member, loss: Loss) -> Curve | None:
    """What was logged of it after the first update, with what is not finite."""
    facts = member.facts
    curve = facts.val_loss if loss == "validation" else facts.train_loss or facts.held_train_loss
    if curve is None:
        return None
    later = curve.part(1.0, np.inf) if curve.steps[0] < 1.0 and len(curve) > 1 else curve
    return later if len(later) else None


def _way(member: Member, by: By) -> tuple[np.ndarray, np.ndarray] | None:
    """Steps, and how far the run was then; None where it is not logged."""
    if by == "steps":
        return np.array([0.0, 1e15]), np.array([0.0, 1e15])
    parts = (member.run.train, member.run.evals)
    steps = np.concatenate([part["step"] for part in parts])
    far = np.concatenate([part.get(COLUMN[by], np.full(len(part["step"]), np.nan)) for part in parts])
    keep = np.isfinite(far) & np.isfinite(steps)
    order = np.argsort(steps[keep], kind="stable")
    steps, far = steps[keep][order], far[keep][order]
    return (steps, far) if len(steps) and far[-1] > 0 else None


def _places(member: Member, curve: Curve, by: By) -> np.ndarray:
    way = _way(member, by)
    assert way is not None, "asked only of what is logged"
    return np.interp(curve.steps, *way)


def end_of(member: Member, loss: Loss, by: By = "steps") -> float:
    """How far the loss is logged; 0 where it is not."""
    curve = curve_of(member, loss)
    if curve is None or not len(curve.finite) or _way(member, by) is None:
        return 0.0
    return float(_places(member, curve.finite, by)[-1])


def failure(member: Member) -> str:
    """Why the run counts as failed; empty where it does not."""
    if member.run.status == "failed":
        return "the run says that it failed"
    for loss, most in (("validation", 1), ("training", LOST)):
        curve = curve_of(member, "validation" if loss == "validation" else "training")
        if curve is not None and not np.isfinite(curve.values[-most:]).any():
            return f"its {loss} loss did not stay finite"
    return ""


def value_of(member: Member, rule: Rule) -> float | None:
    """None where the run does not log what the rule asks for."""
    if rule.final:
        return member.facts.final.get(rule.final)
    curve = curve_of(member, rule.loss)
    if curve is None or not len(curve.finite):
        return None
    curve = curve.finite
    by = "steps" if rule.by == "end" else rule.by
    if _way(member, by) is None:
        return None
    places = _places(member, curve, by)
    at = float(places[-1]) if rule.at is None else rule.at
    if rule.loss == "training":
        tail = curve.values[(places <= at) & (places > (1.0 - TAIL) * at)]
        return float(tail.mean()) if len(tail) else float(np.interp(at, places, curve.values))
    if rule.last == 1:
        return float(np.interp(at, places, curve.values))
    before = curve.values[places <= at * (1 + 1e-9)]
    if len(before) < rule.last:
        raise InputError(
            f"{member.label} has {plural(len(before), 'evaluation')} up to there, and --last asks for the mean of "
            f"{rule.last}; ask for fewer"
        )
    return float(before[-rule.last :].mean())
