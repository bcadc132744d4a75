"""Tiers beside each other: which recipe is compared, by which ruler they are ranked, where their curves end."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from fabula.study.inference.statistics import mean_of
from fabula.study.views import LadderView, TierView


@dataclass(frozen=True)
class Ranking:
    """The tiers by the final loss of one recipe, or the reason why they may not be ranked."""

    reason: str
    phase: str = ""
    unit: Literal["token", "GPT-2 token"] = "token"
    losses: dict[str, list[float]] | None = None
    """Tier -> final losses at context 128, one a seed."""

    def rank_of(self, tier: str) -> int | None:
        """From 1; None where any tier has no loss."""
        means = {name: mean_of(values) for name, values in (self.losses or {}).items()}
        known = sorted((mean, name) for name, mean in means.items() if mean is not None)
        return [name for _, name in known].index(tier) + 1 if known and len(known) == len(means) else None


def rank_tiers(ladder: LadderView) -> Ranking:
    """By the largest recipe that every tier has finished, where one ruler measured all of them."""
    name = shared_phase(ladder)
    if name is None:
        return Ranking("no phase was finished in every tier")
    runs = {tier.name: tier.phase(name).complete for tier in ladder.tiers}
    everything = [view for views in runs.values() for view in views]
    if len({view.of("rulers", "stream_at_128") for view in everything}) > 1:
        return Ranking(
            "the tiers were measured with different rulers (another text, rule or context), and numbers of different "
            "rulers say nothing about each other"
        )
    one_tokenizer = len({view.of("data", "tokenizer_hash") for view in everything}) == 1
    column = "val_loss_at_128" if one_tokenizer else "val_loss_gpt2_at_128"
    if not all(column in view.final for view in everything):
        return Ranking("the final evaluation at context 128 is missing")
    losses = {tier: [view.final[column] for view in views] for tier, views in runs.items()}
    return Ranking("", name, "token" if one_tokenizer else "GPT-2 token", losses)


def shared_phase(ladder: LadderView) -> str | None:
    """Of the recipes that every tier has finished for at least one seed, the one with the most changes, the last of
    equals: the end of a path, the whole of the other designs."""
    phases = ladder.tiers[0].phases if ladder.tiers else ()
    shared = [
        (len(each.includes), place, each.name)
        for place, each in enumerate(phases)
        if all(any(phase.name == each.name and phase.complete for phase in tier.phases) for tier in ladder.tiers)
    ]
    return max(shared)[2] if shared else None


@dataclass(frozen=True)
class CurveEnd:
    """The phase whose curves, averaged over its seeds, reach the highest or the lowest loss of a tier."""

    phase: str
    loss: float
    num_seeds: int


def highest_on_curve(tier: TierView) -> CurveEnd | None:
    return _curve_end(tier, "worst_loss", max)


def lowest_on_curve(tier: TierView) -> CurveEnd | None:
    return _curve_end(tier, "best_loss", min)


def _curve_end(tier: TierView, which: str, choose: Callable[..., CurveEnd | None]) -> CurveEnd | None:
    ends = [
        CurveEnd(phase.name, mean, len(phase.counted))
        for phase in tier.phases
        if (mean := mean_of([getattr(view, which) for view in phase.counted])) is not None
    ]
    return choose(ends, key=lambda end: end.loss, default=None)
