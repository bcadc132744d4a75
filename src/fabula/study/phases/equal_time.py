"""Effects at equal time, where the times may be believed: runs made one after the other, on a machine of their own."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fabula.record.content.shape import count_or_zero
from fabula.record.wording import plural, share_text
from fabula.study.inference.contrasts import ComparedRecipe, contrasts
from fabula.study.inference.effects import Effect, Final, answer, with_holm
from fabula.study.views import LadderView, RunView, TierView

MOST_WAITING = 0.02
"""Share of a run's time that it may have waited for a processor: the housekeeping of a quiet machine."""
SAME_TIME = 0.03
"""Recipes whose times differ by less have had equal time already; speed itself varies by this much."""


@dataclass(frozen=True)
class EqualTime:
    """Effects at the time at which the fastest recipe was done, or the reason why there are none."""

    reason: str
    seconds: float = 0.0
    effects: tuple[Effect, ...] = ()


def equal_time(ladder: LadderView, tier: TierView) -> EqualTime:
    """The loss on the curves' subset when the fastest recipe of `tier` was done, recipe against recipe."""
    runs = [view for phase in tier.phases for view in phase.complete]
    reason = _neighbours(ladder, runs)
    if reason:
        return EqualTime(reason)
    means = [float(np.mean([view.seconds for view in phase.complete])) for phase in tier.phases if phase.complete]
    if len(means) < 2 or max(means) - min(means) < SAME_TIME * max(means):
        return EqualTime("equal positions took equal time" if len(means) > 1 else "there is one recipe only")
    until = min(float(view.seconds or 0.0) for view in runs)
    finals = {
        (tier.name, phase.name): [_at(view, until) for view in phase.complete]
        + [Final(view.seed, {}, {}, np.nan) for view in phase.failed]
        for phase in tier.phases
    }
    asked = contrasts(tier.name, [ComparedRecipe(phase.name, phase.includes) for phase in tier.phases])
    told = [answer(each, finals) for each in asked if each.kind == "effect"]
    return EqualTime("", until, tuple(with_holm(told)))


def _neighbours(ladder: LadderView, runs: Sequence[RunView]) -> str:
    """Why the times say nothing about the recipes; empty where they do."""
    workers = ladder.plan.get("workers")
    if workers is None:
        return "it was not recorded how many runs shared the machine"
    if workers > 1:
        return f"{workers} runs shared the machine"
    if on := ladder.plan.get("on"):
        return f"the runs were shared out by {on}, which may have put several on one machine"
    if unlike := unlike_machines(runs):
        return f"the runs were made on unlike machines ({unlike})"
    if len({(view.of("device"), view.of("threads")) for view in runs}) > 1:
        return "the runs were made on different devices or numbers of threads"
    waits = [(view.of("timings", "waiting_seconds"), view.of("timings", "total_seconds")) for view in runs]
    shares = [float(waited) / float(total) for waited, total in waits if waited is not None and total]
    if len(shares) < len(runs):
        return "it was not recorded whether other work ran beside the runs"
    if shares and max(shares) > MOST_WAITING:
        return f"other work ran beside: a run waited for a processor for up to {share_text(max(shares))} of its time"
    return ""


def unlike_machines(runs: Sequence[RunView]) -> str:
    """The kinds of machine that the runs were made on, with their numbers of runs; empty where they are of one kind, or
    not on record."""
    kinds = Counter(kind for view in runs for kind in {machine_text(each) for each in view.of("machines") or ()})
    return ", ".join(f"{kind}: {plural(count, 'run')}" for kind, count in kinds.items()) if len(kinds) > 1 else ""


def machine_text(machine: Mapping[str, Any]) -> str:
    """Its kind: machines of one kind are equally fast, whatever they are called."""
    return f"{machine.get('processor') or 'a processor'}, {plural(count_or_zero(machine.get('cores')), 'core')}"


def _at(view: RunView, seconds: float) -> Final:
    """The loss on the curves' subset after so much training, between two evaluations on a straight line."""
    assert view.run is not None, "a complete run is there"
    evals = view.run.evals
    losses: dict[str, float] = {}
    if {"seconds", "val_loss_subset"} <= evals.keys():
        losses["stream"] = float(np.interp(seconds, evals["seconds"], evals["val_loss_subset"]))
    return Final(view.seed, losses, {"stream": str(view.of("rulers", "stream_subset"))}, 1.0)
