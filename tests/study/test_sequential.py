"""Ladders that grow until they are told: looks, what they spend, what is made next, and when it stops."""

from dataclasses import replace

import numpy as np
import pytest

from fabula.errors import InputError
from fabula.study.inference.contrasts import ComparedRecipe, Place, contrasts
from fabula.study.inference.effect_words import as_finding, sentence
from fabula.study.inference.effects import Final
from fabula.study.inference.sequential import (
    MOST_SEEDS,
    Look,
    UntilTold,
    asked_in_turn,
    begun,
    planned_looks,
    until_told,
)
from fabula.study.planning import next_seeds as growing
from fabula.study.planning.looks_told import looks_told
from fabula.study.planning.next_seeds import after_runs, look_words, plan_words
from fabula.study.views import LadderView, PhaseView, TierView

PATH = [ComparedRecipe(name, ("start", *"abc"[:index])) for index, name in enumerate(("start", "a", "b", "c"))]
PLACES = [("basic", recipe.name) for recipe in PATH]
ASKED = contrasts("basic", PATH)


def finals(
    gains: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0), spread: float = 0.1, seed: int = 0
) -> dict[Place, list[Final]]:
    random = np.random.default_rng(seed)
    return {
        place: [
            Final(number, {"stream": loss, "story": loss + 0.1}, {"stream": "a", "story": "a"}, 1e6)
            for number, loss in enumerate(random.normal(4.0 - gain, spread, MOST_SEEDS))
        ]
        for place, gain in zip(PLACES, gains, strict=True)
    }


def looked(told: UntilTold, *seeds: int) -> UntilTold:
    looks = tuple(Look("now", 1.0, dict.fromkeys(PLACES, number)) for number in seeds)
    return replace(told, taken=looks, now=dict.fromkeys(PLACES, seeds[-1]))


@pytest.mark.parametrize("first", range(2, MOST_SEEDS + 1))
def test_the_looks_spend_the_error_rate_once(first: int) -> None:
    looks, shares = planned_looks(first)
    assert looks[0] == first and looks[-1] == MOST_SEEDS and list(looks) == sorted(set(looks))
    assert sum(shares) == pytest.approx(1.0) and min(shares) > 0 and len(shares) == len(looks)


def test_a_look_tells_what_exceeds_its_part() -> None:
    """A clear change is told at the first look, and what is seen after that does not change its answer."""
    told = looked(begun(3, None, None, PLACES), 3, 4)
    a, b, c = asked_in_turn(ASKED, finals((0.0, 5.0, 5.0, 5.0)), told)
    assert a.verdict == "improved" and a.turn is not None and a.turn.look == 1 and a.turn.outcome == "told"
    assert len(a.seeds) == 3 and a.turn.spent == pytest.approx(0.05 * 0.1 / 3)
    for each in (b, c):
        assert each.verdict == "no evidence" and each.turn is not None and each.turn.outcome == "open"
        assert each.turn.look == 2 and len(each.seeds) == 4
        assert each.turn.spent == pytest.approx(0.05 * (0.1 / 3 + 0.2 / 2)), "Holm: one of three is told"
    assert "3 seeds, look 1 of 6" in sentence(a) and as_finding(a).evidence["turn"]["outcome"] == "told"


def test_a_look_asks_for_more_than_a_fixed_ladder() -> None:
    """Of many ladders with one change, the first look tells fewer than a ladder of as many seeds, and no other ones."""
    alone, first = UntilTold((3,), (1.0,), None, None, {}), begun(3, None, None, PLACES)
    both = []
    for seed in range(25):
        runs = finals((0.0, 0.4, 0.4, 0.4), seed=seed)
        both.append([asked_in_turn(ASKED, runs, looked(told, 3))[0] for told in (alone, first)])
    assert all(now.verdict == "improved" for now, early in both if early.verdict == "improved")
    assert sum(now.verdict == "improved" for now, _ in both) > sum(early.verdict == "improved" for _, early in both) > 0
    wide, narrow = both[0][1].comparisons["stream"].estimate, both[0][0].comparisons["stream"].estimate
    assert wide.low is not None and narrow.low is not None and wide.low < narrow.low, "a repeated confidence interval"


def test_an_effect_is_shown_to_be_smaller_than_what_is_wanted() -> None:
    runs = finals(spread=0.01)
    for detect, outcome in ((1.0, "smaller"), (0.001, "open"), (None, "open")):
        told = looked(begun(4, detect, None, PLACES), 4)
        for each in asked_in_turn(ASKED, runs, told):
            assert each.verdict == "no evidence" and each.turn is not None and each.turn.outcome == outcome
            assert ("shown to be smaller than 1 nats either way" in sentence(each)) == (outcome == "smaller")
    large = asked_in_turn(ASKED, finals((0.0, 0.5, 0.5, 0.5), spread=0.3), looked(begun(4, 0.5, None, PLACES), 4))[0]
    assert large.turn is not None and large.turn.outcome != "smaller", "an effect as large as that is not ruled out"


