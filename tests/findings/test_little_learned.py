"""A warning of what ruins runs is a failure where the run has learned next to nothing by its end."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from fabula.findings.diagnosis import diagnose_facts
from fabula.findings.facts import Curve, Facts
from fabula.findings.judged import little_learned
from fabula.recipe.presets.by_name import load_recipe

V = 8192
UNTRAINED = math.log(V)


def facts(end: float, first: float = UNTRAINED, steps: int = 400, **known: Any) -> Facts:
    """A loss that falls from `first` to `end` times ln V."""
    at = np.arange(1.0, steps + 1)
    loss = end * UNTRAINED + (first - end * UNTRAINED) * np.exp(-at / (0.1 * steps))
    given = {"vocabulary": V, "from_scratch": True, "num_steps": steps, "first_loss": first} | known
    return Facts(train_loss=Curve("loss", at, loss), **given)


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (facts(0.8), "only 20 % below the 9.01 of a model that knows nothing."),
        (facts(1.2, first=50.0), "above the 9.01 of a model that knows nothing."),
        (facts(0.65), ""),
        (facts(0.8, from_scratch=False), ""),
        (facts(0.8, vocabulary=None), ""),
        (facts(4.0, vocabulary=4), ""),  # DNA: 0.97 of ln 4 is a good model
        (facts(0.8, num_steps=1000), ""),  # it is still going on
        (facts(0.8, steps=60), ""),
        (facts(0.8, from_scratch=None), "only 20 % below"),
        (facts(0.6, first=3.0, from_scratch=None), ""),
        (Facts(vocabulary=V, from_scratch=True), ""),
    ],
)
def test_when_little_was_learned(known: Facts, said: str) -> None:
    told = little_learned(known)
    assert said in told and bool(told) == bool(said)


@pytest.mark.parametrize(("end", "severity"), [(0.8, "failure"), (0.5, "warning")])
def test_a_wide_start_has_failed_where_the_end_is_no_better(end: float, severity: str) -> None:
    diagnosis = diagnose_facts(facts(end, first=40.0))
    (found,) = diagnosis.of("initial_loss_off")
    assert found.severity == severity
    assert ("knows nothing" in found.sentence) == (severity == "failure")


@pytest.mark.parametrize(("end", "severity"), [(0.8, "failure"), (0.5, "warning")])
def test_a_rate_as_large_as_the_weights_has_failed_where_little_was_learned(end: float, severity: str) -> None:
    recipe = load_recipe("basic").with_values(**{"schedule.peak": 0.1, "steps": 400})
    rate = Curve("learning_rate", np.arange(1.0, 401), np.full(400, 0.1))
    (found,) = diagnose_facts(facts(end, recipe=recipe, learning_rate=rate)).of("lr_too_high")
    assert found.severity == severity


def test_little_learned_alone_accuses_nobody() -> None:
    assert diagnose_facts(facts(0.75)).verdict == "healthy"


def slow(end: float, steps: int = 400, **known: Any) -> Facts:
    """A loss that falls on a straight line from ln V to `end` times it."""
    at = np.arange(1.0, steps + 1)
    given = {"vocabulary": V, "from_scratch": True, "num_steps": steps, "first_loss": UNTRAINED} | known
    return Facts(train_loss=Curve("loss", at, UNTRAINED * (1.0 - (1.0 - end) * at / steps)), **given)


@pytest.mark.parametrize(
    ("known", "severities"),
    [
        (slow(0.92), ["failure"]),
        (slow(0.92, num_steps=1000), []),  # half way
        (slow(0.92, num_steps=None), []),
        (slow(0.92, from_scratch=None), []),
        (slow(0.92, steps=100), []),
        (slow(0.8), []),
        (slow(0.92, first_loss=40.0), []),  # told as a wide start
    ],
)
def test_who_has_made_all_steps_and_knows_hardly_more_than_at_first_has_failed(
    known: Facts, severities: list[str]
) -> None:
    assert [each.severity for each in diagnose_facts(known).of("plateau")] == severities


@pytest.mark.parametrize(
    ("every", "first", "severity"),
    [(10, 40.0, "failure"), (10, 1.04 * UNTRAINED, ""), (100, 400.0, "")],  # 100: so late a loss tells no start
)
def test_a_record_that_begins_late_shows_a_start_that_is_still_high(every: int, first: float, severity: str) -> None:
    whole = facts(0.8, first=first).train_loss
    assert whole is not None
    begun = Curve("loss", whole.steps[every - 1 :: every], whole.values[every - 1 :: every])
    found = diagnose_facts(
        Facts(train_loss=begun, vocabulary=V, from_scratch=True, num_steps=400)
    ).of("initial_loss_off")  # fmt: skip
    assert [each.severity for each in found] == ([severity] if severity else [])
    assert all("begins at step 10 with a loss of" in each.sentence for each in found)


@pytest.mark.parametrize(
    ("end", "steps", "severity"), [(0.88, 400, "failure"), (0.82, 400, "note"), (0.88, 120, "note")]
)
def test_a_loss_that_levels_off_above_the_frequencies_of_the_tokens_has_failed(
    end: float, steps: int, severity: str
) -> None:
    (found,) = diagnose_facts(facts(end, steps=steps)).of("plateau")
    assert found.severity == severity


@pytest.mark.parametrize(
    ("first", "end", "known", "severity"),
    [
        (UNTRAINED, 1.5 * UNTRAINED, {}, "failure"),
        (UNTRAINED, 0.7 * UNTRAINED, {}, "warning"),
        (UNTRAINED, 1.5 * UNTRAINED, {"vocabulary": None}, "warning"),
        (UNTRAINED, 1.5 * UNTRAINED, {"from_scratch": False}, "warning"),
    ],
)
def test_memorising_to_beyond_the_start_is_a_failure(
    first: float, end: float, known: dict[str, Any], severity: str
) -> None:
    at = np.arange(0.0, 401, 20)
    lowest = 0.4 * first
    val = np.interp(at, [0, 100, 400], [first, lowest, end])
    learnt = facts(0.1, first=first, **known)
    (found,) = diagnose_facts(dataclasses.replace(learnt, val_loss=Curve("val_loss", at, val))).of("overfitting")
    assert found.severity == severity and ("It ended above" in found.sentence) == (severity == "failure")


@pytest.mark.parametrize(
    ("vocabulary", "share", "severity"), [(20, 0.87, "note"), (4, 0.94, "note"), (V, 0.87, "failure")]
)
def test_few_tokens_may_have_little_order(vocabulary: int, share: float, severity: str) -> None:
    """What is written with four letters may be near chance, and a sound model of it near ln V."""
    known = math.log(vocabulary)
    at = np.arange(1.0, 401.0)
    loss = Curve("loss", at, known * (share + (1 - share) * np.exp(-at / 30)))
    (found,) = diagnose_facts(
        Facts(train_loss=loss, first_loss=known, vocabulary=vocabulary, from_scratch=True, num_steps=400)
    ).of("plateau")
    assert found.severity == severity
