"""Verdicts: which word for which evidence."""

from itertools import pairwise

import numpy as np
import pytest

from fabula.study.inference.contrasts import ComparedRecipe, Contrast, across_tiers, contrasts
from fabula.study.inference.effect_words import as_finding, conditions, lower_or_higher, sentence, signed, verdict_words
from fabula.study.inference.effects import Effect, Final, answer, effect, with_holm
from fabula.study.inference.statistics import Interval, mean_interval
from fabula.study.planning.power import Spread, smallest_found


def finals(
    stream: list[float], story: list[float] | None = None, ruler: str = "a", positions: float = 1e6
) -> list[Final]:
    story = stream if story is None else story
    rulers = {"stream": ruler, "story": ruler}
    return [
        Final(seed, {"stream": a, "story": b}, rulers, positions)
        for seed, (a, b) in enumerate(zip(stream, story, strict=True))
    ]


def told(before: list[Final], after: list[Final]) -> Effect:
    return with_holm([effect("basic", "before", "after", before, after)])[0]


def test_improved_worse_and_no_evidence() -> None:
    before = finals([3.00, 3.01, 3.02])
    assert told(before, finals([2.00, 2.02, 2.01])).verdict == "improved"
    assert told(before, finals([4.00, 4.02, 4.01])).verdict == "worse"
    unclear = told(before, finals([2.90, 3.15, 3.00]))
    assert unclear.verdict == "no evidence"
    assert "No evidence" in sentence(unclear)


def test_an_interval_with_zero_is_never_improved() -> None:
    """Whatever the numbers: the word needs an interval that leaves zero out on both protocols."""
    random = np.random.default_rng(0)
    for _ in range(300):
        size = random.choice([0.0, 0.02, 0.1])
        before, after = random.normal(3, 0.05, 3), random.normal(3 - size, 0.05, 3)
        each = told(finals(list(before)), finals(list(after)))
        if each.verdict in ("improved", "worse"):
            for comparison in each.comparisons.values():
                low, high = comparison.estimate.low, comparison.estimate.high
                assert low is not None
                assert high is not None
                assert low > 0 or high < 0


def test_protocols_that_disagree() -> None:
    before = finals([3.00, 3.01, 3.02], [3.1, 3.1, 3.1])
    one_only = told(before, finals([2.00, 2.01, 2.03], [3.0, 3.2, 3.15]))
    assert one_only.verdict == "depends on the protocol"
    opposite = told(before, finals([2.00, 2.01, 2.03], [4.1, 4.1, 4.11]))
    assert opposite.verdict == "depends on the protocol"
    assert "improved on `stream`, worse on `story`" in sentence(opposite)


def test_one_seed_gives_no_verdict() -> None:
    each = told(finals([5.0]), finals([2.0]))
    assert each.verdict == "no verdict"
    assert "one seed only" in sentence(each)


def test_only_seeds_that_both_have_are_paired() -> None:
    before = [final for final in finals([3.0, 3.1, 3.2]) if final.seed != 1]
    each = told(before, finals([2.0, 9.9, 2.2]))
    assert each.seeds == (0, 2)
    assert each.comparisons["stream"].differences == pytest.approx((-1.0, -1.0))


def test_numbers_of_different_rulers_are_not_compared() -> None:
    each = told(finals([3.0, 3.1]), finals([2.0, 2.1], ruler="b"))
    assert each.verdict == "no verdict"
    assert not each.comparisons
    assert "rulers" in each.reason


def test_unequal_positions_give_no_verdict() -> None:
    each = told(finals([3.0, 3.1]), finals([2.0, 2.1], positions=2e6))
    assert each.verdict == "no verdict"
    assert "positions" in each.reason


def test_a_loss_that_is_not_finite_gives_no_verdict() -> None:
    each = told(finals([3.0, 3.1, float("nan")]), finals([2.0, 2.1, 2.2]))
    assert each.verdict == "no verdict"
    assert "finite" in each.reason


