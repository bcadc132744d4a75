"""How far from human stories: by hand, and as simulated stories that are, or are not, like them."""

import numpy as np
import pytest

from fabula.coherence.distance import FARTHEST, distances


def told(values: list[float]) -> list[tuple[int, dict[str, float | None]]]:
    return [(place // 2, {"x": value, "sometimes": value if place % 3 else None}) for place, value in enumerate(values)]


def test_a_distance_is_in_standard_deviations_of_human_stories() -> None:
    human = [{"x": value, "sometimes": 1.0} for value in [1.0, 3.0] * 10]
    found = distances(told([5.0] * 20), human)  # type: ignore[arg-type]
    assert found is not None and found.measures["x"].distance == pytest.approx(3.0)
    assert found.measures["x"].model == 5.0 and found.measures["x"].human == 2.0 and found.measures["x"].spread == 1.0
    assert found.measures["sometimes"].spread == 0.01 and found.combined == FARTHEST
    assert found.made_of == ("x", "sometimes") and (found.prompts, found.human_stories) == (10, 20)


def test_too_few_say_nothing() -> None:
    human = [{"x": 1.0}] * 20
    assert distances(told([1.0] * 14), human) is None and distances(told([1.0] * 20), human[:7]) is None


def test_intervals_hold_what_they_promise_where_completions_of_a_prompt_are_alike() -> None:
    random = np.random.default_rng(1)
    held = 0
    for _ in range(100):
        of_prompt = np.repeat(random.normal(0.0, 1.0, 30), 5) + random.normal(0.0, 0.2, 150)
        human = [{"x": value} for value in random.normal(0.0, 1.0, 60)]
        found = distances([(place // 5, {"x": value}) for place, value in enumerate(of_prompt)], human)
        assert found is not None
        low, high = found.measures["x"].interval
        held += low <= 0.0 <= high
    assert held >= 88
