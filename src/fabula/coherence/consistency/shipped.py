"""The consistency that comes with fabula."""

from functools import cache
from pathlib import Path

from fabula.coherence.consistency.model import Consistency, load

PLACE = Path(__file__).with_name("fitted.npz")
"""Fitted by docs/fit_consistency.py on TinyStories and, every third text, passages of older children's books. Fitted on
TinyStories alone it told those apart a little better, and called most other stories damaged."""


@cache
def shipped() -> Consistency:
    return load(PLACE)
