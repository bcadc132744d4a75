"""Learning rates against the original experiments' own table, by hand, and as properties."""

import csv
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.curves import Packed

from fabula.recipe import load_recipe
from fabula.recipe.schedule import learning_rate, learning_rates, warmup_multiplier
from fabula.recipe.schema import Schedule


def test_every_learning_rate_of_a_packed_run(packed: Packed) -> None:
    """The row of `step` has the schedule's value after `step` steps of its scheduler, printed with seven digits."""
    with open(packed.path, newline="") as file:
        rows = [(int(row["step"]), float(row["learning_rate"])) for row in csv.DictReader(file) if row["learning_rate"]]
    assert len(rows) > 20 and rows[-1][0] > 0.9 * packed.steps
    for step, expected in rows:
        found = learning_rate(packed.schedule, step, packed.steps)
        assert found == pytest.approx(expected, rel=5.1e-7, abs=1e-12), step


def test_warmup_and_cosine_by_hand() -> None:
    schedule = Schedule(peak=1.0, floor=0.1, warmup=4)
    rates = [learning_rate(schedule, step, 12) for step in range(13)]
    assert rates[:5] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert rates[8] == pytest.approx(0.55)  # half-way down
    assert rates[6] == pytest.approx(0.1 + 0.45 * (1 + math.sqrt(0.5)))
    assert rates[12] == pytest.approx(0.1)
    assert learning_rate(schedule, 20, 12) == pytest.approx(0.1)  # past the end it stays


def test_the_warmup_starts_where_it_is_told() -> None:
    schedule = Schedule(peak=3.0, warmup=3, warmup_start=1 / 3)
    assert [learning_rate(schedule, step, 10) for step in range(4)] == pytest.approx([1.0, 5 / 3, 7 / 3, 3.0])
    assert warmup_multiplier(Schedule(peak=1.0), 0) == 1.0


def test_counted_in_micro_steps_the_warmup_shrinks_and_the_end_stays() -> None:
    per_step = Schedule(peak=2.0, floor=1.0, warmup=8)
    per_micro_step = Schedule(peak=2.0, floor=1.0, warmup=8, unit="micro_step")
    rates = [learning_rate(per_micro_step, step, 10, accumulation=4) for step in range(11)]
    assert rates[:3] == [0.0, 1.0, 2.0]  # 8 micro-steps are 2 steps
    assert rates[6] == pytest.approx(1.5) and rates[10] == pytest.approx(1.0)
    assert rates == [learning_rate(per_step, 4 * step, 40) for step in range(11)]
    assert rates == [learning_rate(per_micro_step, 4 * step, 40, accumulation=1) for step in range(11)]


def test_a_warmdown_by_hand() -> None:
    schedule = Schedule(kind="warmdown", peak=1.0, floor=0.2, warmup=2, decay=0.5)
    rates = [learning_rate(schedule, step, 10) for step in range(11)]
    assert rates == pytest.approx([0.0, 0.5, 1.0, 1.0, 1.0, 1.0, 0.84, 0.68, 0.52, 0.36, 0.2])
    assert learning_rate(schedule, 20, 10) == pytest.approx(0.2)  # past the end it stays


def test_constant_is_the_peak_without_warmup() -> None:
    schedule = Schedule(kind="constant", peak=0.5, floor=0.1, warmup=4)
    assert {learning_rate(schedule, step, 10) for step in range(11)} == {0.5}


def test_a_warmup_longer_than_the_run_never_arrives() -> None:
    schedule = Schedule(peak=1.0, warmup=100)
    assert [learning_rate(schedule, step, 10) for step in (0, 5, 10)] == [0.0, 0.05, 0.1]


def test_the_rates_of_a_recipe_are_those_of_its_steps() -> None:
    recipe = load_recipe("basic").with_values(**{"steps": 30, "schedule.warmup": 3, "batch.accumulation": 2})
    rates = learning_rates(recipe)
    assert len(rates) == 31
    assert rates[7] == learning_rate(recipe.schedule, 7, 30, 2)


@given(
    num_steps=st.integers(1, 400), warmup=st.integers(0, 400), accumulation=st.integers(1, 8),
    floor=st.floats(0, 2), unit=st.sampled_from(["step", "micro_step"]),
)  # fmt: skip
@settings(deadline=None)
def test_it_rises_then_goes_to_the_floor(
    num_steps: int, warmup: int, accumulation: int, floor: float, unit: str
) -> None:
    schedule = Schedule(peak=1.0, floor=floor, warmup=warmup, unit=unit)
    rates = [learning_rate(schedule, step, num_steps, accumulation) for step in range(num_steps + 1)]
    assert all(-1e-12 <= rate <= max(1.0, floor) + 1e-12 for rate in rates)
    whole_warmup = warmup / (accumulation if unit == "micro_step" else 1)
    rising = rates[: math.floor(whole_warmup) + 1]
    assert rising == sorted(rising)
    if whole_warmup < num_steps:
        after = rates[math.ceil(whole_warmup) :]
        assert after == pytest.approx(sorted(after, reverse=floor <= 1.0), abs=1e-12)
        assert rates[-1] == pytest.approx(floor, abs=1e-9)
