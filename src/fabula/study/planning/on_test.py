"""A ladder's questions asked once more, of the losses on the test stories."""

import math
from dataclasses import dataclass, replace

import numpy as np

from fabula.record.reader import Run
from fabula.study.inference.effects import Effect
from fabula.study.questions import COLUMNS, ask
from fabula.study.views import LadderView, RunView


@dataclass(frozen=True)
class Twice:
    """A question's answer on validation and on test; None where a run has no loss on test."""

    validation: Effect
    test: Effect | None


@dataclass(frozen=True)
class OnTest:
    when: str = ""
    planned_before: bool = False
    """Whether a plan was frozen before."""
    answers: tuple[Twice, ...] = ()
    num_runs: int = 0
    problem: str = ""


def on_test(ladder: LadderView) -> OnTest | None:
    """None where nothing was unsealed."""
    told = ladder.unsealed
    if told is None:
        return None
    if told.problem:
        return OnTest(problem=told.problem)
    tested = ask(
        replace(
            ladder,
            tiers=tuple(
                replace(
                    tier,
                    phases=tuple(
                        replace(phase, runs=tuple(_tested(view, ladder) for view in phase.runs))
                        for phase in tier.phases
                    ),
                )
                for tier in ladder.tiers
            ),
        )
    )
    by_question = {each.contrast: each for each in tested.effects}
    answers = tuple(Twice(each, by_question.get(each.contrast)) for each in ladder.effects)
    planned = told.plan_hash is not None and ladder.frozen is not None and told.plan_hash == ladder.frozen.hash
    return OnTest(told.when, planned, answers, len(told.losses))


def _tested(view: RunView, ladder: LadderView) -> RunView:
    """The run with its final losses on test in place of those on validation; a failed run as it is."""
    assert ladder.unsealed is not None, "asked only where it is"
    if view.run is None or view.run.status == "failed":
        return view
    where = f"runs/{view.tier}/{view.phase}/seed-{view.seed}"
    losses = ladder.unsealed.losses.get(where, {})
    rulers = {name: ladder.unsealed.rulers.get(f"{view.tier}/{name}", "") for name in COLUMNS}
    values = {column: losses.get(name, math.nan) for name, column in COLUMNS.items()}
    values |= {"step": view.final.get("step", 1.0), "full": 1.0, "positions": view.final.get("positions", math.nan)}
    evals = {name: np.array([value]) for name, value in values.items()}
    info = {**view.info, "rulers": rulers}
    return replace(view, run=Run(view.path, info, view.run.train, evals, view.run.events) if losses else None)
