"""Which recipes of a growing ladder are given more seeds, and when it stops."""

from collections.abc import Sequence
from dataclasses import replace

from fabula.record.wording import plural
from fabula.study.inference.contrasts import Place
from fabula.study.inference.effects import Effect
from fabula.study.inference.sequential import Look, UntilTold
from fabula.study.questions import ask
from fabula.study.views import LadderView

LEAST_HOURS = 1e-6
"""Of a run whose record has no times."""
ROUNDING = 1e-9
"""Of the seeds that a budget pays for."""


def after_runs(told: UntilTold, ladder: LadderView, at: str, workers: int) -> UntilTold:
    """What is made next, or why nothing is, once all that `told.now` names has come to an end. A look is taken where
    the questions that are open have the seeds of the next planned one, or where the budget allows no more."""
    hours, places = hours_spent(ladder, workers), _open(told, ladder)
    left = told.looks[len(told.taken) :]
    if left and _num_seeds(told, places) >= left[0]:
        told = _looked(told, at, hours)
        places = _open(told, ladder)
    new = _with_more(told, places, ladder, workers)
    if new.stopped and places and _not_seen(told, places):
        told = _looked(told, at, hours)
        new = _with_more(told, _open(told, ladder), ladder, workers)
    return new


def _with_more(told: UntilTold, places: Sequence[Place], ladder: LadderView, workers: int) -> UntilTold:
    """More seeds for `places`, the recipes of open questions; or the reason why it stops."""
    if not places:
        return replace(told, stopped=_all_decided(_answers(told, ladder), ladder))
    if len(told.taken) == len(told.looks):
        return replace(told, stopped=f"{told.looks[-1]} seeds are the most that a ladder is given")
    num, wanted = _num_seeds(told, places), told.looks[len(told.taken)]
    if told.budget_hours is not None:
        of_a_run = _hours_of_a_run(ladder)
        of_a_seed = max(LEAST_HOURS, sum(of_a_run[place] for place in places) / workers)
        more = (told.budget_hours - hours_spent(ladder, workers)) / of_a_seed
        wanted = min(wanted, num + int(max(0.0, more) + ROUNDING))
    if wanted <= num:
        return replace(told, stopped=f"the budget of {told.budget_hours:g} hours allows no more")
    return replace(told, now={**told.now, **dict.fromkeys(places, wanted)}, stopped="")


def hours_spent(ladder: LadderView, workers: int) -> float:
    """The time of all runs that are there, as many of them side by side as there are workers."""
    return sum(view.seconds or 0.0 for view in ladder.runs) / 3600.0 / workers


def look_words(told: UntilTold, ladder: LadderView) -> str:
    """What the last look came to, in a line."""
    answers = _answers(told, ladder)
    words = {"told": "told", "smaller": "shown to be smaller", "lost": "cannot be told", "open": "open"}
    parts = []
    for outcome, word in words.items():
        names = [question_name(each, ladder) for each in answers if each.turn and each.turn.outcome == outcome]
        parts += [f"{word}: {', '.join(names)}"] if names else []
    return f"look {len(told.taken)} of {len(told.looks)}: {'; '.join(parts)}"


def question_name(each: Effect, ladder: LadderView) -> str:
    """With its tier, where there are several."""
    return f"{each.tier}: {each.name}" if len(ladder.tiers) > 1 and len(each.contrast.tiers) == 1 else each.name


def plan_words(told: UntilTold) -> str:
    """The rule, as it was written down before the first run."""
    smaller = f", or is shown to be smaller than {told.detect:g} nats" if told.detect is not None else ""
    budget = f", or until {told.budget_hours:g} hours are spent" if told.budget_hours is not None else ""
    looks = ", ".join(map(str, told.looks[:-1]))
    with_seeds = f"{looks} and {told.looks[-1]}" if looks else str(told.looks[-1])
    return (
        f"more seeds for the recipes of open questions until each question is told{smaller}{budget}; looked at with "
        f"{with_seeds} seeds, which is the most"
    )


def _looked(told: UntilTold, at: str, hours: float) -> UntilTold:
    return replace(told, taken=(*told.taken, Look(at, round(hours, 4), dict(told.now))))


def _answers(told: UntilTold, ladder: LadderView) -> Sequence[Effect]:
    return ask(replace(ladder, plan={**ladder.plan, "until_told": told.as_json()})).effects


def _open(told: UntilTold, ladder: LadderView) -> list[Place]:
    """The recipes of the questions that are not decided: of all, before the first look."""
    if not told.taken:
        return list(told.now)
    answers = [each for each in _answers(told, ladder) if each.turn is not None and each.turn.outcome == "open"]
    asked = {place for each in answers for place, weight in each.contrast.weights if weight}
    return [place for place in told.now if place in asked]


def _num_seeds(told: UntilTold, places: Sequence[Place]) -> int:
    return min((told.now[place] for place in places), default=0)


def _not_seen(told: UntilTold, places: Sequence[Place]) -> bool:
    """Whether there are runs that no look has seen, and a look is left for them."""
    seen = told.taken[-1].seeds if told.taken else {}
    more = any(num > seen.get(place, 0) for place, num in told.now.items())
    return more and len(told.taken) < len(told.looks) and _num_seeds(told, places) > 1


def _hours_of_a_run(ladder: LadderView) -> dict[Place, float]:
    """The mean over the runs of each recipe."""
    return {
        (tier.name, phase.name): sum(view.seconds or 0.0 for view in phase.read) / 3600.0 / max(1, len(phase.read))
        for tier in ladder.tiers
        for phase in tier.phases
    }


def _all_decided(answers: Sequence[Effect], ladder: LadderView) -> str:
    lost = [question_name(each, ladder) for each in answers if each.turn is not None and each.turn.outcome == "lost"]
    if lost:
        return f"nothing more can be told ({plural(len(lost), 'question')} without a verdict: {', '.join(lost)})"
    smaller = any(each.turn is not None and each.turn.outcome == "smaller" for each in answers)
    return f"every question is told{' or shown to be small' if smaller else ''}"