def test_all_verdicts_of_a_table_share_one_error_rate() -> None:
    """What is improved alone may be no evidence among many."""
    before, after = finals([3.00, 3.02, 3.04]), finals([2.90, 2.935, 2.94])
    alone = told(before, after)
    noise = [effect("basic", "x", str(i), finals([3.0, 3.1, 2.9]), finals([3.1, 2.9, 3.0])) for i in range(9)]
    among = with_holm([effect("basic", "before", "after", before, after), *noise])[0]
    assert alone.verdict == "improved"
    assert among.verdict == "no evidence"


@pytest.mark.long
def test_null_ladders_rarely_show_an_effect() -> None:
    """Four phases without any effect, 3 seeds, the two protocols nearly alike: any verdict in at most 5 % of ladders
    (binomial bound for 600 ladders)."""
    random = np.random.default_rng(1)
    false_ladders = 0
    for _ in range(600):
        shared = random.normal(0, 0.02, 3)  # what a seed does to all phases
        phases = []
        for _phase in range(4):
            own = shared + random.normal(0, 0.01, 3)
            phases.append(finals(list(3 + own), list(3.1 + own + random.normal(0, 0.003, 3))))
        pairs = pairwise(phases)
        table = with_holm([effect("basic", "a", str(i), a, b) for i, (a, b) in enumerate(pairs)])
        false_ladders += any(each.verdict != "no evidence" for each in table)
    assert false_ladders <= 600 * 0.05 + 2 * (600 * 0.05 * 0.95) ** 0.5


def test_as_a_finding_it_carries_its_numbers() -> None:
    document = as_finding(told(finals([3.00, 3.01, 3.02]), finals([2.00, 2.02, 2.01]))).as_json()
    assert document["kind"] == "effect"
    assert document["scope"] == "ladder"
    stream = document["evidence"]["protocols"]["stream"]
    assert stream["differences"] == pytest.approx([-1.0, -0.99, -1.01])
    assert stream["interval"][0] < stream["mean"] < stream["interval"][1] < 0


def test_a_true_minus() -> None:
    assert signed(-0.5) == "\N{MINUS SIGN}0.500"
    assert signed(0.5) == "+0.500"


def test_within_a_sentence_the_signs_agree() -> None:
    """A difference and its interval are counted in one direction, which a word names; across zero both are named."""
    assert lower_or_higher(Interval(-1.22, -1.882, -0.558, 0.01, 3), "nats per token") == (
        "lower by 1.220 nats per token (95 % interval 0.558 to 1.882)"
    )
    assert lower_or_higher(Interval(1.22, 0.558, 1.882, 0.01, 3)) == "higher by 1.220 (95 % interval 0.558 to 1.882)"
    assert lower_or_higher(Interval(-0.01, -0.05, 0.03, 0.5, 3)) == (
        "lower by 0.010 (95 % interval from 0.030 higher to 0.050 lower)"
    )
    assert lower_or_higher(Interval(0.01, -0.03, 0.05, 0.5, 3)) == (
        "higher by 0.010 (95 % interval from 0.030 lower to 0.050 higher)"
    )
    assert lower_or_higher(Interval(-0.5, None, None, None, 1)) == "lower by 0.500"


SUBSETS = {
    "start": (), "a": ("a",), "b": ("b",), "c": ("c",), "a+b": ("a", "b"), "a+c": ("a", "c"), "b+c": ("b", "c"),
    "all": ("a", "b", "c"),
}  # fmt: skip
FACTORIAL = [ComparedRecipe(name, ("start", *has)) for name, has in SUBSETS.items()]


def of_model(contrast: Contrast, value: dict[tuple[str, ...], float]) -> float:
    """The contrast's answer where a recipe's loss is the sum of `value` over the subsets of its phases."""
    losses = {name: sum(size for key, size in value.items() if set(key) <= set(has)) for name, has in SUBSETS.items()}
    return sum(weight * losses[place[1]] for place, weight in contrast.weights)


