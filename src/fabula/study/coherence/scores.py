"""Scores of stories over steps, phases and tiers: each with its interval over prompts, compared as losses are."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from fabula.record.wording import plural
from fabula.study.coherence.evaluated import Evaluated, Telling, evaluations, judgements
from fabula.study.inference.contrasts import ComparedRecipe, contrasts
from fabula.study.inference.effects import Effect, Final, answer, with_holm
from fabula.study.inference.statistics import Interval
from fabula.study.judging.scores import OVERALL, Judged, clustered
from fabula.study.views import LadderView, PhaseView

CONSISTENCY, MARK = "consistency", "mark"
CALLED = {CONSISTENCY: "consistency", MARK: "the judge's mark"}


@dataclass(frozen=True)
class Scored:
    """One run at one step."""

    step: int
    evaluated: Evaluated | None
    judged: Judged | None

    @cached_property
    def consistency(self) -> Interval | None:
        return None if self.evaluated is None else clustered(_consistencies(self.evaluated.stories))

    @property
    def mark(self) -> Interval | None:
        return None if self.judged is None else self.judged.scores.get(OVERALL)

    @property
    def believed(self) -> bool:
        return self.judged is not None and self.judged.reliability.verdict == "reliable"


Place = tuple[str, str, int]
"""Tier, phase, seed."""


def scored(ladder: LadderView) -> dict[Place, list[Scored]]:
    """Of every run that was evaluated or judged, its steps in their order; of several judges the last."""
    found: dict[Place, list[Scored]] = {}
    for view in ladder.runs:
        told = {each.step: each for each in evaluations(view)}
        said = {each.session.step: each for each in judgements(view)}
        steps = sorted(told.keys() | said.keys())
        if steps:
            found[view.tier, view.phase, view.seed] = [Scored(step, told.get(step), said.get(step)) for step in steps]
    return found


def _consistencies(stories: Sequence[Telling]) -> list[tuple[str, float]]:
    return [(each.prompt, each.measures[CONSISTENCY]) for each in stories if CONSISTENCY in each.measures]


def compared(ladder: LadderView, there: Mapping[Place, Sequence[Scored]]) -> list[Effect]:
    """What each change of a ladder did to the scores at the end, by the statistics of the losses: paired seeds, the
    spread of all runs of the tier, one error rate (Holm). A score is a loss with its sign turned: lower is better.
    """
    found: list[Effect] = []
    for tier in ladder.tiers:
        recipes = [ComparedRecipe(phase.name, phase.includes) for phase in tier.phases]
        asked = [each for each in contrasts(tier.name, recipes, in_order=tier.in_order) if each.kind == "effect"]
        for name in CALLED:
            finals = {(tier.name, phase.name): _finals(phase, name, there) for phase in tier.phases}
            found += [answer(each, finals, (name,)) for each in asked]
    return with_holm([each for each in found if each.comparisons])


def _finals(phase: PhaseView, name: str, there: Mapping[Place, Sequence[Scored]]) -> list[Final]:
    """The scores of a phase's runs at their last step; failed runs without one. Who was not evaluated is not there."""
    finals = [Final(view.seed, {}, {}, math.nan) for view in phase.failed]
    for view in phase.complete:
        steps = there.get((view.tier, view.phase, view.seed), ())
        if not steps or steps[-1].step != int(view.last.get("step", 0)):
            continue
        last = steps[-1]
        told = last.consistency if name == CONSISTENCY else last.mark if last.believed else None
        if told is not None:
            positions = view.final.get("positions", math.nan)
            finals.append(Final(view.seed, {name: -told.mean}, {name: _ruler(last, name)}, positions))
    return finals


def _ruler(each: Scored, name: str) -> str:
    """What two scores must have in common to be compared: prompts, settings, and the judge. The marks of one that is
    not believed are compared with nothing."""
    prompts = "" if each.evaluated is None else each.evaluated.hash
    if name == CONSISTENCY or each.judged is None:
        return prompts
    session = each.judged.session
    return f"{session.judge} {session.url} {session.rubric} {prompts}"


def effect_sentence(each: Effect) -> str:
    """`packed against cosine: consistency is higher by 0.12 (95 % interval 0.05 to 0.19; 3 seeds): improved.`"""
    told = each.headline
    assert told is not None, "only effects with a comparison are kept"
    higher = -told.estimate.mean
    said = (
        f"`{each.after}` against `{each.before}`: {CALLED[told.protocol]} is {'higher' if higher > 0 else 'lower'} by "
        f"{abs(higher):.2f}"
    )
    if told.estimate.low is None or told.estimate.high is None or each.verdict == "no verdict":
        return f"{said} ({plural(len(each.seeds), 'seed')}); no verdict, because {each.reason or 'there are too few'}."
    low, high = sorted((-told.estimate.low, -told.estimate.high))
    ends = f"{low:.2f} to {high:.2f}".replace("-", "\N{MINUS SIGN}")
    return f"{said} (difference {ends} at 95 %; {plural(len(each.seeds), 'seed')}): {each.verdict}."
