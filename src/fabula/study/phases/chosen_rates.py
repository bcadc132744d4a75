"""The learning rates that brackets chose, as a ladder's plan keeps them."""

from dataclasses import dataclass

from fabula.study.views import LadderView


@dataclass(frozen=True)
class ChosenRate:
    """What one phase's bracket tried, and what it took."""

    phase: str
    peak: float
    multiple: float
    """Of the peak that the recipe had."""
    tries: tuple[tuple[float, float | None], ...]
    """Peaks with their losses on the split tune; None for a loss that did not stay finite."""

    @property
    def at_an_end(self) -> bool:
        """Whether a rate beyond the bracket may be better."""
        return self.peak in (self.tries[0][0], self.tries[-1][0])


def chosen_rates(ladder: LadderView, tier: str) -> list[ChosenRate]:
    """One a phase with a bracket, in the order in which they were chosen."""
    return [
        ChosenRate(
            phase=each["phase"],
            peak=each["peaks"][each["multiples"].index(each["taken"])],
            multiple=each["taken"],
            tries=tuple(zip(each["peaks"], each["losses"], strict=True)),
        )
        for each in ladder.plan.get("brackets", ())
        if each["tier"] == tier
    ]
