"""How numbers, times and names are written, the same everywhere in a report."""

import re
from collections.abc import Sequence

import numpy as np

from fabula.findings.rule import number
from fabula.record.finding import Finding
from fabula.record.plural import plural as plural
from fabula.report.render.blocks import Rich, Span, quiet, rich, strong
from fabula.study.views import RunView

ARROW = " \N{RIGHTWARDS ARROW} "
DOT = " \N{MIDDLE DOT} "
NONE = "\N{EN DASH}"


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


def mean_of(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def seeds_line(values: Sequence[float | None]) -> Span:
    """Every seed's own value below the mean; nothing for a single seed."""
    known = [value for value in values if value is not None]
    return quiet(DOT.join(loss_text(value) for value in known) if len(known) > 1 else "", own_line=True)


def mean_cell(values: Sequence[float | None]) -> Rich:
    """The mean, and below it the value of every seed."""
    mean = mean_of(values)
    return rich(strong(loss_text(mean)) if mean is not None else NONE, seeds_line(values))


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


def run_name(view: RunView) -> str:
    """Tier and phase, or what a log is called."""
    return view.tier if view.phase == view.tier else f"{view.tier}/{view.phase}"


def run_label(view: RunView) -> str:
    return run_name(view) if view.of("log_format") else f"{run_name(view)} seed {view.seed}"


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
    """`Step 5`, `Steps 5 to 10`, or `Whole run`."""
    if steps is None:
        return "Whole run"
    return f"Step {steps[0]:,}" if steps[0] == steps[1] else f"Steps {steps[0]:,} to {steps[1]:,}"


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
