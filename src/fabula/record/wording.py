"""How numbers, times, steps and names are written: the same in findings, on a page and on a terminal."""

import math
import re
from collections.abc import Sequence
from itertools import pairwise

from fabula.record.finding import Finding

ARROW = " \N{RIGHTWARDS ARROW} "
DOT = " \N{MIDDLE DOT} "
NONE = "\N{EN DASH}"
BARS = "▁▂▃▄▅▆▇█"


_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufff9-\ufffb]"
)
"""Control characters, but for tab and line feed; what turns the direction of writing; halves of characters."""


def inert(text: str) -> str:
    """`text` without what would steer the terminal that it is shown on: names in logs and stories hold anything."""
    return _STEERING.sub("\N{REPLACEMENT CHARACTER}", text)


def plural(number: int, word: str, words: str = "") -> str:
    """`1 step`, `1,000 steps`; `words` where an s does not make the plural."""
    return f"{number:,} {word}" if number == 1 else f"{number:,} {words or word + 's'}"


def number(value: float) -> str:
    """A number for a sentence: four significant digits at most, thousands separated, no trailing zeros."""
    if not math.isfinite(value):
        return "not finite"
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1e7:
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    if size >= 1000:
        return f"{value:,.0f}"
    if size < 1e-3:
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    if size >= 10:
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return f"{value:.3f}".rstrip("0").rstrip(".")


def share(value: float) -> str:
    """A share in per cent: `12 %`, `0.4 %`."""
    percent = 100.0 * value
    return f"{percent:.0f} %" if abs(percent) >= 9.95 or percent == 0 else f"{percent:.2g} %"


def loss_text(value: float | None) -> str:
    """A loss in nats: three decimals below 10, where differences matter, two above."""
    if value is None or value != value:
        return NONE
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.2f}"


def difference_text(mean: float, low: float | None = None, high: float | None = None) -> str:
    """A difference and its interval without signs: `lower by 1.220 (0.558 to 1.882)`; where the interval holds zero,
    `lower by 0.05 (0.10 lower to 0.02 higher)`."""
    said = f"{'lower' if mean < 0 else 'higher'} by {loss_text(abs(mean))}"
    if low is None or high is None:
        return said
    if low * high > 0:
        near, far = sorted((abs(low), abs(high)))
        return f"{said} ({loss_text(near)} to {loss_text(far)})"
    return f"{said} ({loss_text(abs(low))} lower to {loss_text(abs(high))} higher)"


def count_text(value: float | None) -> str:
    """A count: exact below a million, with two decimals above."""
    if value is None or value != value:
        return NONE
    if abs(value) >= 1e9:
        return f"{value / 1e9:.2f} G"
    return f"{value / 1e6:.2f} M" if abs(value) >= 1e6 else f"{value:,.0f}"


def parameters_text(value: float | None) -> str:
    """Parameters as the original tables write them: 7.29M."""
    if value is None:
        return NONE
    return f"{value / 1e6:.2f}M" if value >= 1e5 else f"{value:,.0f}"


def share_text(value: float | None) -> str:
    return NONE if value is None or value != value else f"{100 * value:.1f} %"


def duration_text(seconds: float | None) -> str:
    """`9.4 s`, `40 s`, `12.0 min`, `1.7 h`."""
    if seconds is None or seconds != seconds:
        return NONE
    if seconds < 99.5:
        return f"{seconds:.0f} s" if seconds >= 9.5 else f"{seconds:.1f} s"
    minutes = seconds / 60
    return f"{minutes:.1f} min" if minutes < 99.5 else f"{minutes / 60:.1f} h"


def range_text(low: str, high: str) -> str:
    """`5 min` for equal ends, `5 to 8 min` where only the number differs, else both in full."""
    if low == high:
        return low
    number, _, unit = low.partition(" ")
    return f"{number} to {high}" if high.endswith(f" {unit}") else f"{low} to {high}"


def seeds_text(seeds: Sequence[int]) -> str:
    """`seed 1`, `seeds 0, 1 and 2`."""
    names = [str(seed) for seed in seeds]
    if len(names) == 1:
        return f"seed {names[0]}"
    return f"seeds {', '.join(names[:-1])} and {names[-1]}"


def slug(*parts: str) -> str:
    """An anchor from names that users chose."""
    return "-".join(re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-") or "x" for part in parts)


def steps_text(steps: tuple[int, int] | None) -> str:
    """`step 5`, `steps 5 to 10`, or `whole run`."""
    if steps is None:
        return "whole run"
    return f"step {steps[0]:,}" if steps[0] == steps[1] else f"steps {steps[0]:,} to {steps[1]:,}"


def begun_large(text: str) -> str:
    """The same as the beginning of a line."""
    return text[:1].upper() + text[1:]


def sparkline(values: Sequence[float], width: int = 48, low: float | None = None) -> str:
    """`values`, averaged into at most `width` bars, from `low` (their least, unless it is given) to their largest."""
    num = min(width, len(values))
    bounds = [round(part * len(values) / num) for part in range(num + 1)] if num else []
    means = [sum(values[start:stop]) / (stop - start) for start, stop in pairwise(bounds)]
    low, high = min(values, default=0.0) if low is None else low, max(values, default=0.0)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(BARS[min(len(BARS) - 1, int((mean - low) * scale + 0.5))] for mean in means)


def evidence_text(finding: Finding) -> str:
    """The numbers of a finding: `level before 4.97, peak 7.3`; what is a list or a table is left to --json."""
    parts = []
    for name, value in finding.evidence.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        text = f"{value:,}" if isinstance(value, int) else number(value)
        parts.append(f"{name.replace('_', ' ')} {text}")
    return ", ".join(parts)


def kind_words(kind: str) -> str:
    """`lr_floor_above_peak` as `learning rate floor above peak`."""
    return kind.replace("_", " ").replace("lr ", "learning rate ").replace("eot ", "end-of-text ")


def kind_title(kind: str) -> str:
    """`lr_floor_above_peak` as `Learning rate: floor above peak`, others with spaces."""
    words = kind.replace("_", " ")
    if words.startswith("lr "):
        return f"Learning rate: {words[3:]}"
    return words.capitalize()
