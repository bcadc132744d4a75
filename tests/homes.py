"""The two homes of the tests: a clean clone that lies alone, and one beside ../shared."""

from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parent.parent
SHARED = REPO.parent / "shared"

OWN_AND_REAL = ["own", pytest.param("real", marks=pytest.mark.beside)]
"""For what is asked twice: of a stand-in that the tests bring along, and of the real thing where ../shared holds it."""
