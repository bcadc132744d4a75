"""Puts to a ladder's runs the questions that its design can answer."""

import math
from collections.abc import Callable
from dataclasses import replace

from fabula.study.inference.contrasts import ComparedRecipe, Place, across_tiers, contrasts
from fabula.study.inference.effects import PROTOCOLS, Final, answer, with_holm
from fabula.study.inference.noise import NoiseFloor, noise_floor
from fabula.study.inference.sequential import asked_in_turn, until_told
from fabula.study.inference.story_bootstrap import Stories, with_story_intervals
from fabula.study.views import LadderView, RunView, TierView

COLUMNS = {
    "stream": "val_loss",
    "story": "val_loss_story",
    "stream_at_128": "val_loss_at_128",
    "story_at_128": "val_loss_story_at_128",
}
"""Ruler -> column of the final evaluation."""
ROUGHNESS = "roughness"


def ask(ladder: LadderView) -> LadderView:
    """The same ladder with effects, interactions and noise: one Holm table for the losses, another for roughness."""
    asked = {
        tier.name: contrasts(
            tier.name, [ComparedRecipe(phase.name, phase.includes) for phase in tier.phases], in_order=tier.in_order
        )
        for tier in ladder.tiers
    }
    within = [each for questions in asked.values() for each in questions]
    finals, ends = _by_place(ladder, _final), _by_place(ladder, _end)
    told, questions = until_told(ladder.plan), [*within, *across_tiers(asked)]
    if told is None:
        losses = with_holm([answer(each, finals) for each in questions])
    else:
        losses = asked_in_turn(questions, finals, told)
    losses = with_story_intervals(losses, _stories(ladder))
    rough = with_holm([answer(each, ends, (ROUGHNESS,)) for each in within if each.kind == "effect"])
    tiers = tuple(
        replace(
            tier,
            effects=tuple(each for each in losses if each.contrast.tiers == (tier.name,)),
            roughness=tuple(each for each in rough if each.tier == tier.name and each.comparisons),
            noise=_noise(tier),
        )
        for tier in ladder.tiers
    )
    return replace(ladder, tiers=tiers, across=tuple(each for each in losses if len(each.contrast.tiers) > 1))


def _noise(tier: TierView) -> tuple[NoiseFloor, ...]:
    floors = (noise_floor(name, [phase.final_losses(COLUMNS[name]) for phase in tier.phases]) for name in PROTOCOLS)
    return tuple(floor for floor in floors if floor is not None)


def _by_place(ladder: LadderView, final_of: Callable[[RunView], Final]) -> dict[Place, list[Final]]:
    """The runs that have come to an end, by tier and recipe; failed ones without losses."""
    return {
        (tier.name, phase.name): [final_of(view) for view in phase.complete]
        + [Final(view.seed, {}, {}, math.nan) for view in phase.failed]
        for tier in ladder.tiers
        for phase in tier.phases
    }


def _final(view: RunView) -> Final:
    losses = {name: view.final[column] for name, column in COLUMNS.items() if column in view.final}
    rulers = {name: str(view.of("rulers", name)) for name in COLUMNS}
    return Final(view.seed, losses, rulers, view.final.get("positions", math.nan))


def _end(view: RunView) -> Final:
    """Roughness in place of a loss. Where a record is too short for it there is none, which is no failure."""
    known = {} if view.roughness is None else {ROUGHNESS: view.roughness}
    return Final(view.seed, {**known, "finished": 0.0}, {}, view.final.get("positions", math.nan))


def _stories(ladder: LadderView) -> Stories:
    return {
        ((view.tier, view.phase), view.seed): view.run.stories
        for view in ladder.runs
        if view.run is not None and view.finished
    }
