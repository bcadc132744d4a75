"""What is said of a gradient norm that rises in the midst of a run, and of one that is no gradient at all."""

import numpy as np
import pytest
from tests.findings.families import record
from tests.findings.heldout import CASES

from fabula.findings import diagnose


@pytest.mark.parametrize("length", [60, 800, 20_000])
def test_a_norm_that_triples_over_a_quarter_of_the_run_and_falls_again_is_told_with_its_steps(length: int) -> None:
    part = np.arange(1, length + 1) / length
    norm = np.interp(part, [0, 0.04, 0.24, 0.5, 1], [3.0, 0.24, 0.70, 0.2, 0.15])
    told = diagnose(record(grad_norm=norm * np.random.default_rng(1).lognormal(0, 0.05, length)))
    (hump,) = told.of("gradient_hump")
    assert told.verdict != "failed" and hump.severity == "note"
    assert hump.evidence["factor"] == pytest.approx(2.9, abs=0.5)
    assert hump.evidence["from_step"] / length == pytest.approx(0.04, abs=0.04)
    assert hump.evidence["top_step"] / length == pytest.approx(0.24, abs=0.05)
    assert 0.3 < hump.evidence["back_step"] / length < 0.6


def test_a_raised_rate_is_named_first() -> None:
    part = np.linspace(0, 1, 500)
    norm = np.interp(part, [0, 0.3, 0.5, 0.7, 1], [1, 1, 4, 1, 1])
    rate = np.where(part < 0.3, 1e-4, np.where(part < 0.6, 1e-3, 1e-4))
    (hump,) = diagnose(record(grad_norm=norm, learning_rate=rate)).of("gradient_hump")
    assert "learning rate was raised from 1e-4 to 0.001" in hump.alternatives[0]


def test_nothing_is_said_of_usual_norms() -> None:
    usual = [CASES[kind].shows for kind in ("gradient_settled", "gradient_spike_at_start", "gradient_growth")]
    usual.append(CASES["gradient_hump"].shows_not)
    runs = [maker(np.random.default_rng([17, index]))[0] for index in range(15) for maker in usual]
    assert not [run for run in runs if diagnose(run).of("gradient_hump")]


@pytest.mark.parametrize("norm", [np.zeros(200), np.r_[np.linspace(2.0, 0.1, 20), np.zeros(180)]])
def test_a_norm_of_exactly_zero_neither_grows_nor_settles(norm: np.ndarray) -> None:
    assert not diagnose(record(grad_norm=norm)).of("gradient_growth", "gradient_settled", "gradient_hump")


@pytest.mark.parametrize(("risen", "said"), [(0.0, False), (3.0, True)])
def test_a_first_fall_that_lasts_beyond_the_start_is_no_explosion(risen: float, said: bool) -> None:
    step = np.arange(1.0, 4601.0)
    norm = 3.0 * np.exp(-step / 500.0) + 0.02 + risen * ((step > 2500) & (step <= 2600))
    told = diagnose(record(grad_norm=norm * np.random.default_rng(2).lognormal(0, 0.1, 4600)))
    assert bool(told.of("gradient_explosion")) == said
    assert not said or told.of("gradient_explosion")[0].steps == (2501, 2600)
