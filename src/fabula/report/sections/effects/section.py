"""The part of a page that gives credit: chance first, then effects, interactions, and the noise at the end."""

from fabula.record.wording import duration_text, loss_text, plural, range_text, slug
from fabula.report.figures.figures import effects_figure
from fabula.report.render.blocks import Block, Bullets, Details, FigureGrid, Heading, Paragraph, Rich, code, rich
from fabula.report.sections.effects.chosen_rates import chosen_rates_blocks
from fabula.report.sections.effects.looks import looks_blocks
from fabula.report.sections.effects.tables import (
    effects_table,
    noise_table,
    pairing_table,
    recipes_table,
    roughness_table,
)
from fabula.report.sections.findings.interpretation import glance, seeds_sentence, verdicts
from fabula.report.sections.opening import STATISTICS, luck
from fabula.study.inference.noise import least_told
from fabula.study.phases.equal_time import equal_time
from fabula.study.views import LadderView, TierView

TWO_WAYS = rich(
    "Every model is measured in two ways. On ",
    code("stream"),
    " the validation stories follow each other like one long text, as they do in training. On ",
    code("story"),
    " each of them stands by itself, cut to the length that the model can read. A change counts as more than luck only "
    "if both ways say so.",
)
PAIRING = rich(
    "The verdicts use all runs of the table. Here stand the two plain intervals beside them, from the runs of one "
    "comparison alone. Runs of one seed see the same stories in the same order: where their final losses rise and fall "
    "together (correlation near 1), the interval from pairs (paired t) is the narrower one, else that without pairs "
    "(Welch). The smallest detectable difference is the mean that a change would have needed to count."
)
INTERACTIONS = rich(
    "How much more one change does where the other is there too: below zero they are better together than their "
    "effects added up, above zero worse. With three, the same of the interaction of two."
)
ROUGH = rich(
    "How much the loss of the training batches jumps up and down in the last fifth of the steps, as a share of the "
    "loss: 2 % means that it is usually 2 % above or below its own straight line (the standard deviation of its "
    "logarithm). Batches differ, so some of this is always there; look at the change. Corrected separately for "
    "multiple comparisons."
)


def statistics_blocks(ladder: LadderView) -> list[Block]:
    """One click below the first screen: chance, and every comparison in a sentence of its own with its interval."""
    blocks: list[Block] = [Paragraph(TWO_WAYS), Paragraph(rich(luck(ladder), *_threshold(ladder)))]
    table = glance(ladder)
    blocks += [table] if table is not None else []
    items = verdicts(ladder)
    blocks += [Bullets(tuple(items))] if items else []
    blocks += [Paragraph(seeds_sentence(ladder)), *looks_blocks(ladder)]
    noise = noise_table(ladder)
    blocks += [Heading(3, rich("What another seed alone does"), "noise"), noise] if noise is not None else []
    return [Details(rich("The statistics: every comparison, and how sure it is"), tuple(blocks), STATISTICS)]


def _threshold(ladder: LadderView) -> Rich:
    """How large a change had to be to count."""
    least = least_told(ladder.effects)
    if least is None:
        return ()
    size = range_text(loss_text(least[0]), loss_text(least[1]))
    scatter = ", depending on how much its seeds differ" if least[0] != least[1] else ""
    return rich(
        f" A change had to exceed {size} nats to count{scatter}: {plural(ladder.num_questions, 'question')} asked at "
        "once must not find a success by luck."
    )


def effect_blocks(ladder: LadderView, tier: TierView) -> list[Block]:
    """What each change did to the final loss of a tier: a picture, and the numbers one click below."""
    effects = [each for each in tier.effects if each.kind == "effect"]
    table = effects_table(effects)
    if table is None:
        return []
    blocks: list[Block] = [Heading(3, rich("What each change did"), slug("changes", tier.name))]
    figure = effects_figure(tier, effects)
    blocks += [FigureGrid((figure,))] if figure is not None else []
    numbers: list[Block] = [Heading(3, rich("Effect of each change"), slug("effects", tier.name)), table]
    numbers += _together(tier)
    if any(each.contrast.design != "pair" for each in effects):
        numbers += [Heading(3, rich("Every recipe"), slug("every", tier.name)), recipes_table(tier)]
    rough = roughness_table(tier)
    if rough is not None:
        numbers += [Heading(3, rich("Noise at the end"), slug("smooth", tier.name)), Paragraph(ROUGH), rough]
    pairing = pairing_table(tier.effects)
    if pairing is not None:
        title = Heading(3, rich("How it was computed"), slug("pairing", tier.name))
        numbers += [title, Paragraph(PAIRING), pairing]
    numbers += [*_equal_time_blocks(ladder, tier), *chosen_rates_blocks(ladder, tier)]
    name = f" of {tier.name}" if len(ladder.tiers) > 1 else ""
    return [*blocks, Details(rich(f"The numbers{name}: effects with intervals, seed by seed"), tuple(numbers))]


def _equal_time_blocks(ladder: LadderView, tier: TierView) -> list[Block]:
    """The comparison, or the sentence that says why there is none."""
    if not tier.effects or ladder.num_seeds < 2:
        return []
    heading = Heading(3, rich("At equal time"), slug("time", tier.name))
    compared = equal_time(ladder, tier)
    if compared.reason:
        return [heading, Paragraph(rich(f"No comparison at equal time: {compared.reason}."))]
    table = effects_table(compared.effects)
    assert table is not None, "recipes of unequal time have effects"
    note = (
        f"After {duration_text(compared.seconds)} of training, when the fastest run was done; on the subset that the "
        "curves show, between two evaluations on a straight line. A schedule made for more steps is cut off before its "
        "end here. Corrected separately for multiple comparisons."
    )
    return [heading, Paragraph(rich(note)), table]


def _together(tier: TierView) -> list[Block]:
    """What the changes do to each other."""
    interactions = [each for each in tier.effects if each.kind == "interaction"]
    table = effects_table(interactions)
    if table is None:
        return []
    title = Heading(3, rich("What the changes do to each other"), slug("interactions", tier.name))
    figure = effects_figure(tier, interactions, "interactions")
    return [title, Paragraph(INTERACTIONS), *([FigureGrid((figure,))] if figure is not None else []), table]


def across_blocks(ladder: LadderView) -> list[Block]:
    """With several tiers: whether a change does more on the larger one."""
    table = effects_table(ladder.across)
    if table is None:
        return []
    note = rich("The effect on the larger tier minus the effect on the smaller one, both measured at context 128.")
    return [Heading(3, rich("How effects differ between the tiers"), "across"), Paragraph(note), table]
