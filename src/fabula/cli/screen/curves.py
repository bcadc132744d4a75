"""Curves in a line of text."""

from collections.abc import Sequence
from itertools import pairwise

BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int = 48) -> str:
    """`values`, averaged into at most `width` bars from 0 to their maximum."""
    num = min(width, len(values))
    top = max(values, default=0.0)
    if not top:
        return BARS[0] * num
    bounds = [round(part * len(values) / num) for part in range(num + 1)]
    means = [sum(values[start:stop]) / (stop - start) for start, stop in pairwise(bounds)]
    return "".join(BARS[min(len(BARS) - 1, int(mean / top * len(BARS)))] for mean in means)