def test_a_factorial_asks_for_effects_and_interactions() -> None:
    """By hand: with main effects A, B, C, and A x B on top, the effect of `a` averages over with and without `b`."""
    asked = {each.name: each for each in contrasts("basic", FACTORIAL)}
    assert list(asked) == ["a", "b", "c", "a × b", "a × c", "b × c", "a × b × c"]
    assert [each.kind for each in asked.values()] == ["effect"] * 3 + ["interaction"] * 4
    value = {(): 5.0, ("a",): -1.0, ("b",): -0.5, ("c",): 0.25, ("a", "b"): 0.4, ("a", "b", "c"): 0.2}
    told = {name: of_model(each, value) for name, each in asked.items()}
    assert told == pytest.approx(
        {
            "a": -1 + 0.2 + 0.05, "b": -0.5 + 0.2 + 0.05, "c": 0.25 + 0.05,
            "a × b": 0.4 + 0.1, "a × c": 0.1, "b × c": 0.1, "a × b × c": 0.2,
        }
    )  # fmt: skip
    assert all(len(each.weights) == 8 for each in asked.values()), "every run contributes"
    for each in asked.values():
        assert sum(weight for _, weight in each.weights) == pytest.approx(0)


def test_an_interaction_is_the_effect_under_its_condition_minus_the_effect_without() -> None:
    random = np.random.default_rng(3)
    finals_of = {("basic", name): finals(list(random.normal(3, 1, 3))) for name in SUBSETS}
    for each in contrasts("basic", FACTORIAL)[3:]:
        told = answer(each, finals_of).comparisons["stream"]
        assert told.together is not None and told.apart is not None
        assert told.paired.mean == pytest.approx(told.together - told.apart)
    both = {place: np.array([run.losses["stream"] for run in runs]) for place, runs in finals_of.items()}
    loss = {name: both["basic", name].mean() for name in SUBSETS}
    told = answer(contrasts("basic", FACTORIAL)[3], finals_of).comparisons["stream"]
    assert told.together == pytest.approx((loss["a+b"] - loss["a"] + loss["all"] - loss["a+c"]) / 2)
    assert told.apart == pytest.approx((loss["b"] - loss["start"] + loss["b+c"] - loss["c"]) / 2)


def test_a_main_effect_that_hangs_on_another_change_says_so() -> None:
    """By hand: `a` takes 1 nat away, and with `b` two more; `c` does 0.2 anywhere."""
    random = np.random.default_rng(9)
    runs = {
        ("basic", name): finals(
            list(5 - ("a" in has) - 2 * ({"a", "b"} <= set(has)) - 0.2 * ("c" in has) + random.normal(0, 1e-4, 3))
        )
        for name, has in SUBSETS.items()
    }
    told = with_holm([answer(each, runs) for each in contrasts("basic", FACTORIAL)])
    a, b, c, both, *_ = told
    assert sentence(a).startswith(
        "`a` improved the loss: with it the loss on `stream` is lower by 2.000 nats per token"
    )
    assert conditions(a, told) == (
        "It is not the same everywhere: it lowers the loss by 3.000 with `b` and by 1.000 without it."
    )
    assert conditions(b, told).startswith("It is not the same everywhere: it lowers the loss by 2.000 with `a` and ")
    assert conditions(c, told) == conditions(both, told) == ""
    assert sentence(both).startswith(
        "`a` and `b` are better together than their effects added up: on `stream`, `b` lowers the loss by 2.000 with"
    )


