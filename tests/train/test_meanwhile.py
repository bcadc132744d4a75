"""What is told while something goes on that says nothing itself."""

import time

import pytest

from fabula.train.meanwhile import telling


def test_it_is_told_as_long_as_it_goes_on_and_not_longer() -> None:
    said: list[str] = []
    with telling(said.append, "compiling", every=0.02):
        while len(said) < 3:
            time.sleep(0.005)
    assert said[0] == "still compiling, 0 s so far"
    num_said = len(said)
    time.sleep(0.06)
    assert len(said) == num_said


def test_what_is_quick_is_not_told_and_an_error_ends_it() -> None:
    said: list[str] = []
    with pytest.raises(RuntimeError), telling(said.append, "compiling", every=30.0):
        raise RuntimeError("no compiler")
    assert said == []
