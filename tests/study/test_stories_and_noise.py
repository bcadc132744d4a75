"""The bootstrap over stories, the noise floor, and the roughness of a run's end."""

import numpy as np
import pytest
from tests.findings.families import record

from fabula.record.reader import StoryLosses
from fabula.study.inference.contrasts import ComparedRecipe, contrasts
from fabula.study.inference.effects import Final, answer
from fabula.study.inference.noise import late_roughness, noise_floor
from fabula.study.inference.story_bootstrap import with_story_intervals

PLACES = (("basic", "x"), ("basic", "y"))
(ASKED,) = contrasts("basic", [ComparedRecipe("x"), ComparedRecipe("y")])


def ladder(difference_S: np.ndarray, tokens_S: np.ndarray, ruler: str = "r"):
    """Two recipes, two seeds; `y` is better by `difference_S` nats in each story. Returns effect and stories."""
    base_S = np.random.default_rng(0).uniform(2, 5, len(tokens_S)) * tokens_S
    nats = {PLACES[0]: base_S, PLACES[1]: base_S - difference_S}
    finals = {
        place: [
            Final(seed, {"stream": float(nats[place].sum() / tokens_S.sum())}, {"stream": "r"}, 1.0) for seed in (0, 1)
        ]
        for place in PLACES
    }
    stories = {
        (place, seed): {"stream": StoryLosses("validation", ruler, tokens_S, nats[place])}
        for place in PLACES
        for seed in (0, 1)
    }
    return answer(ASKED, finals), stories


def test_stories_are_drawn_together_for_all_recipes() -> None:
    """Where every token gains the same, the choice of stories changes nothing, however much stories differ."""
    tokens_S = np.random.default_rng(1).integers(50, 400, 300).astype(float)
    each, stories = ladder(0.25 * tokens_S, tokens_S)
    (told,) = with_story_intervals([each], stories)
    assert told.comparisons["stream"].stories == pytest.approx((-0.25, -0.25))


def test_the_interval_over_stories_is_as_wide_as_theory_says() -> None:
    """Equal lengths: the standard error of a mean, s / sqrt(S)."""
    gains_S = np.random.default_rng(2).normal(10, 5, 400)
    tokens_S = np.full(400, 100.0)
    each, stories = ladder(gains_S, tokens_S)
    (told,) = with_story_intervals([each], stories)
    low, high = told.comparisons["stream"].stories or (0, 0)
    half = 1.96 * gains_S.std() / 20 / 100
    assert (high - low) / 2 == pytest.approx(half, rel=0.1)
    assert (low + high) / 2 == pytest.approx(-gains_S.mean() / 100, abs=0.1 * half)
    (again,) = with_story_intervals([each], stories)
    assert again.comparisons["stream"].stories == (low, high), "the draws are the same each time"


def test_without_every_story_there_is_no_interval() -> None:
    tokens_S = np.full(10, 100.0)
    each, stories = ladder(np.ones(10), tokens_S, ruler="another")
    assert with_story_intervals([each], stories)[0].comparisons["stream"].stories is None
    each, stories = ladder(np.ones(10), tokens_S)
    del stories[PLACES[1], 1]
    assert with_story_intervals([each], stories)[0].comparisons["stream"].stories is None


def test_the_noise_floor_by_hand() -> None:
    floor = noise_floor("stream", [[3.0, 3.2], [4.0, 4.0], [5.0]])
    assert floor is not None
    assert (floor.lowest, floor.num_recipes) == (0.0, 2)
    assert floor.highest == pytest.approx(0.2 / 2**0.5) and floor.pooled == pytest.approx(0.1)
    assert noise_floor("stream", [[3.0], []]) is None


def test_the_roughness_of_the_end_is_measured_around_its_slope() -> None:
    steps = np.arange(1.0, 1001.0)
    smooth = 4.0 * np.exp(-0.001 * steps)
    assert late_roughness(record(smooth, steps=steps)) == pytest.approx(0.0, abs=1e-6)
    noise = np.random.default_rng(0).normal(0, 0.03, 1000)
    rough = late_roughness(record(smooth * np.exp(noise), steps=steps))
    assert rough == pytest.approx(0.03, rel=0.15)
    early = smooth * np.exp(np.where(steps <= 800, noise * 10, 0.0))
    assert late_roughness(record(early, steps=steps)) == pytest.approx(0.0, abs=1e-6), "only the end counts"


def test_no_roughness_of_what_is_not_there() -> None:
    steps = np.arange(1.0, 1001.0)
    loss = np.full(1000, 3.0)
    assert late_roughness(record(loss[::10], steps=steps[::10])) is None, "every tenth step only"
    assert late_roughness(record(loss[:50], steps=steps[:50])) is None, "too few steps"
    loss[950] = np.nan
    assert late_roughness(record(loss, steps=steps)) is None
