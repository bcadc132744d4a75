"""Phases that came out in another order than the ladder's: each is expected to end below those that it builds upon."""

from dataclasses import dataclass

from fabula.record.wording import loss_text, plural
from fabula.study.inference.statistics import mean_of
from fabula.study.views import PhaseView, TierView


@dataclass(frozen=True)
class OutOfOrder:
    """Two phases of a tier with their mean final losses on `stream`, over the seeds that both have finished."""

    tier: str
    earlier: str
    later: str
    earlier_loss: float
    later_loss: float
    num_seeds: int

    def sentence(self) -> str:
        return (
            f"`{self.later}` was expected to have a lower loss than `{self.earlier}` and ended higher by "
            f"{loss_text(self.later_loss - self.earlier_loss)} ({loss_text(self.later_loss)} against "
            f"{loss_text(self.earlier_loss)}, {plural(self.num_seeds, 'seed')})."
        )


def out_of_order(tier: TierView) -> list[OutOfOrder]:
    """Every such pair."""
    if not tier.in_order:
        return []
    items = []
    for index, later in enumerate(tier.path):
        for earlier in tier.path[:index]:
            if earlier.includes and not set(earlier.includes) < set(later.includes):
                continue
            pairs = _paired(earlier, later)
            before, after = (mean_of(side) for side in ([a for a, _ in pairs], [b for _, b in pairs]))
            if before is not None and after is not None and after > before:
                items.append(OutOfOrder(tier.name, earlier.name, later.name, before, after, len(pairs)))
    return items


def _paired(before: PhaseView, after: PhaseView) -> list[tuple[float, float]]:
    """Final `stream` losses of the seeds that both phases have finished on one ruler."""
    first = {view.seed: view for view in before.complete}
    second = {view.seed: view for view in after.complete}
    return [
        (first[seed].final["val_loss"], second[seed].final["val_loss"])
        for seed in sorted(first.keys() & second.keys())
        if first[seed].of("rulers", "stream") == second[seed].of("rulers", "stream")
        and "val_loss" in first[seed].final
        and "val_loss" in second[seed].final
    ]
