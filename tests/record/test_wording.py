"""How numbers are written, wherever they are told."""

import pytest

from fabula.record.wording import BARS, begun_large, duration_text, plural, sparkline, steps_text


def test_durations() -> None:
    assert [duration_text(seconds) for seconds in (0.4, 9.6, 99, 100, 5000, 6000, 100_000, None)] == [
        "0.4 s", "10 s", "99 s", "1.7 min", "83.3 min", "1.7 h", "27.8 h", "\N{EN DASH}",
    ]  # fmt: skip


def test_a_sparkline_has_a_bar_a_part_from_its_lowest_to_its_largest_value() -> None:
    assert sparkline([0.0, 0.5, 1.0]) == BARS[0] + BARS[4] + BARS[7]
    assert sparkline([2.0, 3.0]) == BARS[0] + BARS[7]
    assert sparkline([2.0, 2.0]) == BARS[0] * 2
    assert sparkline([]) == ""


def test_a_sparkline_from_zero_averages_what_has_no_bar_of_its_own() -> None:
    assert sparkline([1.0] * 100, width=5, low=0.0) == BARS[7] * 5
    assert sparkline([1.0, 0.0, 0.0, 0.0], width=2, low=0.0) == BARS[4] + BARS[0]
    assert sparkline([0.0, 0.0], low=0.0) == BARS[0] * 2


@pytest.mark.parametrize(
    ("steps", "text"), [(None, "Whole run"), ((5, 5), "Step 5"), ((5, 12_000), "Steps 5 to 12,000")]
)
def test_steps(steps: tuple[int, int] | None, text: str) -> None:
    assert begun_large(steps_text(steps)) == text


def test_one_and_many() -> None:
    assert [plural(1, "step"), plural(2_000, "step"), plural(2, "loss", "losses")] == [
        "1 step", "2,000 steps", "2 losses",
    ]  # fmt: skip