def test_a_main_effect_is_paired_by_seed_over_all_recipes() -> None:
    random = np.random.default_rng(4)
    table = {name: random.normal(3, 0.2, 3) for name in SUBSETS}
    told = answer(contrasts("basic", FACTORIAL)[0], {("basic", n): finals(list(v)) for n, v in table.items()})
    with_a = np.mean([table[name] for name, has in SUBSETS.items() if "a" in has], axis=0)
    without = np.mean([table[name] for name, has in SUBSETS.items() if "a" not in has], axis=0)
    expected = mean_interval(list(with_a - without))
    assert told.num_runs == 24
    assert told.comparisons["stream"].paired.mean == pytest.approx(expected.mean)
    assert told.comparisons["stream"].paired.low == pytest.approx(expected.low)


def test_other_designs() -> None:
    path = [ComparedRecipe("x", ("x",)), ComparedRecipe("y", ("x", "y")), ComparedRecipe("z", ("x", "y", "z"))]
    assert [(each.before, each.after, each.design) for each in contrasts("t", path)] == [
        ("x", "y", "pair"), ("y", "z", "pair"),
    ]  # fmt: skip
    left = [ComparedRecipe("s", ("s",)), ComparedRecipe("whole", ("s", "a", "b", "c"))]
    left += [ComparedRecipe(f"without-{x}", tuple(p for p in ("s", "a", "b", "c") if p != x)) for x in "abc"]
    assert [(each.phases, each.before, each.after, each.design) for each in contrasts("t", left)] == [
        (("a",), "without-a", "whole", "leave-one-out"), (("b",), "without-b", "whole", "leave-one-out"),
        (("c",), "without-c", "whole", "leave-one-out"), (("whole",), "s", "whole", "pair"),
    ]  # fmt: skip
    some = [FACTORIAL[0], FACTORIAL[1], FACTORIAL[4]]  # a part of a factorial: what builds upon what
    assert [(each.before, each.after) for each in contrasts("t", some)] == [("start", "a"), ("a", "a+b")]
    assert [(each.before, each.after) for each in contrasts("t", [ComparedRecipe("p"), ComparedRecipe("q")])] == [
        ("p", "q")
    ]


def test_how_an_effect_differs_between_tiers() -> None:
    """Scale helps with `y` only: a claim of its own, at a context that both tiers have."""
    path = [ComparedRecipe("x", ("x",)), ComparedRecipe("y", ("x", "y"))]
    (asked,) = across_tiers({tier: contrasts(tier, path) for tier in ("small", "large")})
    losses = {
        ("small", "x"): [3.00, 3.02, 3.01], ("small", "y"): [2.90, 2.93, 2.91],
        ("large", "x"): [2.80, 2.81, 2.83], ("large", "y"): [2.20, 2.22, 2.235],
    }  # fmt: skip
    runs = {
        place: [
            Final(
                seed, {"stream": 9.0, "stream_at_128": loss}, {"stream": place[0], "stream_at_128": "r"}, len(place[0])
            )
            for seed, loss in enumerate(values)
        ]
        for place, values in losses.items()
    }
    each = with_holm([answer(asked, runs)])[0]
    assert each.name == "y × large"
    assert each.comparisons["stream"].paired.mean == pytest.approx(-0.595 + 0.0966667, abs=1e-5)
    assert verdict_words(each) == "helps more"
    assert sentence(each).startswith(
        "`y` helps more on `large` than on `small`: on `stream`, it lowers the loss by 0.595 on `large` and by 0.097 "
        "on `small`, a difference of 0.498 (95 % interval "
    )


def test_a_run_that_failed_is_told_and_the_rest_gets_no_verdict() -> None:
    """Its seed cannot be paired; leaving it out in silence would flatter its recipe."""
    before, after = finals([3.0, 3.1, 3.2]), finals([2.0, 2.1, 2.2])
    before[2] = Final(2, {}, {}, float("nan"))
    each = told(before, after)
    assert each.verdict == "no verdict" and each.seeds == (0, 1)
    assert "`before` seed 2 did not stay finite" in sentence(each)
    assert each.comparisons["stream"].differences == pytest.approx((-1.0, -1.0)), "what there is, is shown"
    runs = {("basic", name): finals([3.0, 3.1, 3.2]) for name in SUBSETS}
    runs["basic", "b"][1] = Final(1, {"stream": float("nan"), "story": 1.0}, {}, 1e6)
    for asked in contrasts("basic", FACTORIAL):
        assert "`b` seed 1 did not stay finite" in answer(asked, runs).reason


