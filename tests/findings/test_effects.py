"""Verdicts: which word for which evidence."""

from itertools import pairwise

import numpy as np
import pytest

from fabula.findings.effects import Effect, Final, as_finding, effect, sentence, signed, with_holm


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
                low, high = comparison.paired.low, comparison.paired.high
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
    before, after = finals([3.00, 3.02, 3.04]), finals([2.95, 2.985, 2.99])
    alone = told(before, after)
    noise = [effect("basic", "x", str(i), finals([3.0, 3.1, 2.9]), finals([3.1, 2.9, 3.0])) for i in range(9)]
    among = with_holm([effect("basic", "before", "after", before, after), *noise])[0]
    assert alone.verdict == "improved"
    assert among.verdict == "no evidence"


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
