"""How the runs went, topic by topic, in the shape of the seeds' interpretation; and what is worth remembering.

Every sentence is a finding's own, and leads to the figure that shows it.
"""

from collections.abc import Sequence

from fabula.report.blocks import Block, Bullets, Details, Heading, Part, Rich, code, link, quiet, rich, strong, told
from fabula.report.ladder_view import LadderView, TierView
from fabula.report.stability import FoundGroup, stability_of
from fabula.report.wording import loss_text, seeds_text, slug

TOPICS = {
    "Loss": ("initial_loss_off", "fast_start", "epoch_staircase", "loss_scaled_by_accumulation"),
    "Generalisation": ("generalizes", "overfitting"),
    "Stability": ("stable", "spike", "divergence", "recovery", "non_finite", "batch_skipped", "rolled_back"),
    "Stopping point": ("still_improving", "plateau", "too_few_steps", "interrupted"),
    "Gradient norm": (
        "gradient_spike_at_start",
        "gradient_settled",
        "gradient_growth",
        "gradient_explosion",
        "clipping_dominates",
    ),
    "Learning-rate schedule": (
        "schedule_ok",
        "lr_fixed",
        "lr_rising",
        "lr_floor_above_peak",
        "lr_peak_not_reached",
        "lr_jump_on_resume",
        "warmup_missing",
        "warmup_too_long",
        "schedule_in_micro_steps",
    ),
    "Set-up": ("window_never_binds", "updates_lost_to_rounding", "evaluation_too_noisy", "eot_missing"),
}
FIGURES = {"Gradient norm": "norm", "Learning-rate schedule": "rate"}
"""The figure that shows a topic, where it is not the validation loss."""


def course(tier: TierView, groups: Sequence[FoundGroup], drawn: set[str], open_: bool) -> list[Block]:
    """The topics of a tier; folded away unless `open_`. `drawn` holds the anchors of the figures that there are."""
    blocks: list[Block] = []
    for topic, kinds in TOPICS.items():
        figure = slug("figure", tier.name, FIGURES.get(topic, "val"))
        there = [group for group in groups if group.tier == tier.name and group.kind in kinds]
        items = [_item(group, figure if figure in drawn else "") for group in _by_phase(tier, there)]
        if items:
            blocks += [Heading(3, rich(topic), slug("course", tier.name, topic)), Bullets(tuple(items))]
    if not blocks or open_:
        return blocks
    return [Details(rich(f"How the runs of {tier.name} went, topic by topic"), tuple(blocks))]


def _by_phase(tier: TierView, groups: Sequence[FoundGroup]) -> list[FoundGroup]:
    order = [phase.name for phase in tier.phases]
    return sorted(groups, key=lambda group: order.index(group.phase))


def _item(group: FoundGroup, figure: str) -> Rich:
    """A finding as its first seed tells it, with the steps as the way to the figure."""
    _, finding = group.found[0]
    seed = "" if group.foreign else f" seed {group.seeds[0]}"
    parts: list[Part] = [code(group.phase), f"{seed}: ", told(finding.sentence)]
    if finding.steps is not None and figure:
        first, last = finding.steps
        parts += [" ", link(f"Step {first:,}" if first == last else f"Steps {first:,} to {last:,}", figure)]
    if len(group.seeds) > 1:
        parts.append(quiet(f" Also {seeds_text(group.seeds[1:])}."))
    return rich(*parts)


def points(ladder: LadderView, groups: Sequence[FoundGroup]) -> list[Rich]:
    """What this ladder showed, and nothing that it did not."""
    items: list[Rich] = []
    for tier in ladder.tiers:
        where = f" on {tier.name}" if len(ladder.tiers) > 1 else ""
        improved = [each for each in tier.effects if each.verdict == "improved" and each.headline]
        if improved:
            largest = min(improved, key=lambda each: each.headline.paired.mean if each.headline else 0.0)
            assert largest.headline is not None
            size = loss_text(abs(largest.headline.paired.mean))
            items.append(rich("The largest gain", where, " came from ", code(largest.after), f": {size} nats."))
        items += [
            rich("Whether ", code(each.after), " helps", where, " was not shown at this scale.")
            for each in tier.effects
            if each.verdict == "no evidence"
        ]
        falling = {group.phase for group in groups if group.tier == tier.name and group.kind == "still_improving"}
        if len(tier.phases) > 1 and falling == {phase.name for phase in tier.phases if phase.read}:
            items.append(
                rich("Every phase was still falling at its end", where, ": with more steps the order may change.")
            )
        unstable = list(
            dict.fromkeys(view.phase for view in tier.runs if stability_of(view) in ("diverged", "recovered"))
        )
        if unstable:
            names = [code(name) for name in unstable]
            items.append(rich(strong("Divergence"), where, " was seen in ", *_listed(names), " alone."))
    return items


def _listed(names: Sequence[Part]) -> list[Part]:
    parts: list[Part] = []
    for index, name in enumerate(names):
        if index:
            parts.append(" and " if index == len(names) - 1 else ", ")
        parts.append(name)
    return parts
