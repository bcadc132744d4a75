"""One cycle is a known schedule: its warmup of 30 % is meant. A warmup that is merely long is still told."""

import numpy as np
import pytest
from tests.findings.families import record

from fabula.findings import Diagnosis, diagnose


def one_cycle(
    length: int, share: float = 0.3, div: float = 25.0, final: float = 1e4, linear: bool = False
) -> np.ndarray:
    """As OneCycleLR of PyTorch makes it."""
    part = np.arange(length) / (length - 1)
    up, down = np.clip(part / share, 0, 1), np.clip((part - share) / (1 - share), 0, 1)
    if not linear:
        up, down = 0.5 * (1 - np.cos(np.pi * up)), 0.5 * (1 - np.cos(np.pi * down))
    low, least = 1 / div, 1 / (div * final)
    return 1e-3 * np.where(part <= share, low + (1 - low) * up, 1 - (1 - least) * down)


def told(rates: np.ndarray, every: int = 1) -> Diagnosis:
    steps = np.arange(len(rates)) * float(every) + 1.0
    return diagnose(record(learning_rate=rates, steps=steps, info={"log_format": "csv"}))


@pytest.mark.parametrize("length", [60, 500, 20_000])
@pytest.mark.parametrize(
    "shape",
    [{}, {"linear": True}, {"share": 0.25, "final": 1e5}, {"share": 0.4, "div": 10.0}, {"share": 0.5, "linear": True}],
)
def test_one_cycle_is_a_sound_schedule(length: int, shape: dict) -> None:
    found = told(one_cycle(length, **shape), every=10)
    assert not found.of("warmup_too_long", "lr_rising", "lr_raised")
    (sound,) = found.of("schedule_ok")
    assert "one-cycle" in sound.sentence


def test_three_phases_are_one_cycle_too() -> None:
    part = np.arange(1000) / 999
    rates = np.interp(part, [0, 0.3, 0.6, 1], [4e-5, 1e-3, 4e-5, 4e-9])
    assert told(rates).of("schedule_ok") and not told(rates).of("warmup_too_long")


@pytest.mark.parametrize("share", [0.25, 0.3, 0.4, 0.5])
def test_a_long_linear_warmup_from_zero_is_still_told(share: float) -> None:
    part = np.arange(1, 1001) / 1000
    for floor in (0.0, 0.1):
        rates = 1e-3 * np.minimum(part / share, floor + (1 - floor) * (1 - part) / (1 - share))
        assert told(rates).of("warmup_too_long")


def test_a_long_warmup_before_a_peak_that_is_held_is_still_told() -> None:
    part = np.arange(1000) / 999
    assert told(np.interp(part, [0, 0.3, 0.8, 1], [4e-5, 1e-3, 1e-3, 0])).of("warmup_too_long")
