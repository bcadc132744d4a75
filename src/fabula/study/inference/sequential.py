"""Verdicts of a ladder that is looked at several times while it grows, valid whenever it stops.

How often it may be looked at, with how many seeds, and which part of the error rate each look may spend stands in
ladder.json before the first run. A verdict at a look needs a p below the look's part. Whatever was seen before and
whichever recipes were given more seeds for it, the parts add up to one, so the chance of any false verdict stays below
5 % (Bonferroni's inequality over the looks; an alpha-spending function in the sense of Lan and DeMets 1983 that takes
nothing for granted about how looks hang together, as Pocock's or O'Brien and Fleming's bounds do: with three seeds and
spreads that are shared nobody knows that). Within a look Holm's method goes on where the looks before it ended (Ye,
Li, Liu and Yao 2013). Intervals are repeated confidence intervals (Jennison and Turnbull 1989): at the look's level,
so that all of a question's together hold with 95 %.

"Smaller than detect" is shown by two one-sided tests (Schuirmann 1987) on both protocols at the same part, each
question's share being one of all (Bonferroni). No effect can be zero and as large as `detect`, so this is an error rate
of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fabula.errors import InputError
from fabula.study.inference.contrasts import Contrast, Place
from fabula.study.inference.effects import LEVEL, PROTOCOLS, Effect, Finals, Turn, answer, with_holm

SHARE_AT = {3: 0.1, 4: 0.2, 6: 0.3, 9: 0.2, 12: 0.1, 16: 0.1}
"""Seeds -> part of the error rate. Three seeds find what is large anyway, and the last looks are seldom reached: with
equal parts, ladders with one change of two standard deviations need 6 % more runs (docs/log.md)."""
MOST_SEEDS = max(SHARE_AT)
FEWEST_SEEDS = 2
Seeds = Mapping[Place, int]
"""How many seeds of each recipe: 0 to N - 1."""


def planned_looks(first: int) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """With how many seeds a ladder that begins with `first` is looked at, and what each look may spend."""
    looks = (first, *(num for num in SHARE_AT if num > first))
    parts = [SHARE_AT[max((num for num in SHARE_AT if num <= look), default=min(SHARE_AT))] for look in looks]
    return looks, tuple(part / sum(parts) for part in parts)


@dataclass(frozen=True)
class Look:
    at: str
    """When it was taken."""
    hours: float
    """Spent until then."""
    seeds: Seeds


@dataclass(frozen=True)
class UntilTold:
    """What ladder.json holds of a ladder that grows until its questions are told."""

    looks: tuple[int, ...]
    shares: tuple[float, ...]
    detect: float | None
    """Effects shown to be smaller need not be told."""
    budget_hours: float | None
    now: Seeds
    """What is there, or being made."""
    taken: tuple[Look, ...] = ()
    stopped: str = ""
    """Why it stopped; empty while it goes on."""

    @property
    def same_rule(self) -> tuple[Any, ...]:
        """What must not change once the ladder has begun. A budget may: looks are valid whenever the ladder stops."""
        return self.looks, self.shares, self.detect

    def as_json(self) -> dict[str, Any]:
        return {
            "looks": list(self.looks),
            "shares": list(self.shares),
            "detect": self.detect,
            "budget_hours": self.budget_hours,
            "now": _nested(self.now),
            "taken": [{"at": look.at, "hours": look.hours, "seeds": _nested(look.seeds)} for look in self.taken],
            "stopped": self.stopped,
        }


def begun(first: int, detect: float | None, budget_hours: float | None, places: Sequence[Place]) -> UntilTold:
    """Before the first run. On a budget a ladder begins with two seeds, from which it knows what a run costs."""
    looks, shares = planned_looks(first)
    return UntilTold(
        looks, shares, detect, budget_hours, dict.fromkeys(places, FEWEST_SEEDS if budget_hours else first)
    )


def until_told(plan: Mapping[str, Any]) -> UntilTold | None:
    """From ladder.json; None for a ladder with a fixed number of seeds.

    Raises InputError where it cannot have been written by `fabula ladder`.
    """
    tree = plan.get("until_told")
    if tree is None:
        return None
    try:
        told = UntilTold(
            looks=tuple(_count(num) for num in tree["looks"]),
            shares=tuple(float(share) for share in tree["shares"]),
            detect=None if tree["detect"] is None else float(tree["detect"]),
            budget_hours=None if tree["budget_hours"] is None else float(tree["budget_hours"]),
            now=_flat(tree["now"]),
            taken=tuple(Look(str(each["at"]), float(each["hours"]), _flat(each["seeds"])) for each in tree["taken"]),
            stopped=str(tree["stopped"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(f"ladder.json, until_told is damaged ({error!r}); choose another --out") from error
    whole = len(told.looks) == len(told.shares) >= len(told.taken) and 0 < sum(told.shares) < 1.0 + 1e-9
    if not whole or min(told.shares) <= 0 or (told.detect is not None and not told.detect > 0):
        raise InputError("ladder.json, until_told: its looks and shares do not belong together; choose another --out")
    return told


def asked_in_turn(contrasts: Sequence[Contrast], finals: Finals, told: UntilTold) -> list[Effect]:
    """Each question's answer at the look that decided it, or at the last one so far."""
    answers: dict[int, Effect] = {}
    for number, look in enumerate(told.taken):
        share = told.shares[number]
        seen = {place: [run for run in runs if run.seed < look.seeds.get(place, 0)] for place, runs in finals.items()}
        still = [index for index in range(len(contrasts)) if index not in answers or _is_open(answers[index])]
        num_told = sum(each.turn is not None and each.turn.outcome == "told" for each in answers.values())
        judged = with_holm(
            [answer(contrasts[index], seen, share=share) for index in still], share, len(contrasts) - num_told
        )
        for index, each in zip(still, judged, strict=True):
            before = answers[index].turn if index in answers else None
            turn = Turn(
                look=number + 1,
                looks=len(told.looks),
                spent=(before.spent if before else 0.0) + (1.0 - LEVEL) * share / max(1, len(contrasts) - num_told),
                outcome=_outcome(each, share, len(contrasts), told.detect),
                detect=told.detect,
            )
            answers[index] = replace(each, turn=turn)
    if not answers:
        reason = "the ladder was not looked at yet"
        return [Effect(each, (), {}, reason) for each in contrasts]
    return [answers[index] for index in range(len(contrasts))]


