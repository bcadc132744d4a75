"""The part of a page that gives credit: noise first, then effects, interactions, and how smooth the end was."""

from fabula.findings.noise import least_told
from fabula.report.blocks import Block, Details, FigureGrid, Heading, Paragraph, rich
from fabula.report.effect_tables import effects_table, noise_table, pairing_table, recipes_table, roughness_table
from fabula.report.figures import effects_figure
from fabula.report.views import LadderView, TierView
from fabula.report.wording import loss_text, plural, range_text, slug

PAIRING = rich(
    "Runs of one seed see the same stories in the same order. Where their final losses rise and fall together "
    "(correlation near 1), pairing narrows the interval; where they do not, the unpaired interval (Welch) is the "
    "narrower one. Verdicts are read from the paired one in every case. Told from: the smallest mean that would have "
    "had a verdict at this scatter over the seeds, as the first of the table."
)
INTERACTIONS = rich(
    "How much more one change does where the other is there too: below zero they are better together than their "
    "effects added up, above zero worse. With three, the same of the interaction of two."
)
ROUGH = rich(
    "Standard deviation of the logarithm of the training loss around its own straight line, over the last fifth of the "
    "steps: 2 % is a scatter of 2 % of the loss from step to step. It holds the scatter of the batches, too; only its "
    "change speaks. An error rate of its own for this table."
)


def noise_blocks(ladder: LadderView) -> list[Block]:
    """How far two seeds of one recipe end apart, and what could have been seen above that."""
    table = noise_table(ladder)
    if table is None:
        return []
    floors = [floor for tier in ladder.tiers for floor in tier.noise if floor.protocol == "stream"]
    parts = ["The noise first: "]
    if floors:
        low, high = min(each.lowest for each in floors), max(each.highest for each in floors)
        parts.append(
            "with another seed alone the final loss on stream moves by "
            f"{range_text(loss_text(low), loss_text(high))} nats (standard deviation, by recipe). "
        )
    least = least_told(ladder.effects)
    if least is not None:
        told = range_text(loss_text(least[0]), loss_text(least[1]))
        parts.append(
            f"Among {plural(ladder.num_claims, 'claim')} with one error rate, a mean had to reach {told} nats on "
            "stream, depending on how its seeds scatter, before any verdict could be given."
        )
    return [Paragraph(rich(*parts)), Details(rich("The noise, recipe by recipe"), (table,))]


def effect_blocks(tier: TierView, num_claims: int) -> list[Block]:
    """What each change did to the final loss of a tier."""
    effects = [each for each in tier.effects if each.kind == "effect"]
    together = [each for each in tier.effects if each.kind == "interaction"]
    table = effects_table(effects)
    if table is None:
        return []
    blocks: list[Block] = [Heading(3, rich("What each phase changed"), slug("effects", tier.name))]
    figure = effects_figure(tier, effects)
    if figure is not None:
        blocks.append(FigureGrid((figure,)))
    blocks.append(table)
    both = effects_table(together)
    if both is not None:
        blocks += [Heading(3, rich("What the changes do to each other"), slug("interactions", tier.name))]
        blocks.append(Paragraph(INTERACTIONS))
        figure = effects_figure(tier, together, "interactions")
        blocks += [FigureGrid((figure,))] if figure is not None else []
        blocks.append(both)
    if any(each.contrast.design != "pair" for each in effects):
        title = Heading(3, rich("Every recipe"), slug("every", tier.name))
        blocks += [title, recipes_table(tier)]
    rough = roughness_table(tier)
    if rough is not None:
        blocks += [Heading(3, rich("How smooth the end was"), slug("smooth", tier.name)), Paragraph(ROUGH), rough]
    pairing = pairing_table(tier.effects, num_claims)
    if pairing is not None:
        blocks.append(Details(rich("How the pairing did, seed by seed"), (Paragraph(PAIRING), pairing)))
    return blocks


def across_blocks(ladder: LadderView) -> list[Block]:
    """With several tiers: whether a change does more on the larger one."""
    table = effects_table(ladder.across)
    if table is None:
        return []
    note = rich("The effect on the larger tier minus the effect on the smaller one, both measured at context 128.")
    return [Heading(3, rich("How effects differ between the tiers"), "across"), Paragraph(note), table]
