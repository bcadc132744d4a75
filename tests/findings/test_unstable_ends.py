"""How a run ends that leaves its level: hidden in its noise, for good, or on its way back; and calm that looks so."""

import numpy as np
from tests.findings.families import record

from fabula.findings import Diagnosis, diagnose


def unstable_second_half(random: np.random.Generator) -> Diagnosis:
    """The level rises by a fifth or more, at once or bit by bit; the noise grows, and single values stand out."""
    length, level = int(10 ** random.uniform(1.9, 3.5)), random.uniform(2.0, 8.0)
    part = np.arange(length) / length
    begin = random.uniform(0.3, 0.8)
    after = np.clip((part - begin) / (1 - begin), 0, 1)
    noise = random.uniform(0.003, 0.015) * level * np.where(part >= begin, random.uniform(2, 5), 1.0)
    rise = np.where(part >= begin, random.uniform(0.2, 0.8) * level * (random.uniform(0.5, 1) + 0.5 * after), 0.0)
    outliers = (part >= begin) * (random.random(length) < 0.1) * random.uniform(0.3, 1.0) * level
    fall = 8.0 * np.exp(-part / 0.04)
    return diagnose(record(level + fall + rise + outliers + noise * random.standard_normal(length)))


def test_an_unstable_second_half_does_not_hide_in_its_own_noise() -> None:
    told = [unstable_second_half(np.random.default_rng([71, index])) for index in range(30)]
    failed = [each for each in told if each.verdict == "failed" and len(each.of("divergence")) == 1]
    assert len(failed) >= 28
    assert not [each for each in failed if each.of("plateau", "still_improving", "stable")]


def test_noise_with_memory_is_no_instability() -> None:
    accused = []
    for index in range(40):
        random = np.random.default_rng([72, index])
        length = int(random.integers(60, 250))
        drawn = np.convolve(random.standard_normal(length + 4), np.ones(5) / np.sqrt(5), "valid")
        level = random.uniform(2.0, 5.0) + 6.0 * np.exp(-np.arange(length) / (0.05 * length))
        if diagnose(record(level * (1 + 0.03 * drawn))).verdict == "failed":
            accused.append(index)
    assert not accused


def test_one_value_that_is_far_too_low_is_no_level() -> None:
    loss = 3.24 + 0.012 * np.random.default_rng(3).standard_normal(300)
    loss[200] = 3.05
    assert diagnose(record(loss)).of("stable")


def test_a_second_spike_soon_after_the_first_is_told_too() -> None:
    loss = 3.2 + 0.03 * np.random.default_rng(4).standard_normal(60)
    loss[40:46] = [7.4, 6.2, 5.8, 5.1, 4.2, 3.3]
    loss[48:50] = [5.4, 5.7]
    spikes = diagnose(record(loss)).of("spike")
    assert [each.steps for each in spikes] == [(41, 44), (49, 50)]


def test_a_run_that_settles_above_its_level_has_failed_though_most_of_the_rise_is_gone() -> None:
    steps = np.arange(400)
    loss = 2.0 + 6.0 * np.exp(-steps / 20) + np.where(steps < 200, 0.0, 0.5 + 5.0 * np.exp(-(steps - 200) / 30))
    told = diagnose(record(loss + 0.01 * np.random.default_rng(5).standard_normal(400)))
    (divergence,) = told.of("divergence")
    assert told.verdict == "failed" and told.of("recovery")
    assert "ended at 2.5" in divergence.sentence and "still above" in divergence.sentence


def test_a_record_that_ends_while_the_loss_is_on_its_way_back_is_a_recovery() -> None:
    steps = np.arange(300)
    loss = 2.0 + 6.0 * np.exp(-steps / 15) + np.where(steps < 200, 0.0, 3.0 * np.exp(-(steps - 200) / 40))
    told = diagnose(record(loss + 0.005 * np.random.default_rng(6).standard_normal(300)))
    assert told.of("recovery") and told.verdict == "warning"


def test_a_noisy_plateau_is_one() -> None:
    told = [
        diagnose(record(2.5 + 6.0 * np.exp(-np.arange(300) / 10) + 0.08 * np.random.default_rng(seed).normal(size=300)))
        for seed in range(15)
    ]
    assert sum(bool(each.of("plateau")) for each in told) >= 14