def test_what_ladder_json_holds_comes_back() -> None:
    told = looked(begun(2, 0.05, 3.0, PLACES), 2, 3)
    assert until_told({"until_told": told.as_json()}) == told
    assert until_told({}) is None
    tree = told.as_json()
    for key, wrong in (
        ("looks", [3]), ("looks", "three"), ("shares", [1.0] * 7), ("shares", [-0.1, *tree["shares"][1:]]),
        ("detect", "much"), ("detect", -1), ("now", [3]), ("now", {"basic": {"a": -3}}), ("now", {"basic": {"a": 1e9}}),
        ("taken", [{}]),
        ("taken", [{**tree["taken"][0], "seeds": {}}]), ("shares", [float("nan")] * 7),
        ("taken", tree["taken"] * 9), ("now", None),
    ):  # fmt: skip
        with pytest.raises(InputError, match=r"ladder\.json, until_told"):
            until_told({"until_told": {**tree, key: wrong}})
    for key in tree:
        with pytest.raises(InputError):
            until_told({"until_told": {name: value for name, value in tree.items() if name != key}})


class Grown:
    """A ladder whose runs are at hand: what a growing one sees of it."""

    def __init__(self, runs: dict[Place, list[Final]], hours: float, monkeypatch: pytest.MonkeyPatch) -> None:
        phases = tuple(PhaseView(place[1], "", ()) for place in PLACES)
        self.view = LadderView("mine", (TierView("basic", phases),))
        self.runs, self.hours, self.made = runs, hours, 0
        monkeypatch.setattr(growing, "_answers", lambda told, _: asked_in_turn(ASKED, self.runs, told))
        monkeypatch.setattr(growing, "hours_spent", lambda _, workers: self.made * self.hours / workers)
        monkeypatch.setattr(growing, "_hours_of_a_run", lambda _: dict.fromkeys(PLACES, self.hours))

    def grow(self, told: UntilTold, workers: int = 1) -> UntilTold:
        for _ in range(40):
            self.made = sum(told.now.values())
            told = after_runs(told, self.view, "now", workers)
            if told.stopped:
                return told
        raise AssertionError("it never stops")


def test_more_seeds_go_only_to_recipes_of_open_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    ladder = Grown(finals((0.0, 3.0, 6.0, 6.0)), 0.1, monkeypatch)
    told = ladder.grow(begun(3, None, None, PLACES))
    assert told.stopped == "16 seeds are the most that a ladder is given"
    assert told.now == {("basic", "start"): 3, ("basic", "a"): 3, ("basic", "b"): 16, ("basic", "c"): 16}
    assert [max(look.seeds.values()) for look in told.taken] == [3, 4, 6, 9, 12, 16]
    assert look_words(told, ladder.view) == "look 6 of 6: told: a, b; open: c"


def test_it_stops_when_all_is_told_or_small(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Grown(finals((0.0, 3.0, 6.0, 9.0)), 0.1, monkeypatch).grow(begun(3, None, None, PLACES))
    assert told.stopped == "every question is told" and len(told.taken) == 1
    told = Grown(finals((0.0, 3.0, 6.0, 6.0)), 0.1, monkeypatch).grow(begun(3, 1.0, None, PLACES))
    assert told.stopped == "every question is told or shown to be small" and len(told.taken) < 4


def test_a_budget_stops_in_time_and_looks_at_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for budget, seeds, looks in ((0.1, 2, [2]), (2.0, 5, [3, 4, 5])):
        ladder = Grown(finals(), 0.1, monkeypatch)
        told = ladder.grow(begun(3, None, budget, PLACES))
        assert max(told.now.values()) == seeds and [max(look.seeds.values()) for look in told.taken] == looks
        assert ladder.made * 0.1 <= max(budget, 0.8), "two seeds are made whatever they cost"
        assert told.stopped == f"the budget of {budget:g} hours allows no more"
    more = ladder.grow(replace(told, stopped="", budget_hours=3.0))
    assert [max(look.seeds.values()) for look in more.taken] == [3, 4, 5, 7], "it goes on with the later looks"
    assert more.taken[:3] == told.taken
    told = Grown(finals(), 0.1, monkeypatch).grow(begun(3, None, 1.0, PLACES), workers=2)
    assert max(told.now.values()) == 5, "two side by side take half the time"


def test_a_failed_run_ends_its_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = finals((0.0, 3.0, 6.0, 6.0))
    runs["basic", "c"][1] = replace(runs["basic", "c"][1], losses={})
    told = Grown(runs, 0.1, monkeypatch).grow(begun(3, None, None, PLACES))
    assert told.stopped == "nothing more can be told (1 question without a verdict: c)" and len(told.taken) == 1


def test_the_rule_and_its_looks_in_words() -> None:
    assert "with 3, 4, 6, 9, 12 and 16 seeds, which is the most" in plan_words(begun(3, None, None, PLACES))
    said = plan_words(begun(16, 0.05, 2.0, PLACES))
    assert "smaller than 0.05 nats, or until 2 hours are spent; looked at with 16 seeds" in said
    told = looked(begun(3, None, None, PLACES), 3, 4)
    effects = tuple(asked_in_turn(ASKED, finals((0.0, 5.0, 5.0, 5.0)), told))
    view = LadderView("mine", (TierView("basic", (), effects),), {"until_told": told.as_json()})
    told_of = looks_told(view)
    assert told_of is not None and [look.decided for look in told_of.looks] == [("a",), ()]
    assert [look.num_runs for look in told_of.looks] == [12, 16] and told_of.looks[1].level == pytest.approx(0.01)
    assert looks_told(replace(view, plan={})) is None


def test_before_its_first_look_a_ladder_has_no_verdict() -> None:
    for each in asked_in_turn(ASKED, finals((0.0, 5.0, 5.0, 5.0)), begun(3, None, None, PLACES)):
        assert each.verdict == "no verdict" and "not looked at yet" in sentence(each)
