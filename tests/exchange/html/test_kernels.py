"""The kernels that are kept were made of the source that is kept."""

import json
from pathlib import Path

import pytest

from fabula.exchange.html.build import KERNELS, ORIGIN, build, compiler, origin


def test_the_kernels_are_those_of_their_source() -> None:
    kept = json.loads(ORIGIN.read_text())
    assert kept == origin(kept["compiler"]), "make them anew: python -m fabula.exchange.html.build"


def test_the_same_compiler_makes_the_same_kernels(tmp_path: Path) -> None:
    made_by = json.loads(ORIGIN.read_text())["compiler"]
    if compiler() != made_by:
        pytest.skip(f"{made_by} is absent")
    assert build(tmp_path / "kernels.wasm") == made_by
    assert (tmp_path / "kernels.wasm").read_bytes() == KERNELS.read_bytes()