def _is_open(each: Effect) -> bool:
    return each.turn is not None and each.turn.outcome == "open"


def _outcome(each: Effect, share: float, num_questions: int, detect: float | None) -> Any:
    if each.verdict == "no verdict":
        return "lost"
    if each.verdict != "no evidence":
        return "told"
    if detect is not None and num_questions * _p_of_larger(each, detect) / share < 1.0 - LEVEL:
        return "smaller"
    return "open"


def _p_of_larger(each: Effect, detect: float) -> float:
    """Of "the effect is `detect` or larger", up or down, on one protocol at least."""
    if set(each.comparisons) != set(PROTOCOLS):
        return 1.0
    ps = []
    for told in each.comparisons.values():
        room = detect - abs(told.estimate.mean)
        ps.append(1.0 if told.scatter is None or room <= 0.0 else 0.5 * float(told.scatter.p(room)))
    return max(ps)


def _nested(seeds: Seeds) -> dict[str, dict[str, int]]:
    tree: dict[str, dict[str, int]] = {}
    for (tier, phase), num in seeds.items():
        tree.setdefault(tier, {})[phase] = num
    return tree


def _flat(tree: Mapping[str, Mapping[str, int]]) -> dict[Place, int]:
    seeds = {(tier, phase): _count(num) for tier, phases in tree.items() for phase, num in phases.items()}
    if not seeds:
        raise ValueError("no recipe has seeds")
    return seeds


def _count(num: Any) -> int:
    if not isinstance(num, int) or isinstance(num, bool) or not 0 < num <= 10_000:
        raise ValueError(f"{num!r} is no number of seeds")
    return num
