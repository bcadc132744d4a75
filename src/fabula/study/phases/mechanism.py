"""What changed together with an effect, as far as records show it: the first loss, and what the batches contained."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fabula.study.inference.statistics import mean_of
from fabula.study.views import PhaseView, RunView

LEAST_CHANGE: dict[str, Callable[[float, float], bool]] = {
    "start_loss": lambda old, new: abs(old - new) > 0.05 * min(old, new),
    "padding_share": lambda old, new: abs(new - old) > 0.005,
    "truncated_share": lambda old, new: abs(new - old) > 0.005,
    "distinct_story_tokens": lambda old, new: bool(old and new) and not math.isclose(old, new, rel_tol=0.02),
}
"""What is compared, and how far it has to differ to be worth telling."""


@dataclass(frozen=True)
class BatchContents:
    """Means over the runs of a phase; None for what no record tells."""

    padding_share: float | None
    """Of all positions."""
    truncated_share: float | None
    """Of the stories' tokens."""
    distinct_story_tokens: float | None
    epochs: float | None
    tokens: float | None
    """That counted in the loss."""
    positions: float | None


def batch_contents(phase: PhaseView) -> BatchContents | None:
    """What the rows were filled with: the measured mechanism of packing. None where no run recorded it."""
    if not any(view.of("layout") for view in phase.read):
        return None

    def layout(key: str) -> float | None:
        return mean_of([view.of("layout", key) for view in phase.counted])

    return BatchContents(
        padding_share=layout("padding_share"),
        truncated_share=layout("truncated_share"),
        distinct_story_tokens=layout("distinct_story_tokens"),
        epochs=layout("epochs"),
        tokens=mean_of([view.last.get("tokens") for view in phase.counted]),
        positions=layout("positions"),
    )


def measured_with(before: Sequence[PhaseView], after: Sequence[PhaseView]) -> dict[str, tuple[float, float]]:
    """Name in LEAST_CHANGE -> value before and after, for all that differs by more than that. Of several recipes on a
    side, their mean."""

    def mean(phases: Sequence[PhaseView], name: str) -> float | None:
        return mean_of([mean_of([_value(view, name) for view in phase.counted]) for phase in phases])

    sides = {name: (mean(before, name), mean(after, name)) for name in LEAST_CHANGE}
    return {
        name: (old, new)
        for name, (old, new) in sides.items()
        if old is not None and new is not None and LEAST_CHANGE[name](old, new)
    }


def _value(view: RunView, name: str) -> float | None:
    return view.start_loss if name == "start_loss" else view.of("layout", name)
