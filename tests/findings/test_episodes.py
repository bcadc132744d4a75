"""Episodes: a run that becomes unstable does not hide in its own noise, and one jump is one episode."""

import numpy as np
import pytest
from tests.findings.families import record

from fabula.findings import diagnose

AFTER_TURN = [2.0, 2.1, 1.94, 1.76, 1.7, 1.69, 1.41, 1.37]
JUMPED = [5.1, 4.8, 4.9, 5.2, 4.7, 4.3, 4.0, 3.8]


def _fall(rng: np.random.Generator, steps: int, noise: float) -> np.ndarray:
    return 5.0 + 10.0 * np.exp(-np.arange(steps) / (0.05 * steps)) + noise * rng.standard_normal(steps)


@pytest.mark.parametrize("seed", range(8))
def test_an_unstable_half_is_a_divergence_and_no_plateau(seed: int) -> None:
    rng = np.random.default_rng(seed)
    loss = _fall(rng, 180, 0.04)
    place = np.arange(90) / 90
    loss[90:] += 0.4 + 1.6 * place + 0.5 * rng.standard_normal(90) + 3.5 * (rng.random(90) < 0.12)
    loss[90] += 4.0
    found = diagnose(record(loss))
    assert found.verdict == "failed"
    assert len(found.of("divergence")) == 1
    assert not found.of("plateau") and not found.of("still_improving")


@pytest.mark.parametrize("seed", range(8))
def test_a_jump_of_a_long_log_is_told_once(seed: int) -> None:
    rng = np.random.default_rng([7, seed])
    steps, at = 1300 + 200 * seed, 600 + 31 * seed
    loss = _fall(rng, steps, 0.03)
    loss[at:] += 3.0 * np.exp(-np.arange(steps - at) / 12.0)
    found = diagnose(record(loss))
    told = [*found.of("spike"), *found.of("divergence")]
    assert len(told) == 1
    assert abs(told[0].steps[0] - at) <= 2


@pytest.mark.parametrize("seed", range(4))
def test_a_run_of_even_noise_is_calm(seed: int) -> None:
    assert diagnose(record(_fall(np.random.default_rng([9, seed]), 700, 0.05))).verdict == "healthy"


@pytest.mark.parametrize("loss", [np.full(60, 2.5), np.linspace(-1.0, -9.0, 60)], ids=["constant", "negative"])
def test_what_no_training_loss_does_is_not_praised(loss: np.ndarray) -> None:
    found = diagnose(record(loss))
    assert not found.of("stable") and not found.of("fast_start")


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("height", [0.0, 2.6])
def test_a_rise_within_the_steep_first_fall_is_seen(height: float, seed: int) -> None:
    """Five steps before, the loss was higher than at the top of the rise: a level that lags would hide it."""
    rng = np.random.default_rng([11, seed])
    step = np.arange(120)
    loss = 2.0 + 8.0 * np.exp(-step / 8.0) + 0.015 * rng.standard_normal(120)
    loss += height * np.exp(-0.5 * ((step - 12.0) / 2.5) ** 2)
    found = diagnose(record(loss))
    assert bool(found.of("spike")) == bool(height) and bool(found.of("stable")) == (not height)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("swing", [0.0, 1.0])
def test_a_loss_that_swings_is_not_stable(swing: float, seed: int) -> None:
    """Momentum at a high rate: each swing is some steps long, far above the noise of the single ones."""
    rng = np.random.default_rng([13, seed])
    step = np.arange(81)
    loss = 1.2 + 5.5 * np.exp(-step / 9.0) + 0.015 * rng.standard_normal(81)
    loss += swing * np.exp(-step / 30.0) * np.sin(2 * np.pi * step / 8.5)
    found = diagnose(record(loss))
    assert bool(found.of("spike")) == bool(swing) and bool(found.of("stable")) == (not swing)


@pytest.mark.parametrize("turn", [1.75, 2.15])
def test_the_turn_of_a_short_swing_is_a_level(turn: float) -> None:
    """Of twenty evaluations one stands at the turn: the values around it lead down to it."""
    evals = np.interp(np.arange(21), [0, 1, 2, 3, 4, 5, 6, 7, 10, 14, 20], [5.1, 2.4, turn, *AFTER_TURN])
    told = diagnose(record(evals=evals, eval_steps=np.arange(21.0)))
    assert bool(told.of("spike")) == (turn < 2.0) and bool(told.of("stable")) == (turn > 2.0)


@pytest.mark.parametrize(("steps", "at", "odd"), [(118, 49, 6), (7681, 2384, 41)])
@pytest.mark.parametrize("seed", range(3))
def test_odd_batches_are_no_noise_of_the_others(steps: int, at: int, odd: int, seed: int) -> None:
    """They fill much of the stretch that the noise around them is read from."""
    step = np.arange(steps)
    loss = 2.5 + 4.5 * np.exp(-step / (0.11 * steps)) + 0.05 * np.random.default_rng([15, seed]).standard_normal(steps)
    loss[at : at + odd] += 1.3
    (spike,) = diagnose(record(loss)).of("spike")
    assert spike.steps == (at + 1, at + odd)


@pytest.mark.parametrize("seed", range(4))
def test_a_rise_over_a_fifth_of_a_short_log_is_no_noise_with_memory(seed: int) -> None:
    step = np.arange(91)
    loss = np.interp(step, [0, 5, 15, 35, 37, 40, 44, 47, 50, 54, 70, 90], [7, 5, 3.8, 3.7, *JUMPED])
    told = diagnose(record(loss + 0.06 * np.random.default_rng([16, seed]).standard_normal(91)))
    assert len(told.of("divergence")) == 1 and told.of("recovery") and not told.of("stable")


@pytest.mark.parametrize("seed", range(4))
def test_a_rise_in_the_fall_of_both_losses_is_no_overfitting(seed: int) -> None:
    rng = np.random.default_rng([17, seed])
    step = np.arange(71.0)
    loss = 3.4 + 4.5 * np.exp(-step / 7.0) + 1.6 * np.exp(-0.5 * ((step - 9.0) / 2.0) ** 2)
    evals = loss * (1 + 0.001 * rng.standard_normal(71))
    train = loss[1:] + 0.08 * rng.standard_normal(70)
    told = diagnose(record(train, evals, eval_steps=step))
    assert told.of("spike", "divergence") and not told.of("stable", "overfitting")


def test_noise_that_grows_from_value_to_value_is_no_spike() -> None:
    """A log of every tenth step, whose batches vary more and more: twelve times as much at the end."""
    part = np.arange(72) / 72
    grows = 0.03 * (1.0 + 22.0 * np.clip(part - 0.5, 0, None))
    loss = 3.6 + 5.4 * np.exp(-part / 0.08)
    drawn = [np.random.default_rng([18, seed]).standard_normal(72) for seed in range(20)]
    told = [diagnose(record(loss + grows * each, steps=10.0 * np.arange(1, 73))) for each in drawn]
    assert sum(bool(each.of("spike", "divergence")) for each in told) <= 6