def test_the_unpaired_interval_takes_every_recipe_by_itself() -> None:
    """Noise that a seed brings to all recipes widens the unpaired interval and not the paired one."""
    shared = np.array([-0.3, 0.0, 0.3])
    random = np.random.default_rng(5)
    runs = {("basic", name): finals(list(3 + shared + random.normal(0, 0.01, 3))) for name in SUBSETS}
    told = answer(contrasts("basic", FACTORIAL)[0], runs).comparisons["stream"]
    assert told.paired.low is not None and told.paired.high is not None
    assert told.unpaired.low is not None and told.unpaired.high is not None
    assert told.unpaired.high - told.unpaired.low > 3 * (told.paired.high - told.paired.low)
    assert told.correlation is not None and told.correlation > 0.99


def test_what_would_have_been_told() -> None:
    """A mean just above the least that is told has a verdict, one just below it has none."""
    scatter = np.array([-0.01, 0.0, 0.01])
    least = told(finals([3.0, 3.0, 3.0]), finals(list(2.5 + scatter))).comparisons["stream"].least_told
    assert least is not None
    for size, verdict in ((1.01, "improved"), (0.99, "no evidence")):
        assert told(finals([3.0, 3.0, 3.0]), finals(list(3 - size * least + scatter))).verdict == verdict


def test_no_evidence_says_which_effect_could_have_stayed_unseen() -> None:
    """As large as the one that simulated ladders of this noise find in 80 % of cases; a verdict says nothing of it."""
    random = np.random.default_rng(3)
    path = [ComparedRecipe(name, ("start", *"abc"[:index])) for index, name in enumerate(("start", "a", "b", "c"))]
    asked, sizes = contrasts("basic", path), []
    for _ in range(12):
        runs = {("basic", recipe.name): finals(list(random.normal(4.0, 0.1, 5))) for recipe in path}
        for each in with_holm([answer(one, runs) for one in asked]):
            assert each.verdict == "no evidence" and each.unseen_below is not None
            assert f"a change of {each.unseen_below:.3f} would have been found in 80 % of cases" in sentence(each)
            assert as_finding(each).evidence["unseen_below"] == each.unseen_below
            assert all(each.unseen_below >= one.unseen_below for one in each.comparisons.values() if one.unseen_below)
            sizes.append(each.unseen_below)
    usual = smallest_found(asked[0], dict.fromkeys((each.name for each in path), Spread(0.1, 0.1)), 3, 5, 1.0)
    assert usual is not None and float(np.median(sizes)) == pytest.approx(usual, rel=0.2)
    found = told(finals([3.00, 3.01, 3.02]), finals([2.00, 2.02, 2.01]))
    assert found.unseen_below is None and "unseen" not in sentence(found)


@pytest.mark.slow
def test_null_factorials_rarely_show_anything() -> None:
    """Seven questions, two protocols that agree, half of the recipes ten times as noisy: any verdict in at most 5 % of
    400 ladders (binomial bound)."""
    random = np.random.default_rng(1)
    asked = contrasts("basic", FACTORIAL)
    false_ladders = 0
    for _ in range(400):
        runs = {}
        for recipe in FACTORIAL:
            losses = random.normal(3.0, 0.02 if "a" in recipe.has else 0.2, 3)
            runs["basic", recipe.name] = finals(list(losses), list(losses + 0.1))
        false_ladders += any(each.verdict != "no evidence" for each in with_holm([answer(one, runs) for one in asked]))
    assert false_ladders <= 400 * 0.05 + 2 * (400 * 0.05 * 0.95) ** 0.5
